"""Lists are read as those who distribute them write and read them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sacrebleu.metrics import BLEU

from nightscribe.errors import ConfigurationError
from nightscribe.escaped_tsv import escaped_rows
from nightscribe.manifests.layouts.registry import read_layout
from tests.unprivileged import unprivileged

SENTENCES = [
    'He said: "It rains tonight, Sara."',
    '"Quoted as a whole"',
    'One quotation mark " in the middle',
    "A backslash \\ and two \\\\ more",
    "Ends in a backslash\\",
    "A tab\tin the middle",
    "A line\nand another",
    "“Curly” quotes and an apostrophe's",
    "plain",
    "null",
    "NA",
    "日本語「引用」",
    "cafe\u0301 NFD and caf\u00e9 NFC",
    'Doubled ""quotes""',
]
HEADER = ["client_id", "path", "sentence", "translation"]
ROWS = [[f"speaker{n % 3}", f"clip{n}.mp3", text, text] for n, text in enumerate(SENTENCES)]


def by_pandas(path: Path) -> None:
    """As CoVoST 2's script and Common Voice's CorporaCreator write their lists."""
    frame = pd.DataFrame(ROWS, columns=HEADER)
    frame.to_csv(path, sep="\t", index=False, escapechar="\\", quoting=csv.QUOTE_NONE)


def by_csv(path: Path) -> None:
    """As the `csv` module writes them with the same settings: quotation marks are escaped too."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", escapechar="\\", quoting=csv.QUOTE_NONE)
        writer.writerows([HEADER, *ROWS])


@pytest.mark.parametrize("write", [by_pandas, by_csv])
@pytest.mark.parametrize("layout", ["covost2", "common-voice"])
def test_escaped_lists_give_the_texts_that_were_written(
    write: Callable[[Path], None], layout: str, tmp_path: Path
) -> None:
    (tmp_path / "de" / "clips").mkdir(parents=True)
    name = "covost_v2.de_en.test.tsv" if layout == "covost2" else "test.tsv"
    path = tmp_path / "de" / name
    write(path)
    found = read_layout(layout, tmp_path)
    official = pd.read_csv(path, sep="\t", escapechar="\\", quoting=csv.QUOTE_NONE, na_filter=False)
    assert official["sentence"].to_list() == SENTENCES  # so these are the texts
    assert [one.text for one in found] == SENTENCES
    assert [one.speaker for one in found] == official["client_id"].to_list()
    if layout == "covost2":
        perfect = [one.translation or "" for one in found]
        assert BLEU(force=True).corpus_score(perfect, [SENTENCES]).score == pytest.approx(100)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a\\b\tAC\\DC\n", [(1, ["a\\b", "AC\\DC"])]),  # no escape: later lists have none
        ("a\\\\\tb\n", [(1, ["a\\", "b"])]),
        ("a\\\tb\tc\r\nd\te\r\n", [(1, ["a\tb", "c"]), (2, ["d", "e"])]),
        ("a\\\nb\tc\n\nd\te", [(1, ["a\nb", "c"]), (4, ["d", "e"])]),
        ("\u2028\t\\", [(1, ["\u2028", "\\"])]),
        ("", []),
    ],
)
def test_a_backslash_escapes_what_would_end_a_cell(
    text: str, rows: list[tuple[int, list[str]]]
) -> None:
    assert list(escaped_rows(text)) == rows


def test_a_wrong_row_after_an_escaped_line_break_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "de" / "clips").mkdir(parents=True)
    path = tmp_path / "de" / "test.tsv"
    path.write_text("path\tsentence\na.mp3\tone\\\nmore\nb.mp3\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line 4: 1 cells, but the header has 2 columns"):
        read_layout("common-voice", tmp_path)


def fleurs(folder: Path, split: str = "test", english: str = "One.") -> Path:
    for locale, lines in {
        "de_de": [("7", "a.wav", '"Eins', '"eins'), ("7", "b.wav", "Eins.", "eins")],
        "en_us": [("7", "a.wav", "One.", "one"), ("7", "b.wav", english, "one")],
    }.items():
        rows = ["\t".join([*line, "x", "480", "MALE"]) for line in lines]
        (folder / locale / "audio" / split).mkdir(parents=True, exist_ok=True)
        (folder / locale / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_fleurs_keeps_quotation_marks_and_names_no_speaker(tmp_path: Path) -> None:
    german = read_layout("fleurs", fleurs(tmp_path), ["de"])
    assert [one.text for one in german] == ['"eins', "eins"]
    assert {one.translation for one in german} == {"One."}
    assert {one.speaker for one in german} == {None}


def test_fleurs_sentences_of_one_id_that_differ_are_no_translation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    german = read_layout("fleurs", fleurs(tmp_path, english="Two."), ["de"])
    assert {one.translation for one in german} == {None}
    assert "different English sentences" in caplog.text
    caplog.clear()
    spaced = read_layout("fleurs", fleurs(tmp_path, english=" One. "), ["de"])
    assert {one.translation for one in spaced} == {"One."}
    assert not caplog.text


def librispeech(folder: Path, split: str) -> Path:
    for speaker, chapter in (("61", "70968"), ("61", "70970"), ("121", "121726")):
        path = folder / split / speaker / chapter / f"{speaker}-{chapter}.trans.txt"
        path.parent.mkdir(parents=True)
        path.write_text(f"{speaker}-{chapter}-0000 HE SAID\n", encoding="utf-8")
    return folder


def mls(folder: Path, split: str) -> Path:
    path = folder / "mls_german" / split / "transcripts.txt"
    (path.parent / "audio").mkdir(parents=True)
    lines = ("1054_1599_000001\teins", "1054_1600_000001\tzwei", "99_1600_000007\tdrei")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("layout", "make", "split", "name"),
    [
        ("librispeech", librispeech, "test-clean", "librispeech-test-clean"),
        ("librispeech", librispeech, "dev-other", "librispeech-dev-other"),
        ("mls", mls, "test", "mls"),
        ("mls", mls, "dev", "mls-dev"),
        ("fleurs", fleurs, "test", "fleurs"),
        ("fleurs", fleurs, "dev", "fleurs-dev"),
    ],
)
def test_a_data_set_is_named_by_its_split_unless_that_is_test(
    layout: str, make: Callable[[Path, str], Path], split: str, name: str, tmp_path: Path
) -> None:
    found = read_layout(layout, make(tmp_path, split), split=split)
    assert {(one.dataset, one.split) for one in found} == {(name, split)}


def test_speakers_are_those_of_the_folders(tmp_path: Path) -> None:
    found = read_layout("librispeech", librispeech(tmp_path, "test-clean"))
    assert [one.speaker for one in found] == ["121", "61", "61"]
    assert [one.speaker for one in read_layout("mls", mls(tmp_path, "test"))] == [
        *("1054", "1054", "99"),
    ]


@pytest.mark.parametrize(
    ("layout", "make", "hidden"),
    [
        ("librispeech", librispeech, "test-clean/61/70970"),
        ("librispeech", librispeech, "test-clean"),
    ],
)
def test_a_folder_that_cannot_be_listed_is_not_left_out(
    layout: str, make: Callable[[Path, str], Path], hidden: str, tmp_path: Path
) -> None:
    folder = make(tmp_path, "test-clean")
    script = f"""
from nightscribe.manifests.layouts.registry import read_layout
from pathlib import Path
try:
    print(len(list(read_layout({layout!r}, Path({str(folder)!r})))))
except PermissionError as error:
    print(error.filename)
"""
    (folder / hidden).chmod(0)
    try:
        assert unprivileged(script) == [str(folder / hidden)]
    finally:
        (folder / hidden).chmod(0o755)


def test_a_manifest_names_speakers_and_sessions(tmp_path: Path) -> None:
    path = tmp_path / "refs.csv"
    path.write_text("path,text,Speaker,session\na.wav,eins,Anna,1\nb.wav,zwei,,2\n")
    found = read_layout("manifest", path)
    assert [(one.speaker, one.session) for one in found] == [("Anna", "1"), (None, "2")]
    # They stay part of the metadata, as before.
    assert found[0].metadata == '{"Speaker": "Anna", "session": "1"}'
