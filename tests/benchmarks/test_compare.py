"""What the table says follows from the runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.archive import Recorded
from benchmarks.compare import Spread, rows, turns, word_error_rate
from benchmarks.engines import BASELINE, Text
from benchmarks.measure import DeviceState, Measured, device_state
from benchmarks.table import comparison

ARCHIVE = [
    Recorded("a", 60.0, "one two three four", "es"),
    Recorded("b", 40.0, "five six seven eight", "es"),
]


def run(engine: str, wall_s: float, *texts: str) -> Measured:
    read = [Text(path, text, "es", 10) for path, text in zip("ab", texts, strict=True)]
    return Measured(engine, wall_s, 1.0, 2 << 20, None, None, read)


def test_every_engine_comes_first_in_some_turn() -> None:
    order = turns(["x", "y", "z"], 3)
    assert [turn[0] for turn in order] == ["x", "y", "z"]
    assert all(sorted(turn) == ["x", "y", "z"] for turn in order)


def test_speed_is_compared_within_a_turn_so_that_drift_cancels_out() -> None:
    texts = ("one two three four", "five six seven eight")
    slow_then_fast = [
        [run(BASELINE, 20.0, *texts), run("other", 10.0, *texts)],
        [run("other", 5.0, *texts), run(BASELINE, 10.0, *texts)],
    ]
    baseline, other = rows(slow_then_fast, ARCHIVE)
    assert other.ratio == Spread(2.0, 2.0, 2.0)
    assert other.rtfx == Spread(15.0, 10.0, 20.0)
    assert baseline.ratio == Spread(1.0, 1.0, 1.0)


def test_texts_are_compared_with_the_baseline_and_with_the_truth() -> None:
    turn = [
        run(BASELINE, 1.0, "one two three four", "five six seven nine"),
        run("other", 1.0, " one two three four", "Five six, seven ten."),
    ]
    baseline, other = rows([turn], ARCHIVE)
    assert (baseline.same, baseline.wer_to_baseline, baseline.wer) == (1.0, 0.0, 1 / 8)
    assert (other.same, other.wer_to_baseline, other.wer) == (0.5, 1 / 8, 1 / 8)


def test_an_engine_that_missed_a_turn_is_not_in_the_table() -> None:
    whole = run(BASELINE, 1.0, "", "")
    found = rows([[whole, run("other", 1.0, "", "")], [whole]], ARCHIVE)
    assert [row.engine for row in found] == [BASELINE]


def test_letters_count_where_there_are_no_spaces() -> None:
    assert word_error_rate([("你好世界", "你好时界", "zh")]) == 0.25


@pytest.mark.parametrize("readable", [True, False])
def test_the_table_is_whole_without_a_baseline(readable: bool) -> None:
    found = rows([[run("other", 2.0, "one", "two")]], ARCHIVE)
    text = comparison(found, on_device=False, readable=readable)
    head, rule, line = text.splitlines()
    assert len(head) == len(rule) == len(line)
    assert "50.0 (50.0–50.0)" in line
    assert ("20" in line.split("|")[-2]) is not readable


def test_the_device_is_told_by_its_memory_and_how_busy_it_was() -> None:
    texts = ("one two three four", "five six seven eight")
    turns = [
        [replace(run(BASELINE, 1.0, *texts), peak_device_memory=memory << 20, device_busy=busy)]
        for memory, busy in ((300, 0.5), (200, 0.9))
    ]
    found = rows(turns, ARCHIVE)
    assert found[0].device_busy == Spread(0.7, 0.5, 0.9)
    head, _, line = comparison(found, on_device=True, readable=True).splitlines()
    cells = dict(
        zip(*([c.strip() for c in row.strip("|").split("|")] for row in (head, line)), strict=True)
    )
    assert (cells["peak on device"], cells["device busy"]) == ("300 MiB", "70 % (50–90)")
    assert "device busy" not in comparison(found, on_device=False, readable=True)


def test_the_driver_is_asked_for_memory_and_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for told, busy in (("87", 0.87), ("[N/A]", None)):
        driver.write_text(f"#!/bin/sh\necho '1024, {told}'\n")
        assert device_state() == DeviceState(1 << 30, busy)
