"""The image, as the Dockerfile makes it."""

from __future__ import annotations

import re

from tests.compose_file import REPOSITORY

__all__ = ["copied", "dockerfile_text", "has_path", "instructions", "variables"]


def dockerfile_text() -> str:
    return (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, arguments), comments gone and lines joined."""
    lines = [line for line in dockerfile_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (word.upper(), rest)
        for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())
    ]


def variables() -> dict[str, str]:
    """The variables of the image: those of the Dockerfile's last stage."""
    found: dict[str, str] = {}
    for word, rest in instructions():
        if word == "FROM":
            found = {}
        elif word == "ENV":
            found |= (pair.split("=", 1) for pair in rest.split())
    return found


def copied() -> list[str]:
    return [
        source
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]


def has_path(path: str) -> bool:
    """Whether the image has this folder or file: made by `install`, or copied to the workdir."""
    (workdir,) = [rest for word, rest in instructions() if word == "WORKDIR"]
    if path.startswith(f"{workdir}/"):
        inner = path.removeprefix(f"{workdir}/")
        return inner.split("/")[0] in copied() and (REPOSITORY / inner).exists()
    (step,) = [rest for word, rest in instructions() if "install --directory" in rest]
    return path in {workdir, *step.split()}
