"""Templates, and how values are shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from nightscribe.languages import LANGUAGES, NO_SPEECH, parse_language
from nightscribe.progress import duration

__all__ = ["STATIC", "clock", "page"]

STATIC: Mapping[str, tuple[bytes, str]] = {
    file.name: (file.read_bytes(), kind)
    for file in resources.files("nightscribe.web").joinpath("static").iterdir()
    for suffix, kind in (
        (".css", "text/css; charset=utf-8"),
        (".js", "text/javascript; charset=utf-8"),
        (".svg", "image/svg+xml"),
    )
    if file.name.endswith(suffix)
}
"""Name → content and type of the files in `static`."""


def clock(seconds: float | None) -> str:
    """Seconds as hours, minutes and seconds.

    >>> clock(3723.9), clock(59.2), clock(None)
    ('1:02:03', '0:59', '–')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def hours(seconds: float | None) -> str:
    """A sum of durations, rounded to what matters.

    >>> hours(59), hours(5000), hours(7_200_000)
    ('59 s', '1.4 h', '2,000 h')
    """
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 360_000 else f"{seconds / 3600:,.0f} h"


def size(count: int | None) -> str:
    """A number of bytes.

    >>> size(1_536), size(3_000_000)
    ('1.5 kB', '3.0 MB')
    """
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def number(value: float | None, digits: int = 0) -> str:
    """A number with separators of thousands; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}"


def language(code: str | None) -> str:
    """Name and code of a language or variety.

    >>> language("de"), language("zh-TW"), language("und")
    ('German (de)', 'Chinese (zh), zh-TW', 'unknown (und)')
    >>> language("zxx")
    'no speech (zxx)'
    """
    if not code:
        return "–"
    if code == NO_SPEECH:
        return f"no speech ({code})"
    known = parse_language(code)
    if known is None:
        return f"unknown ({code})"
    name = f"{LANGUAGES[known.code].title()} ({known.code})"
    return name if known.variety is None else f"{name}, {known.variety}"


def moment(value: datetime | None) -> str:
    """A time in UTC, to the minute; a script shows it in the reader's zone."""
    return "–" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def query(**values: Any) -> str:
    """A query string without empty values."""
    kept = [(name, value) for name, value in values.items() if value not in (None, "", [])]
    return urlencode(kept, doseq=True)


_environment = Environment(
    loader=PackageLoader("nightscribe.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    clock=clock,
    duration=duration,
    hours=hours,
    size=size,
    number=number,
    language=language,
    moment=moment,
)
_environment.globals.update(query=query)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """An HTML page from a template.

    Besides `values`, templates get `root` (path of the pages), `here` (path of this page, below
    `root`) and `rights` (of the person who asks).
    """
    site = request.app.state.site
    here = request.url.path.removeprefix(site.prefix) or "/"
    html = _environment.get_template(template).render(
        root=site.prefix, here=here, rights=request.state.person.rights, **values
    )
    return HTMLResponse(html, status)
