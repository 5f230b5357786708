"""The report as Markdown."""

from __future__ import annotations

import re

import pyarrow as pa

from tests.evaluation.report.reports import markdown


def test_markdown_has_one_row_per_language(
    samples: dict[str, tuple[tuple[str, str], ...]], sample_pairs: pa.Table
) -> None:
    lines = markdown(sample_pairs).splitlines()
    rows = [line for line in lines if re.search(r"\| (WER|CER) \|", line)]
    assert len(rows) == len(samples)
    assert all(sum(f"({language}) |" in row for row in rows) == 1 for language in samples)
    assert {row.count("|") for row in rows} == {19}
