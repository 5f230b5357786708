"""What manifests say twice, take back or spell in another way: no reference is wrong in silence."""

from __future__ import annotations

import io
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from nightscribe.errors import ConfigurationError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.manifests.layouts.utterance import Utterance
from nightscribe.settings import Settings
from nightscribe.stages.datasets import add_dataset
from nightscribe.stages.ingest import ingest
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from tests.nights import write_noise

CPU = Settings(device="cpu")
NFC, NFD = "caf\u00e9.wav", "cafe\u0301.wav"


def write_container(path: Path, members: dict[str, bytes]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


class Nights:
    """A lake and an archive, and the nights that take it in."""

    def __init__(self, folder: Path) -> None:
        self.archive = folder / "archive"
        self.lake = open_lake(str(folder / "lake"))
        self._count = 0

    def write(self, name: str, lines: list[str], header: str = "path,text,dataset") -> None:
        """Write a manifest, with another time than before."""
        path = self.archive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *lines]) + "\n")
        self._count += 1
        os.utime(path, (self._count, self._count))

    def take_in(self, plans: int = 1) -> None:
        self._count += 1
        run = f"r{self._count}"
        order = Order((str(self.archive),), "demo")
        archives = order.wanted(CPU).archives
        for spec in scan(self.lake, archives, run, settings=CPU, folder=work_folder(run)).specs:
            ingest(self.lake, spec, run, settings=CPU)
        for _ in range(plans):
            plan_run(self.lake, order, run, CPU, 10)

    def texts(self, folder: str = "") -> list[str]:
        """The texts of all recordings, or of those below a folder."""
        found = read(
            self.lake,
            """SELECT text FROM reference_texts WHERE $folder = '' OR recording_id IN (
                 SELECT recording_id FROM sources WHERE starts_with(member, $folder || '/'))
               ORDER BY text""",
            folder=folder,
        ).to_pylist()
        return [row["text"] for row in found]

    def told(self) -> list[str]:
        found = read(self.lake, "SELECT detail FROM rejected ORDER BY uri, detail").to_pylist()
        return [row["detail"] for row in found]

    def hints(self) -> dict[str, str | None]:
        found = read(self.lake, "SELECT member, language_hint FROM sources").to_pylist()
        return {row["member"]: row["language_hint"] for row in found}


def write_recordings(folder: Path, seed: int) -> None:
    """Three files with the audio of a seed, and one with that of the next seed."""
    for name in ("a.wav", "copy.wav", "sub/copy.wav"):
        write_noise(folder / name, seed)
    write_noise(folder / "b.wav", seed + 1)


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    made = Nights(tmp_path)
    write_recordings(made.archive, 1)
    return made


def test_two_texts_for_one_audio(nights: Nights) -> None:
    cases: dict[str, tuple[list[str], int, int]] = {  # lines, references, rejected lines
        "two": (["a.wav,one,d", "copy.wav,two,d"], 1, 2),
        "same": (["a.wav,one,d", "copy.wav,one,d"], 2, 0),
        "two data sets": (["a.wav,one,d", "copy.wav,two,e"], 3, 0),
        "three": (["a.wav,one,d", "copy.wav,one,d", "sub/copy.wav,two,d"], 1, 3),
    }
    for number, (case, (lines, _, _)) in enumerate(cases.items(), start=5):
        write_recordings(nights.archive / case, 2 * number)
        nights.write(f"{case}/manifest.csv", [*lines, "b.wav,three,d"])
    nights.take_in(plans=2)  # a repeated plan adds nothing
    for case, (_, references, told) in cases.items():
        rejected = read(
            nights.lake,
            "SELECT reason, detail FROM rejected WHERE contains(uri, $case)",
            case=f"!/{case}/",
        ).to_pylist()
        assert len(nights.texts(case)) == references, case
        assert [row["reason"] for row in rejected] == told * ["manifest_bad_row"], case
        assert all("are the same audio" in row["detail"] for row in rejected)


@pytest.mark.parametrize(
    ("splits", "kept", "told"),
    [
        (("dev", "test"), [], 2),
        (("train", "dev"), [], 2),
        (("", "test"), ["test"], 0),
        (("dev", ""), ["dev"], 0),
        (("dev", "dev"), ["dev"], 0),
    ],
)
def test_one_audio_in_two_splits(
    splits: tuple[str, str], kept: list[str], told: int, nights: Nights
) -> None:
    lines = [f"a.wav,one,d,{splits[0]}", f"copy.wav,one,d,{splits[1]}"]
    nights.write("manifest.csv", lines, header="path,text,dataset,split")
    nights.take_in()
    found = read(nights.lake, "SELECT split FROM reference_texts")["split"].to_pylist()
    assert found == kept
    assert len(nights.told()) == told
    assert all("different splits (transcribe, data set d)" in detail for detail in nights.told())


def test_speakers_of_a_manifest_are_in_the_lake_where_they_agree(nights: Nights) -> None:
    lines = ["a.wav,one,d,anna,1", "copy.wav,one,d,,2", "b.wav,two,d,,"]
    nights.write("manifest.csv", lines, header="path,text,dataset,Speaker,session")
    nights.take_in()
    found = read(nights.lake, "SELECT text, speaker, session FROM reference_texts ORDER BY text")
    assert found.to_pylist() == [
        {"text": "one", "speaker": "anna", "session": None},
        {"text": "two", "speaker": None, "session": None},
    ]


@pytest.mark.parametrize("slice_rows", [50_000, 1])
def test_two_texts_of_two_nights(
    slice_rows: int, nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.manifests.annotate.SLICE_ROWS", slice_rows)
    nights.write("manifest.csv", ["a.wav,one,d", "b.wav,three,d"])
    nights.take_in()
    assert nights.texts() == ["one", "three"]
    write_noise(nights.archive / "later" / "copy.wav", 1)
    nights.write("later/manifest.csv", ["copy.wav,two,d"])
    nights.take_in()
    assert nights.texts() == ["three"]
    assert len(nights.told()) == 2
    assert "a.wav and " in nights.told()[0]
    assert "line 2 of " in nights.told()[0]


@pytest.mark.parametrize("container", ["zip", "tar"])
def test_two_texts_in_a_folder_and_in_a_container(container: str, nights: Nights) -> None:
    nights.write("manifest.csv", ["a.wav,one,d", "b.wav,three,d"])
    packed = {
        "x.wav": (nights.archive / "a.wav").read_bytes(),
        "manifest.csv": b"path,text,dataset\nx.wav,two,d\n",
    }
    write_container(nights.archive / f"packed.{container}", packed)
    nights.take_in()
    assert nights.texts() == ["three"]
    assert [detail.count("are the same audio") for detail in nights.told()] == [1, 1]


def test_two_manifests_of_one_folder(nights: Nights) -> None:
    nights.write("manifest.csv", ["a.wav,one,en", "b.wav,three,de"], "path,text,language")
    nights.write("manifest.tsv", ["a.wav\ttwo\ten", "b.wav\t\tfr"], "path\ttext\tlanguage")
    nights.write("manifest.jsonl", ['{"path": "copy.wav", "language": "it"}'], "")
    nights.take_in()
    assert nights.texts() == ["three"]
    assert nights.hints() == {
        "a.wav": "en",
        "b.wav": None,  # two languages
        "copy.wav": "it",
        "sub/copy.wav": None,
    }
    text, language = nights.told()
    assert "different texts" in text
    assert "different languages (de, fr)" in language


def test_what_a_manifest_takes_back_is_no_reference_any_more(nights: Nights) -> None:
    cases = {
        "two texts": ["a.wav,one,d", "a.wav,two,d"],
        "nan": ["a.wav,NaN,d"],
        "empty": ["a.wav,,d"],
        "no letters": ["a.wav,...,d"],
        "another data set": ["a.wav,one,other"],
    }
    for number, case in enumerate(cases, start=5):
        write_recordings(nights.archive / case, 2 * number)
        nights.write(f"{case}/manifest.csv", ["a.wav,one,d", "b.wav,three,d"])
    nights.take_in()
    for case, lines in cases.items():
        assert nights.texts(case) == ["one", "three"], case
        nights.write(f"{case}/manifest.csv", sorted({*lines, "b.wav,three,d"}))
    nights.take_in()
    for case in cases:
        left = ["one", "three"] if case == "another data set" else ["three"]
        assert nights.texts(case) == left, case
        nights.write(f"{case}/manifest.csv", ["a.wav,four,d"])
    found = read(nights.lake, "SELECT text, dataset FROM reference_texts").to_pylist()
    assert {"text": "one", "dataset": "d"} not in found
    assert found.count({"text": "three", "dataset": "d"}) == len(cases)
    nights.take_in()
    for case in cases:
        assert nights.texts(case) == ["four", "three"], case


def test_what_a_manifest_says_about_language_is_taken_back_too(nights: Nights) -> None:
    nights.write("manifest.csv", ["a.wav,de", "b.wav,fr"], "path,language")
    nights.take_in()
    nights.write("manifest.csv", ["a.wav,", "b.wav,it"], "path,language")
    nights.take_in()
    assert nights.hints() == {"a.wav": None, "b.wav": "it", "copy.wav": None, "sub/copy.wav": None}


def test_a_line_that_a_manifest_lacks_takes_nothing_back(nights: Nights) -> None:
    """Some people write a manifest for each night, over the one before."""
    nights.write("manifest.csv", ["a.wav,one,d"])
    nights.take_in()
    nights.write("manifest.csv", ["b.wav,three,d"])
    nights.take_in()
    assert nights.texts() == ["one", "three"]


def test_a_corrected_text_is_no_contradiction(nights: Nights) -> None:
    for text in ("one", "two", "three"):
        nights.write("manifest.csv", [f"a.wav,{text},d"])
        nights.take_in()
        assert nights.texts() == [text]
    assert nights.told() == []


def test_a_manifest_that_cannot_be_read_any_more_takes_nothing_back(nights: Nights) -> None:
    nights.write("manifest.csv", ["a.wav,one,d"])
    nights.take_in()
    (nights.archive / "manifest.csv").write_bytes("path,text\na.wav,gar\xe7on\n".encode("latin-1"))
    nights.take_in()
    assert nights.texts() == ["one"]
    assert "is not UTF-8" in nights.told()[0]


@pytest.mark.parametrize(("named", "there"), [(NFC, NFD), (NFD, NFC)])
def test_canonically_equal_names_are_the_same_file(named: str, there: str, nights: Nights) -> None:
    manifest = f"path,text,language\nsub/{named},one,fr\n"
    (nights.archive / "manifest.csv").write_text(manifest)
    write_noise(nights.archive / "sub" / there, 5)
    for seed, kind in enumerate(("zip", "tar"), start=6):
        content = write_noise(nights.archive.parent / "noise.wav", seed).read_bytes()
        members = {f"sub/{there}": content, "manifest.csv": manifest.encode()}
        write_container(nights.archive / f"a.{kind}", members)
    nights.take_in()
    assert nights.told() == []
    assert nights.texts() == ["one"] * 3
    query = "SELECT language_hint FROM sources WHERE member = $member"
    hints = read(nights.lake, query, member=f"sub/{there}")
    assert hints["language_hint"].to_pylist() == ["fr"] * 3


def test_where_both_spellings_are_files_each_is_its_own(nights: Nights) -> None:
    for seed, name in enumerate((NFC, NFD)):
        write_noise(nights.archive / name, 5 + seed)
    nights.write("manifest.csv", [f"{NFC},one,d", f"{NFD},one,d", "sub/caf\u00e9.wav,two,d"])
    nights.take_in()
    assert nights.texts() == ["one", "one"]


NEAREST = [  # named, there, what is told
    ("inter\u0432iew.wav", "interview.wav", "U+0076 LATIN SMALL LETTER V instead of U+0432"),
    ("inter view.wav", "inter\u00a0view.wav", "U+00A0 NO-BREAK SPACE instead of U+0020 SPACE"),
    ("interview.WAV", "interview.wav", "U+0077 LATIN SMALL LETTER W"),
    ("interview1.wav", "interview.wav", "U+002E FULL STOP instead of U+0031 DIGIT ONE"),
    ("\ufb01le-number-one.wav", "file-number-one.wav", "U+FB01 LATIN SMALL LIGATURE FI"),
]


def test_of_a_name_without_a_file_the_nearest_is_told(nights: Nights) -> None:
    """In folders and in zips."""
    content = write_noise(nights.archive.parent / "noise.wav", 5).read_bytes()
    for number, (named, there, _) in enumerate(NEAREST):
        manifest = f"path,text\n{named},one\n"
        folder = nights.archive / f"case{number}"
        folder.mkdir()
        (folder / there).write_bytes(content)
        (folder / "manifest.csv").write_text(manifest)
        members = {there: content, "manifest.csv": manifest.encode()}
        write_container(nights.archive / f"case{number}.zip", members)
    nights.take_in()
    told = read(nights.lake, "SELECT uri, detail FROM rejected").to_pylist()
    assert len(told) == 2 * len(NEAREST)
    for number, (_, _, expected) in enumerate(NEAREST):
        for place in (f"!/case{number}/", f"/case{number}.zip!/"):
            [detail] = [row["detail"] for row in told if place in row["uri"]]
            assert re.search(
                r"named in line 2 of .*manifest\.csv, but not in the archive; the nearest is",
                detail,
            )
            assert expected in detail
    assert nights.texts() == []


def test_a_name_that_resembles_none_is_told_alone(nights: Nights) -> None:
    nights.write("manifest.csv", ["completely-different.wav,one,d"])
    nights.take_in()
    [detail] = nights.told()
    assert detail.endswith("but not in the archive")


def test_a_lists_two_texts_for_a_file_are_refused(nights: Nights) -> None:
    lines = [
        Utterance(nights.archive, "a.wav", "en", text, None, None, "d", f"list.tsv, line {line}")
        for line, text in enumerate(("one", "two"), start=1)
    ]
    with pytest.raises(ConfigurationError, match=r"line 2: 'a\.wav' has another text than in list"):
        add_dataset(nights.lake, lines, "r", CPU)
    added = add_dataset(nights.lake, [lines[0], lines[0]], "r", CPU)
    assert (added.recordings, nights.texts()) == (1, ["one"])


def test_a_list_names_a_canonically_equal_file(nights: Nights) -> None:
    write_noise(nights.archive / NFD, 5)
    line = Utterance(nights.archive, NFC, "fr", "one", None, None, "d", "list.tsv, line 1")
    added = add_dataset(nights.lake, [line], "r", CPU)
    assert (added.recordings, added.missing, nights.texts()) == (1, [], ["one"])
