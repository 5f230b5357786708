"""How much a query of a person may use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QueryLimits"]

_MIB = 1024 * 1024


@dataclass(frozen=True)
class QueryLimits:
    """Limits of one query, and of all queries of a server process.

    Attributes:
        at_once: queries that run at the same time; another one is refused
        waiting_files: downloads that are being sent, which no longer count as running
        wall_s: seconds with the start of the process; then it is killed
        memory_mib: of DuckDB; more goes to the disk
        beyond_mib: address space that the process may take besides
        spill_mib: on disk, for intermediate results
        file_mib: size of a download, and of any file
        page_mib: size of one page of rows
        text: characters of a query
        page_rows, shown_rows, file_rows: of a page, of all pages, of a download
        columns: of a page
        cell: characters of a value on a page
    """

    at_once: int = 2
    waiting_files: int = 4
    wall_s: float = 30.0
    memory_mib: int = 512
    beyond_mib: int = 1024
    spill_mib: int = 1024
    file_mib: int = 1024
    page_mib: int = 8
    text: int = 20_000
    page_rows: int = 100
    shown_rows: int = 10_000
    file_rows: int = 1_000_000
    columns: int = 500
    cell: int = 2_000

    @property
    def page_bytes(self) -> int:
        return self.page_mib * _MIB

    @property
    def file_bytes(self) -> int:
        return self.file_mib * _MIB
