"""Lists of data sets: the first line that is not as the layout says is a `ConfigurationError`.

A data set that is distributed has no bad lines. A bad line means that the path, the layout or the
release is another one than the user thinks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nightscribe.delimited import (
    Format,
    NotUtf8,
    Problem,
    decode,
    read_records,
    read_rows,
)
from nightscribe.errors import ConfigurationError
from nightscribe.manifests.layouts.utterance import line_of

__all__ = ["read_tsv", "read_tsv_rows", "text_of"]


def text_of(path: Path) -> str:
    """The text of a list. Raises `ConfigurationError`."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except NotUtf8 as error:
        raise ConfigurationError(f"{path}: {error}") from error


def read_tsv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows of a list without a header, as (line number, cells). Raises `ConfigurationError`."""
    for line, cells in read_rows(text_of(path), Format.TSV):
        if isinstance(cells, Problem):
            raise ConfigurationError(f"{line_of(path, line)}: {cells.detail}")
        yield line, cells


def read_tsv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a list with a header, as (line number, {column in lower case: cell}).

    Backslashes are read as Common Voice and CoVoST 2 write them, see `nightscribe.escaped_tsv`.
    Raises `ConfigurationError`, also if one of `columns` is not there.
    """
    text = text_of(path)
    if not text.strip():
        raise ConfigurationError(
            f"{path}: is empty; its first line must name the columns {', '.join(columns)}"
        )
    required = [(column,) for column in columns]
    for line, record in read_records(text, Format.ESCAPED_TSV, required=required):
        if isinstance(record, Problem):
            raise ConfigurationError(f"{line_of(path, line)}: {record.detail}")
        yield line, {column.lower(): cell for column, cell in record.items()}
