"""One module for each page; each has a `router`."""

from __future__ import annotations

from nightscribe.web.pages import (
    console,
    home,
    library,
    media,
    plan,
    quality,
    recording,
    review,
    runs,
    search,
    upload,
    worst,
)

__all__ = ["PAGES"]

PAGES = [
    module.router
    for module in (
        home,
        library,
        recording,
        media,
        search,
        upload,
        review,
        quality,
        worst,
        plan,
        console,
        runs,
    )
]
