"""Flags with lists extend, and flags with one value refuse a second one, in every command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

import evaluation.__main__ as evaluation
from nightscribe import cli

ONE_VALUE = (None, "?")


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command, and every action of a command, by its name."""
    yield "evaluation", evaluation._parser()
    pending = [("", cli._parser())]
    while pending:
        name, parser = pending.pop()
        yield name, parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                pending += [(f"{name} {one}", child) for one, child in action.choices.items()]


FLAGS = [
    pytest.param(parser, action, id=f"{name} {action.option_strings[0]}".strip())
    for name, parser in parsers()
    for action in parser._actions
    if action.option_strings and action.nargs != 0 and not name.endswith("transcribe")
]


def test_every_command_has_flags_that_are_tested() -> None:
    ids = " ".join(str(param.id) for param in FLAGS)
    for name in ("run --archives", "export --format", "add --languages", "evaluation --out"):
        assert name in ids


def parsed(parser: argparse.ArgumentParser, action: argparse.Action, words: list[str]) -> object:
    """The value of a flag; others are not required."""
    for other in parser._actions:
        other.required = False
    return getattr(parser.parse_args(words), action.dest)


def two_values(action: argparse.Action) -> list[str]:
    """Two values that the flag takes."""
    if action.choices:
        return [str(choice) for choice in action.choices][:2]
    known = {"--format": ["srt", "txt"], "--kind": ["gap", "stopped"]}
    known["--reason"] = ["temperature", "avg_logprob"]
    flag = action.option_strings[0]
    if flag == "--done-by":
        return ["06:00", "07:00"]
    return known.get(flag, ["7", "8"]) if action.nargs == "+" else ["7", "8"]


@pytest.mark.parametrize(("parser", "action"), FLAGS)
def test_a_flag_given_twice_extends_its_list_or_is_refused(
    parser: argparse.ArgumentParser,
    action: argparse.Action,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flag, (one, two) = action.option_strings[0], two_values(action)
    if action.nargs == "+":
        assert parsed(parser, action, [flag, one, flag, two]) == [one, two]
        assert parsed(parser, action, [flag, one, two]) == [one, two]
        assert parsed(parser, action, [flag, one, flag, one]) == [one]
        assert parsed(parser, action, []) == []
        return
    parsed(parser, action, [flag, one, flag, one])
    with pytest.raises(SystemExit) as ended:
        parsed(parser, action, [flag, one, flag, two])
    assert ended.value.code == 2
    assert f"{flag}" in (said := capsys.readouterr().err)
    assert "given twice" in said


@pytest.mark.parametrize(
    ("words", "dest", "values"),
    [
        ("run --archive a --archive b", "archives", ["a", "b"]),
        ("scan --archives a,b c", "archives", ["a,b", "c"]),  # a name may have a comma
        ("run --option temperature=0,0.4 --option beam_size=5 best_of=3", "option",
         ["temperature=0,0.4", "beam_size=5", "best_of=3"]),
        ("export --out o --format srt,txt --format json", "format", ["srt", "txt", "json"]),
        ("baseline set --language zh,ja --language de", "language", ["zh", "ja", "de"]),
        ("datasets add fleurs --path p --languages de,fr zh", "languages", ["de", "fr", "zh"]),
        ("warnings --kind gap,stopped --run a --run b", "kind", ["gap", "stopped"]),
        ("doubtful --reason temperature --reason avg_logprob", "reason",
         ["temperature", "avg_logprob"]),
    ],
)  # fmt: skip
def test_lists_are_given_as_people_write_them(words: str, dest: str, values: list[str]) -> None:
    assert getattr(cli._parser().parse_args(words.split()), dest) == values


@pytest.mark.parametrize("words", ["export --out o --format srt,doc", "warnings --kind noise,gap"])
def test_an_unknown_value_of_a_list_is_named(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli._parser().parse_args(words.split())
    assert "choose from" in capsys.readouterr().err


def test_transcribe_takes_the_last_value_as_the_whisper_command_does() -> None:
    words = ["transcribe", "a.wav", "--model", "tiny", "--model", "turbo"]
    assert cli._parser().parse_args(words).model == "turbo"
