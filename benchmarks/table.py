"""Markdown tables of figures, which are also readable in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.compare import Row, Spread

_MIB = 1 << 20


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table. All columns but the first are right-aligned."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(padded)} |"

    rule = [f"{'-' * widths[0]}", *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join(line(cells) for cells in (head, rule, *lines))


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
    return table(head, lines)


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
