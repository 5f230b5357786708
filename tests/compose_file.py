"""`docker-compose.yaml` as Compose reads it: with the variables of an `.env`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
COMPOSE_FILE = REPOSITORY / "docker-compose.yaml"

VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<word>[^}]*))?\})"
)
SECRETS = {
    "POSTGRES_PASSWORD",
    "CELERY_DB_PASSWORD",
    "REDIS_PASSWORD",
    "FERNET_KEY",
    "API_SECRET_KEY",
    "JWT_SECRET",
}


def raw_compose() -> dict[str, Any]:
    """The compose file with its anchors resolved and its variables left as written."""
    content: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    return content


def interpolate(text: str, variables: dict[str, str]) -> str:
    """Replace `${…}` as the Compose Specification says; LookupError for a required one."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, operator, word = match["name"], match["operator"] or "", match["word"] or ""
        missing = not variables.get(name) if ":" in operator else name not in variables
        if missing and "?" in operator:
            raise LookupError(f"{name}: {word}")
        return word if missing and operator else variables.get(name, "")

    return VARIABLE.sub(value, text)


def interpolated(node: Any, variables: dict[str, str]) -> Any:
    """`interpolate` for every text below a node of the file."""
    if isinstance(node, dict):
        return {key: interpolated(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, variables) for value in node]
    return interpolate(node, variables) if isinstance(node, str) else node


def example_variables() -> dict[str, str]:
    """What `.env.example` sets."""
    lines = (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
