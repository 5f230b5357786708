"""Tables line up, whatever is in their cells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nightscribe.text_tables import table_text


def test_numbers_are_right_aligned_and_none_is_empty() -> None:
    text = table_text(["model", "MB"], [["tiny", "72.1"], ["large-v3", "2870.0"], ["x", None]])
    assert text.splitlines() == [
        "model         MB",
        "--------- ------",
        "tiny        72.1",
        "large-v3  2870.0",
        "x",
    ]


def test_markup_and_emoji_codes_in_cells_are_text() -> None:
    assert "[red]x[/red] :smile:" in table_text(["text"], [["[red]x[/red] :smile:"]])


CELLS = st.lists(st.text("abc 中文é", max_size=12).map(str.strip), min_size=1, max_size=5)


@given(CELLS)
def test_second_column_begins_at_the_same_place_in_every_row(cells: list[str]) -> None:
    lines = table_text(["first", "second"], [[cell, "|end"] for cell in cells]).splitlines()
    places = {cell_len(line.partition("|end")[0]) for line in lines[2:]}
    assert len(places) == 1
    assert len(lines) == len(cells) + 2
