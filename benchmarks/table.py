"""Markdown tables of figures, which are also readable in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.compare import Row, Spread
from benchmarks.engines import BASELINE
from nightscribe.text_tables import markdown_table
from nightscribe.whisper.batched.random_weights import SHAPES, parameters

_MIB = 1 << 20


def comparison(rows: Sequence[Row], *, on_device: bool, readable: bool) -> str:
    """The table of the engines. With `readable` False, it omits the columns about texts."""
    head = ["engine", "RTFx", "× openai-whisper", "peak memory"]
    head += ["peak on device", "device busy"] if on_device else []
    head += ["same text", "WER to openai-whisper", "WER"] if readable else ["tokens"]
    lines = []
    for row in rows:
        cells = [row.engine, _range(row.rtfx, 1), _range(row.ratio, 2), _memory(row.peak_memory)]
        if on_device:
            cells += [_memory(row.peak_device_memory), _shares(row.device_busy)]
        if readable:
            cells += [_share(row.same), _share(row.wer_to_baseline), _share(row.wer)]
        else:
            cells += ["–" if row.tokens is None else str(row.tokens)]
        lines.append(cells)
    return markdown_table(head, lines)


SHAPE_ENGINES = (
    *(BASELINE, "nightscribe", "nightscribe bfloat16"),
    *("faster-whisper", "faster-whisper int8"),
)
"""The engines of the table of shapes, unless others are named."""


def shape_table(found: Sequence[tuple[str, Sequence[Row]]], engines: Sequence[str]) -> str:
    """One line per shape: its parameters, and speed and memory of every engine.

    Each cell has the RTFx, how many times as fast as openai-whisper that is, and the peak memory.
    """
    lines = []
    for shape, compared in found:
        by_engine = {row.engine: row for row in compared}
        cells = [shape, f"{parameters(SHAPES[shape]) / 1e6:.0f} M"]
        cells += [_speed_and_memory(by_engine.get(name)) for name in engines]
        lines.append(cells)
    return markdown_table(["shape", "parameters", *engines], lines)


def _speed_and_memory(row: Row | None) -> str:
    if row is None:
        return "–"
    ratio = "" if row.ratio is None or row.engine == BASELINE else f", {row.ratio.median:.2f} ×"
    return f"{row.rtfx.median:.1f}{ratio}, {row.peak_memory / (1 << 30):.1f} GiB"


def _range(values: Spread | None, digits: int) -> str:
    if values is None:
        return "–"
    median, low, high = (
        f"{value:.{digits}f}" for value in (values.median, values.low, values.high)
    )
    return f"{median} ({low}–{high})"


def _shares(shares: Spread | None) -> str:
    if shares is None:
        return "–"
    return f"{100 * shares.median:.0f} % ({100 * shares.low:.0f}–{100 * shares.high:.0f})"


def _memory(count: int | None) -> str:
    return "–" if count is None else f"{count / _MIB:.0f} MiB"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"
