"""Languages in files to score: any spelling, one language; varieties apart where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.errors import InputError
from evaluation.measure.scoring import evaluate
from evaluation.pairs.from_files import Joined, join


def joined(folder: Path, languages: list[str], detected: str = "") -> Joined:
    references, hypotheses = folder / "refs.csv", folder / "hyps.csv"
    rows = [f'{number},"{language}",now' for number, language in enumerate(languages)]
    references.write_text("\n".join(["id,language,text", *rows]) + "\n", encoding="utf-8")
    rows = [f"{number},{detected},now" for number in range(len(languages))]
    hypotheses.write_text("\n".join(["id,language,text", *rows]) + "\n", encoding="utf-8")
    return join(references, hypotheses, tasks=("transcribe",), dataset="d", model="m")


def groups(found: Joined) -> list[tuple[str, str | None, int]]:
    scores = evaluate(found.pairs).scores.to_pylist()
    return [
        (row["language"], row["variety"], row["utterances"])
        for row in scores
        if row["metric"] == "wer"
    ]


def test_spellings_of_a_language_are_one_row(tmp_path: Path) -> None:
    found = joined(tmp_path, ["eng", "English", "en-US", " en ", "EN_us", "en"], "English")
    assert groups(found) == [("en", None, 6)]
    [accuracy] = [
        row for row in evaluate(found.pairs).scores.to_pylist() if row["metric"] == "lid_accuracy"
    ]
    assert accuracy["value"] == 1


def test_japanese_by_its_long_code_is_compared_letter_by_letter(tmp_path: Path) -> None:
    for language in ("jpn", "ja", "Japanese", "ja_JP"):
        found = joined(tmp_path, [language])
        assert [row["unit"] for row in _facts(found)] == ["letter"], language


def _facts(found: Joined) -> list[dict[str, str]]:
    signatures = [
        row["signature"] for row in evaluate(found.pairs).scores.to_pylist() if row["headline"]
    ]
    return [dict(part.split(":", 1) for part in signature.split("|")) for signature in signatures]


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (["zh-CN", "zh-TW", "cmn_hant_tw"], [("zh", "zh-CN", 1), ("zh", "zh-TW", 2)]),
        (["zh-CN", "zh-TW", "zh"], [("zh", None, 1), ("zh", "zh-CN", 1), ("zh", "zh-TW", 1)]),
        (["pt-BR", "pt_br"], [("pt", "pt-BR", 2)]),
        (["pt-BR", "pt-PT", "por-BR"], [("pt", "pt-BR", 2), ("pt", "pt-PT", 1)]),
        (["yue", "zh-HK", "zh-yue"], [("yue", None, 2), ("zh", "zh-HK", 1)]),
        (["en-GB", "English"], [("en", None, 2)]),
        (["und", "UND", "de"], [("de", None, 1), ("und", None, 2)]),
    ],
)
def test_varieties_are_apart_where_the_references_name_several(
    languages: list[str], expected: list[tuple[str, str | None, int]], tmp_path: Path
) -> None:
    assert groups(joined(tmp_path, languages)) == expected


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("Germn", "refs.csv, line 2: unknown language 'Germn': the nearest that Whisper knows is "),
        (
            "klingon",
            "refs.csv, line 2: unknown language 'klingon': none that Whisper knows is near",
        ),
        ("zh-nan", "refs.csv, line 2: unknown language 'zh-nan': the nearest"),
    ],
)
def test_an_unknown_language_is_refused(language: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown language") as caught:
        joined(tmp_path, [language])
    assert message in str(caught.value)


def test_an_unknown_detected_language_is_refused_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError):
        joined(tmp_path, ["en"], "englsh")
    files = [str(tmp_path / name) for name in ("refs.csv", "hyps.csv")]
    assert main(["--references", files[0], "--hypotheses", files[1]]) == 2
    assert "hyps.csv, line 2: unknown language 'englsh'" in capsys.readouterr().err


def test_hong_kongs_cantonese_is_identified_as_such(tmp_path: Path) -> None:
    found = joined(tmp_path, ["zh-HK"], "yue")
    rates = {row["metric"]: row["value"] for row in evaluate(found.pairs).scores.to_pylist()}
    assert rates["lid_accuracy"] == 1
    found = joined(tmp_path, ["zh-TW"], "yue")
    rates = {row["metric"]: row["value"] for row in evaluate(found.pairs).scores.to_pylist()}
    assert rates["lid_accuracy"] == 0
