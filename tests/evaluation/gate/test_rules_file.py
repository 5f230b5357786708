"""gate.toml: what it may contain, and the message for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import InputError
from evaluation.gate.rules import MARGINS, Override, Rules
from evaluation.gate.rules_file import read_gate

WHOLE = """
action = "warn"
alpha = 0.01

[margins]
wer = 1
bleu = 2.5

[[override]]
dataset = "fleurs"
language = "sw"
metric = "wer"
margin = 3.0

[[override]]
task = "translate"
action = "ignore"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gate.toml"


def test_everything_that_can_be_said(file: Path) -> None:
    file.write_text(WHOLE)
    assert read_gate(file) == Rules(
        action="warn",
        alpha=0.01,
        margins={"wer": 1.0, "bleu": 2.5},
        overrides=[
            Override(dataset="fleurs", language="sw", metric="wer", margin=3.0),
            Override(task="translate", action="ignore"),
        ],
    )


def test_an_empty_file_is_the_default(file: Path) -> None:
    file.write_text("")
    assert read_gate(file) == Rules(margins=MARGINS, overrides=[])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("action = 'shout'", "`action` is 'shout': expected one of fail, warn, ignore"),
        ("alpha = 5", "`alpha` is 5"),
        ("alpha = true", "`alpha` is True"),
        ("margin = 1", "the file has `margin`: expected one of action, alpha, margins, override"),
        ("margins = 1", "`margins` must be a table"),
        ("[margins]\nper = 1", "[margins] has `per`: expected one of wer, cer"),
        ("[margins]\nwer = 'much'", "`wer` is 'much': expected points"),
        ("[margins]\nwer = -1", "`wer` is -1: expected points"),
        ("override = 1", "`override` must be an array of tables"),
        ("[[override]]\nlanguage = 'de'", "number 1: changes nothing"),
        ("[[override]]\nlanguage = 3\nmargin = 1", "`language` is 3: expected a text"),
        (
            "[[override]]\nlanguage = 'Germn'\nmargin = 1",
            "number 1: unknown language 'Germn': the nearest that Whisper knows is German (de)",
        ),
        ("[[override]]\nlanguage = 'kmr'\nmargin = 1", "number 1: unknown language 'kmr'"),
        ("[[override]]\nlanguage = 'xx'\nmargin = 1", "number 1: unknown language 'xx'"),
        ("[[override]]\ntask = 'sing'\nmargin = 1", "`task` is 'sing'"),
        ("[[override]]\nmetric = 'per'\nmargin = 1", "`metric` is 'per'"),
        ("[[override]]\naction = 'sing'", "`action` is 'sing'"),
        ("action =", "is no TOML"),
        ("alpha = nan", "`alpha` is nan: expected a probability above 0 and below 1"),
        ("override = [1]", "`override` must be an array of tables: [[override]]"),
        ("[override]\nmargin = 1", "`override` must be an array of tables: [[override]]"),
        (
            "[[override]]\naction = 'warn'\n[[override]]\nmargn = 1\naction = 'warn'",
            "[[override]] number 2 has `margn`: expected one of dataset, language, task, metric, "
            "margin, action",
        ),
        (
            "[[override]]\nmargin = '1'",
            "[[override]] number 1: `margin` is '1': expected points, from 0 to 100",
        ),
        (
            "[[override]]\ntask = 'sing'\nmargin = 1",
            "[[override]] number 1: `task` is 'sing': expected one of transcribe, translate",
        ),
    ],
)
def test_a_wrong_entry_is_named_with_what_it_may_be(file: Path, content: str, message: str) -> None:
    file.write_text(content)
    with pytest.raises(InputError) as caught:
        read_gate(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_all_wrong_entries_are_named_at_once(file: Path) -> None:
    file.write_text("alpha = 5\n[margins]\nwer = -1")
    with pytest.raises(InputError, match=r"`alpha` is 5: .*; \[margins\]: `wer` is -1: "):
        read_gate(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: cannot be read: No such file"):
        read_gate(tmp_path / "none.toml")
