"""Charts by language, as SVG with the colours and fonts of the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

_WIDTH = 5.0  # inches; the page scales it
_ROW = 0.26  # inches per language
_LONGEST_LABEL = 32  # letters; more would leave no room for the bars
_NUMBER = 0.12  # width of a number, as a share of the axis
_MARGINS = 0.75  # inches above and below all rows

# matplotlib has no CSS variables. It draws in these colours, which nothing else uses; they are
# then replaced in the SVG's text, so that one drawing fits the light and the dark page.
_INK, _FAINT, _PAPER = "#010101", "#020202", "#030303"
_COLOURS = ("#040404", "#050505")
_VARIABLES = {
    _INK: "var(--ink)",
    _FAINT: "var(--line)",
    _PAPER: "var(--paper)",
    _COLOURS[0]: "var(--bar)",
    _COLOURS[1]: "var(--bar-2)",
}
_PUBLISHED: dict[str, Any] = {
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": _PAPER,
    "markeredgecolor": _INK,
}


@dataclass(frozen=True)
class Bar:
    """One bar of a chart.

    Attributes:
        low, high: the ends of its interval
        kind: bars of one kind have one colour
        published: a published figure to compare with
    """

    label: str
    value: float
    low: float | None
    high: float | None
    kind: str
    published: float | None = None


@dataclass(frozen=True)
class Trend:
    """A language's figures, the oldest first; NaN for an evaluation without one."""

    label: str
    values: Sequence[float]


def bar_chart(bars: Sequence[Bar], *, axis: str, limit: float, name: str, title: str) -> str:
    """Horizontal bars, the first on top, as an `<svg>` element.

    Args:
        bars: at least one, of at most two kinds; two get two colours and a legend
        axis: what the values are, with their unit
        limit: the axis does not go beyond it; a longer bar is cut and shows its value
        name: unique within the page: it starts the ids in the SVG
        title: the text alternative to the picture
    """
    kinds = list(dict.fromkeys(bar.kind for bar in bars))
    with _settings(name):
        figure, axes = _figure(len(bars))
        reach = max(max(bar.value, bar.high or 0, bar.published or 0) for bar in bars)
        end = min(max(reach, limit / 20), limit) * 1.18  # room for the numbers
        for row, bar in enumerate(bars):
            _draw(axes, row, bar, _COLOURS[kinds.index(bar.kind)], end)
        _label_rows(axes, [bar.label for bar in bars])
        axes.set_xlim(0, end)
        axes.set_xlabel(axis, color=_INK)
        axes.grid(axis="x", color=_FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        handles: list[Any] = [Line2D([], [], color=_INK, linewidth=1, label="95 % interval")] * any(
            bar.low is not None for bar in bars
        )
        if any(bar.published is not None for bar in bars):
            handles.append(Line2D([], [], **_PUBLISHED, linestyle="", label="published"))
        if len(kinds) > 1:
            handles[:0] = [
                Patch(facecolor=colour, label=kind)
                for kind, colour in zip(kinds, _COLOURS, strict=False)
            ]
        if handles:
            figure.legend(
                handles=handles, loc="outside upper right", ncols=3, frameon=False, labelcolor=_INK
            )
        return _inline(figure, name, title)


def trend_chart(
    trends: Sequence[Trend], *, ends: tuple[str, str], axis: str, name: str, title: str
) -> str:
    """A line per language, each with its own scale from zero, as an `<svg>` element.

    Args:
        trends: at least one, all equally long
        ends: labels of the first and the last value
        axis: what the values are, with their unit
        name: unique within the page: it starts the ids in the SVG
        title: the text alternative to the picture
    """
    last = len(trends[0].values) - 1
    with _settings(name):
        figure, axes = _figure(len(trends))
        for row, trend in enumerate(trends):
            values = np.array(trend.values, dtype=np.float64)
            known = values[~np.isnan(values)]
            top = max(float(known.max()), 1e-9)
            axes.plot(range(last + 1), row + 0.4 - 0.8 * values / top, color=_COLOURS[0])
            axes.axhline(row + 0.42, color=_FAINT, linewidth=0.6)
            text = f"{known[0]:.1f} → {known[-1]:.1f}"
            axes.text(last * 1.03, row, text, va="center_baseline", color=_INK)
        _label_rows(axes, [trend.label for trend in trends])
        axes.set_xlim(0, last * 1.32)  # room for the numbers
        axes.set_xticks([0, last], list(ends), color=_INK)
        axes.get_xticklabels()[0].set_ha("left")
        axes.get_xticklabels()[1].set_ha("right")
        axes.set_xlabel(axis, color=_INK)
        return _inline(figure, name, title)


def _settings(name: str) -> AbstractContextManager[None]:
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
            "svg.hashsalt": name,
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,  # a language named `$x$` is not a formula
        }
    )


def _figure(rows: int) -> tuple[Figure, Any]:
    figure = Figure(figsize=(_WIDTH, _MARGINS + _ROW * rows), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes


def _label_rows(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels], color=_INK)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="both", colors=_INK, length=0)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"


def _draw(axes: Any, row: int, bar: Bar, colour: str, end: float) -> None:
    axes.barh(row, min(bar.value, end), height=0.66, color=colour)
    reach = bar.value
    if bar.low is not None and bar.high is not None:
        reach = max(bar.value, bar.high)
        axes.plot(
            [bar.low, bar.high], [row, row], color=_INK, linewidth=1, marker="|", markersize=5
        )
    if bar.published is not None:
        axes.plot([min(bar.published, end)], [row], **_PUBLISHED)
        # The number belongs to the bar: it goes behind the mark only if it has no room before it.
        if reach <= bar.published < reach + end * _NUMBER:
            reach = bar.published
    fits = reach < end * 0.9
    axes.text(
        reach + end * 0.012 if fits else end,
        row,
        f"{bar.value:.1f}" if bar.value <= end else f"{bar.value:.0f} →",
        va="center_baseline",
        ha="left" if fits else "right",
        color=_PAPER if bar.value > end * 0.9 else _INK,
    )


def _inline(figure: Figure, name: str, title: str) -> str:
    """The `<svg>` element of a figure, scalable, with ids and colours of the page."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    document = drawn.getvalue()
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
