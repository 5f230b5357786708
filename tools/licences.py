"""List the licences of everything that installing Nightscribe installs: python -m tools.licences

Fails if a package has a licence that is not in `ALLOWED`, or states none. A package may offer
several; one that is allowed is enough.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nightscribe.text_tables import print_table

ALLOWED = (
    "0BSD",
    "Apache",
    "Artistic",
    "BSD",
    "BSL-1.0",
    "CC0",
    "CNRI-Python",
    "ISC",
    "MIT",
    "MPL",  # of whole files, which stay as they are
    "PSF",
    "Python Software Foundation",
    "Mozilla Public License",
    "Unlicense",
    "Zlib",
)
"""Beginnings of licences that impose nothing on whoever uses the package as a library."""


def licences_of(name: str) -> dict[str, str]:
    """Package → licence, of a package and of all that it needs on this machine."""
    found: dict[str, str] = {}
    seen = set()
    waiting = [(name, frozenset[str]())]
    while waiting:
        package, extras = waiting.pop()
        key = canonicalize_name(package)
        if (key, extras) in seen:
            continue
        seen.add((key, extras))  # it may be needed once more with another extra
        try:
            installed = distribution(package)
        except PackageNotFoundError:
            continue  # for another system or version of Python
        found[key] = _licence(installed.metadata)
        for text in installed.requires or ():
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in ("", *extras)]
            if needed.marker is None or any(map(needed.marker.evaluate, environments)):
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def _licence(metadata: PackageMetadata) -> str:
    """The SPDX expression; of older packages the classifiers, or the first line of the text."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    return " OR ".join(classifiers) or str(metadata.get("License") or "").partition("\n")[0]


def is_allowed(licence: str) -> bool:
    """Whether an expression allows the use: one of its alternatives, with all of its parts.

    >>> is_allowed("MIT AND MPL-2.0"), is_allowed("GPL-3.0-only"), is_allowed("GPL-2.0 OR Artistic")
    (True, False, True)
    """
    return any(
        all(_is_one_allowed(part) for part in _parts(choice)) for choice in licence.split(" OR ")
    )


def _parts(choice: str) -> Iterator[str]:
    for part in choice.split(" AND "):
        yield re.sub(r"^(3-Clause|The) ", "", part.strip(" ()"))


def _is_one_allowed(licence: str) -> bool:
    return licence.startswith(ALLOWED)


def main() -> int:
    """Print the table; returns 1 if a licence is not allowed."""
    found = licences_of("nightscribe")
    print_table(["package", "licence"], sorted(found.items()))
    bad = {name: licence for name, licence in found.items() if not is_allowed(licence)}
    for name, licence in bad.items():
        print(f"{name}: {licence or 'states no licence'}: not allowed", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
