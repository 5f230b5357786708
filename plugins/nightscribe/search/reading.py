"""Hits of a query."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from nightscribe.errors import ConfigurationError, SearchError
from nightscribe.search.fields import FILTERS, SCHEMA
from nightscribe.search.generations import State, read_state
from nightscribe.search.queries import Part, parts_of

__all__ = ["Found", "Hit", "SearchIndex"]

_ATTEMPTS = 3
"""A build may replace the generation between two looks at the folder."""


@dataclass(frozen=True)
class Hit:
    """A segment that has what was searched for.

    Attributes:
        before: text of the segment before it, empty for the first; `after` is that after it
    """

    recording_id: str
    transcript_id: str
    index: int
    start_s: float
    language: str
    task: str
    model: str
    text: str
    before: str
    after: str


@dataclass(frozen=True)
class Found:
    """Some of a query's hits.

    Attributes:
        count: all hits
        parts: what was searched for
        state: of the index
    """

    hits: Sequence[Hit]
    count: int
    parts: Sequence[Part]
    state: State


class SearchIndex:
    """An index to read, in many threads. Always reads the newest generation."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: tuple[str, tantivy.Searcher] | None = None

    def state(self) -> State | None:
        """What is in the index; None if there is none. Raises `SearchError`."""
        return read_state(self._folder())

    def search(
        self,
        query: str,
        *,
        limit: int = 50,
        offset: int = 0,
        **filters: str,
    ) -> Found:
        """The hits of a query, those of the newest transcripts first.

        Args:
            query: see `nightscribe.search.queries`
            filters: `language`, `task` and `model`; empty for all

        Raises:
            ConfigurationError: the query is too long, or has a prefix that is too short.
            SearchError: there is no index, or it cannot be read.
        """
        parts = parts_of(query)
        state, searcher = self._current()
        if not parts:
            return Found([], 0, parts, state)
        try:
            found = searcher.search(
                _tantivy_query(parts, filters),
                limit,
                offset=offset,
                order_by_field="order",
                order=tantivy.Order.Desc,
            )
            hits = [_hit(searcher.doc(address).to_dict()) for _, address in found.hits]
        except ValueError as error:
            if any(part.is_prefix and len(part.words) > 1 for part in parts):
                raise ConfigurationError(
                    "too many words begin with the last letters of the phrase: type more of them"
                ) from error
            raise SearchError(
                f"search index {self._folder()} cannot be read: {error}: delete the folder, then "
                "run `nightscribe index`"
            ) from error
        count: int = found.count  # type: ignore[attr-defined]  # missing in the package's stub
        return Found(hits, count, parts, state)

    def _current(self) -> tuple[State, tantivy.Searcher]:
        folder = self._folder()
        problem: Exception | None = None
        for _ in range(_ATTEMPTS):
            state = read_state(folder)
            if state is None:
                break
            with self._lock:
                if self._opened is not None and self._opened[0] == state.generation:
                    return state, self._opened[1]
                try:
                    searcher = _searcher(folder / state.generation)
                except (ValueError, OSError) as error:
                    problem = error
                    continue
                self._opened = state.generation, searcher
                return state, searcher
        raise SearchError(
            f"there is no search index at {folder} that can be used"
            + (f" ({problem})" if problem else "")
            + ": `nightscribe index` makes it"
        ) from problem


def _searcher(generation: Path) -> tantivy.Searcher:
    if os.access(generation, os.W_OK):
        return tantivy.Index.open(str(generation)).searcher()
    # Tantivy puts a lock beside the files that it opens. Open files outlive their links.
    with tempfile.TemporaryDirectory(prefix="nightscribe-index-") as links:
        for file in generation.iterdir():
            if file.suffix != ".lock":
                Path(links, file.name).symlink_to(file)
        return tantivy.Index.open(links).searcher()


def _tantivy_query(parts: Sequence[Part], filters: Mapping[str, str]) -> tantivy.Query:
    queries = [_part_query(part) for part in parts]
    for name, value in filters.items():
        if name not in FILTERS:
            raise TypeError(f"{name!r} is no filter: there are {', '.join(FILTERS)}")
        if value:
            queries.append(tantivy.Query.term_query(SCHEMA, name, value, "basic"))
    return tantivy.Query.boolean_query([(tantivy.Occur.Must, query) for query in queries])


def _part_query(part: Part) -> tantivy.Query:
    # Words have letters, marks and digits only, so none is a sign of a regular expression.
    if len(part.words) == 1:
        [word] = part.words
        if part.is_prefix:
            return tantivy.Query.regex_query(SCHEMA, "words", f"{word}.*")
        return tantivy.Query.term_query(SCHEMA, "words", word)
    if part.is_prefix:
        # Not `phrase_prefix_query`, which looks at 50 words with the prefix and drops the others.
        *before, last = part.words
        return tantivy.Query.regex_phrase_query(SCHEMA, "words", [*before, f"{last}.*"])
    return tantivy.Query.phrase_query(SCHEMA, "words", list(part.words))


def _hit(stored: Mapping[str, Sequence[Any]]) -> Hit:
    values = {name: value for name, [value] in stored.items()}
    for name in ("recording_id", "text", "before", "after"):
        values[name] = bytes(values[name]).decode()
    return Hit(**values)
