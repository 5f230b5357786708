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
on_too_few = "fail"
max_wer = 60
min_bleu = 12.5

[margins]
wer = 1
bleu = 2.5

[[override]]
dataset = "fleurs"
language = "sw"
metric = "wer"
margin = 3.0
max_wer = 150

[[override]]
language = "my"
on_too_few = "warn"

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
        on_too_few="fail",
        margins={"wer": 1.0, "bleu": 2.5},
        limits={"wer": 60.0, "bleu": 12.5},
        overrides=[
            Override(
                dataset="fleurs", language="sw", metric="wer", margin=3.0, limits={"wer": 150.0}
            ),
            Override(language="my", on_too_few="warn"),
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
        (
            "margin = 1",
            "the file has `margin`: expected one of action, alpha, on_too_few, margins, override, "
            "max_wer",
        ),
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
        ("on_too_few = 'ignore'", "`on_too_few` is 'ignore': expected one of fail, warn"),
        ("max_wer = -1", "`max_wer` is -1: expected points, 0 or more"),
        ("max_cer = inf", "`max_cer` is inf: expected points, 0 or more"),
        ("max_wer = 'all'", "`max_wer` is 'all': expected points, 0 or more"),
        ("min_bleu = 101", "`min_bleu` is 101: expected points, from 0 to 100"),
        ("min_wer = 4", "the file has `min_wer`: expected one of"),
        ("min_lid_accuracy = 0.95", "limits are in points, from 0 to 100: write 95"),
        ("[[override]]\nmin_chrf = 0.5", "number 1: `min_chrf` is 0.5: limits are in points"),
        (
            "[[override]]\nmetric = 'wer'\nmax_cer = 9",
            "number 1: is for the metric wer and limits cer: leave `metric` out",
        ),
        ("action =", "is no TOML"),
        ("alpha = nan", "`alpha` is nan: expected a probability above 0 and below 1"),
        ("override = [1]", "`override` must be an array of tables: [[override]]"),
        ("[override]\nmargin = 1", "`override` must be an array of tables: [[override]]"),
        (
            "[[override]]\naction = 'warn'\n[[override]]\nmargn = 1\naction = 'warn'",
            "[[override]] number 2 has `margn`: expected one of dataset, language, task, metric, "
            "margin, action, on_too_few, max_wer, max_cer",
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


def test_the_example_in_the_documentation_is_what_it_says(repository: Path, file: Path) -> None:
    page = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    [example] = [part for part in page.split("```") if part.startswith("toml\n")]
    file.write_text(example.removeprefix("toml\n"))
    found, default = read_gate(file), Rules()
    assert (found.action, found.alpha, found.on_too_few) == (
        default.action,
        default.alpha,
        default.on_too_few,
    )
    assert found.margins == default.margins
    assert found.limits == {"wer": 60, "bleu": 10}
    assert len(found.overrides) == 3
