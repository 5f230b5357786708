"""Data sets as they are distributed are added, transcribed and scored; wrong trees are refused."""

from __future__ import annotations

import csv
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.errors import ConfigurationError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.manifests.layouts.registry import read_layout
from nightscribe.settings import Settings
from nightscribe.stages.datasets import add_dataset
from nightscribe.uris import canonical_uri, split_uri
from tests.nights import SAMPLES

GERMAN, ENGLISH, CHINESE = "german/de-01.flac", "english/en-01.flac", "chinese/zh-01.flac"


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, str]]:
    """The samples' references by path."""
    with (SAMPLES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def copy(clip: str, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(SAMPLES / clip, target))


Texts = dict[str, dict[str, str]]


def make_fleurs(root: Path, texts: Texts, *, tarred: bool = True) -> Path:
    """German and English say the same sentence, which has one id; so do a tar and a folder."""
    for locale, clip in (("de_de", GERMAN), ("en_us", ENGLISH), ("cmn_hans_cn", CHINESE)):
        folder = root / locale
        text = texts[clip]["text"]
        name = Path(clip).name
        row = ["1663", name, text, text.lower(), " ".join(text), "48000", "MALE"]
        write(folder / "test.tsv", "\t".join(row) + "\n")
        if tarred:
            (folder / "audio").mkdir()
            with tarfile.open(folder / "audio" / "test.tar.gz", "w:gz") as tar:
                tar.add(SAMPLES / clip, f"test/{name}")
        else:
            copy(clip, folder / "audio" / "test" / name)
    return root


def make_common_voice(root: Path, texts: Texts) -> Path:
    header = (
        "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment"
    )
    for locale, clip in (("de", "german/de-02.mp3"), ("zh-CN", "chinese/zh-02.mp3")):
        name = Path(clip).name
        row = f'x\t{name}\t"{texts[clip]["text"]}\t2\t0\t\t\t\t{locale}\t'  # a quotation mark
        write(root / locale / "test.tsv", f"{header}\n{row}\n")
        copy(clip, root / locale / "clips" / name)
        copy(GERMAN, root / locale / "clips" / "of-another-split.flac")
    return root


def make_covost2(root: Path, texts: Texts) -> Path:
    make_common_voice(root, texts)
    clip = "german/de-02.mp3"
    row = f"{Path(clip).name}\t{texts[clip]['text']}\t{texts[clip]['translation']}\tx"
    header = "path\tsentence\ttranslation\tclient_id"
    write(root / "covost_v2.de_en.test.tsv", f"{header}\n{row}\n")
    return root


def make_librispeech(root: Path, texts: Texts) -> Path:
    folder = root / "LibriSpeech" / "test-clean" / "61" / "70968"
    copy(ENGLISH, folder / "61-70968-0000.flac")
    text = texts[ENGLISH]["text"].upper().rstrip(".")
    write(folder / "61-70968.trans.txt", f"61-70968-0000 {text}\n")
    return root


def make_mls(root: Path, texts: Texts) -> Path:
    folder = root / "mls_german" / "test"
    copy(GERMAN, folder / "audio" / "1054" / "1599" / "1054_1599_000001.flac")
    write(folder / "transcripts.txt", f"1054_1599_000001\t{texts[GERMAN]['text'].lower()}\n")
    return root


def make_manifest(root: Path, texts: Texts) -> Path:
    copy(GERMAN, root / "calls" / "one.flac")
    return write(root / "refs.jsonl", '{"path": "calls/one.flac", "language": "de", "text": "Das"}')


MAKERS: dict[str, Callable[[Path, Texts], Path]] = {
    "fleurs": make_fleurs,
    "common-voice": make_common_voice,
    "covost2": make_covost2,
    "librispeech": make_librispeech,
    "mls": make_mls,
    "manifest": make_manifest,
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"))


@pytest.mark.parametrize("layout", MAKERS)
def test_every_layouts_audio_and_references_come_into_the_lake(
    layout: str, manifest: Texts, lake: Lake, tmp_path: Path
) -> None:
    path = MAKERS[layout](tmp_path / "data", manifest)
    utterances = read_layout(layout, path)
    added = add_dataset(lake, utterances, "first", Settings())
    assert (added.recordings, added.missing) == (len(utterances), [])
    references = read(lake, "SELECT * FROM reference_texts").to_pylist()
    texts = [one for one in utterances if one.text]
    translations = [one for one in utterances if one.translation]
    assert len(references) == len(texts) + len(translations)
    assert {row["dataset"] for row in references} == set(added.datasets)
    assert {row["language"] for row in references} == {one.language for one in utterances}
    assert {row["split"] for row in references} == {one.split for one in utterances}
    # Files of another split, and files that no list names, are not read.
    assert read(lake, "SELECT count(*) AS n FROM recordings")["n"].to_pylist() == [len(utterances)]

    before = lake.table("recordings").version()
    again = add_dataset(lake, utterances, "second", Settings())
    assert again == added
    assert lake.table("recordings").version() == before


def test_fleurs_translations_are_the_english_of_the_same_sentence(
    manifest: Texts, tmp_path: Path
) -> None:
    found = read_layout("fleurs", make_fleurs(tmp_path / "fleurs", manifest))
    by_language = {one.language: one for one in found}
    assert by_language.keys() == {"de", "en", "zh"}
    assert by_language["de"].text == manifest[GERMAN]["text"].lower()
    assert by_language["de"].translation == manifest[ENGLISH]["text"]
    assert by_language["en"].translation is None


def test_fleurs_with_its_tars_unpacked_is_the_same(manifest: Texts, tmp_path: Path) -> None:
    tarred = read_layout("fleurs", make_fleurs(tmp_path / "tarred", manifest))
    open_ = read_layout("fleurs", make_fleurs(tmp_path / "open", manifest, tarred=False))
    assert [one.text for one in tarred] == [one.text for one in open_]
    assert {one.member for one in tarred} == {f"test/{one.member}" for one in open_}


def test_languages_are_chosen_by_any_name(manifest: Texts, tmp_path: Path) -> None:
    root = make_fleurs(tmp_path / "fleurs", manifest)
    found = read_layout("fleurs", root, ["German", "zh-CN"])
    assert [one.language for one in found] == ["zh", "de"]
    # The path may be the folder of a language.
    assert [one.language for one in read_layout("fleurs", root / "de_de")] == ["de"]


def test_a_data_set_is_transcribed_and_scored_by_its_name(
    manifest: Texts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_fleurs(tmp_path / "fleurs", manifest)
    lake = str(tmp_path / "lake")
    add = ["datasets", "add", "fleurs", "--path", str(root), "--lake", lake]
    assert cli.main([*add, "--languages", "de,en"]) == 0
    assert f"nightscribe run --dataset fleurs --lake {lake}" in capsys.readouterr().out
    # Other data sets in the lake are not transcribed.
    assert cli.main([*add, "--languages", "zh", "--name", "another"]) == 0
    assert cli.main(["run", "--dataset", "fleurs", "--lake", lake, "--model", "demo"]) == 0
    assert cli.main(["run", "--dataset", "none", "--lake", lake, "--model", "demo"]) == 2
    assert "no data set 'none' in the lake (it has: another, fleurs)" in capsys.readouterr().err
    assert cli.main(["evaluate", "--lake", lake]) == 0
    output = capsys.readouterr().out
    assert "fleurs, model demo" in output
    assert "German (de" in output  # the region is in the name of the folder
    assert cli.main(["datasets", "list", "--lake", lake]) == 0
    heading, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["dataset", "language", "recordings", "transcribed", "texts", "translations"]
    assert ["fleurs", "de", "1", "1", "1", "1"] in rows
    assert ["another", "zh", "1", "0"] in [row[:4] for row in rows]


def test_listed_audio_that_cannot_be_used_is_printed_and_is_a_rejection(
    manifest: Texts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_common_voice(tmp_path / "cv", manifest)
    (root / "de" / "clips" / "de-02.mp3").unlink()
    lake = tmp_path / "lake"
    add = ["datasets", "add", "common-voice", "--path", str(root), "--lake", str(lake)]
    assert cli.main([*add, "--name", "common_voice_15"]) == 1
    output = capsys.readouterr().out
    assert "1 of 2 listed recordings are in the lake" in output
    assert "de/clips!/de-02.mp3" in output
    rejected = read(open_lake(str(lake)), "SELECT * FROM rejected").to_pylist()
    assert [row["reason"] for row in rejected] == ["manifest_missing_file"]
    assert f"{root / 'de' / 'test.tsv'}, line 2" in rejected[0]["detail"]


def test_a_list_without_a_language_keeps_the_language_that_the_lake_has(
    manifest: Texts, lake: Lake, tmp_path: Path
) -> None:
    folder = tmp_path / "calls"
    copy(GERMAN, folder / "one.flac")
    write(folder / "manifest.csv", "path,language,speaker\none.flac,de,Anna\n")
    add_dataset(lake, read_layout("manifest", folder / "manifest.csv"), "first", Settings())
    text = manifest[GERMAN]["text"]
    refs = write(tmp_path / "calls" / "refs.csv", f'path,text\none.flac,"{text}"\n')
    add_dataset(lake, read_layout("manifest", refs), "second", Settings())
    [source] = read(lake, "SELECT language_hint, metadata FROM sources").to_pylist()
    assert source == {"language_hint": "de", "metadata": '{"speaker": "Anna"}'}
    [reference] = read(lake, "SELECT language, text FROM reference_texts").to_pylist()
    assert reference == {"language": "de", "text": text}


def test_only_listed_files_are_read(manifest: Texts, lake: Lake, tmp_path: Path) -> None:
    refs = make_manifest(tmp_path, manifest)
    with tarfile.open(tmp_path / "calls" / "backup.tar", "w") as tar:
        tar.add(SAMPLES / ENGLISH, "other.flac")
    added = add_dataset(lake, read_layout("manifest", refs), "first", Settings())
    assert added.recordings == 1
    assert read(lake, "SELECT member FROM sources")["member"].to_pylist() == ["calls/one.flac"]


def test_listed_audio_is_rejected_for_what_is_wrong_with_it(lake: Lake, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfc\xdfe"))
    folder.mkdir()
    (folder / "empty.wav").touch()
    (folder / "link.wav").symlink_to(SAMPLES / GERMAN)
    refs = write(folder / "refs.csv", "path,text\nempty.wav,a\nlink.wav,b\ngone.wav,c\n")
    added = add_dataset(lake, read_layout("manifest", refs), "first", Settings())
    assert added.recordings == 0
    rejected = read(lake, "SELECT uri, reason FROM rejected ORDER BY uri").to_pylist()
    archive = f"file://{tmp_path}/gr%FC%DFe"
    assert [row["uri"] for row in rejected] == [
        f"{archive}!/{name}.wav" for name in ("empty", "gone", "link")
    ]
    reasons = [row["reason"] for row in rejected]
    assert reasons[:2] == ["empty_file", "manifest_missing_file"]
    assert reasons[2] not in ("empty_file", "manifest_missing_file")
    assert added.missing == [row["uri"] for row in rejected]


def test_rejections_of_a_data_set_below_a_folder_called_wow_lead_to_its_files(
    manifest: Texts, lake: Lake, tmp_path: Path
) -> None:
    root = make_fleurs(tmp_path / "Wow!" / "fleurs", manifest)
    (root / "en_us" / "audio" / "test.tar.gz").write_bytes(b"")
    (root / "cmn_hans_cn" / "audio" / "test.tar.gz").write_bytes(b"damaged")
    with tarfile.open(root / "de_de" / "audio" / "test.tar.gz", "w:gz") as tar:
        tar.add(SAMPLES / GERMAN, "test/unlisted.flac")
    added = add_dataset(lake, read_layout("fleurs", root), "first", Settings())
    rejected = read(lake, "SELECT uri, version, reason FROM rejected").to_pylist()
    reasons = {split_uri(row["uri"]): row["reason"] for row in rejected}
    tars = {
        locale: canonical_uri(str(root / locale / "audio" / "test.tar.gz"))
        for locale in ("cmn_hans_cn", "de_de", "en_us")
    }
    assert reasons == {
        (tars["en_us"], ""): "empty_file",
        (tars["cmn_hans_cn"], ""): "corrupt_archive",
        (tars["cmn_hans_cn"], "test/zh-01.flac"): "manifest_missing_file",
        (tars["de_de"], "test/de-01.flac"): "manifest_missing_file",
        (tars["en_us"], "test/en-01.flac"): "manifest_missing_file",
    }
    assert [split_uri(uri) for uri in added.missing] == sorted(
        place for place in reasons if place[1]
    )
    assert added.recordings == 0


def test_a_region_chooses_its_folder_and_a_language_all_its_folders(
    manifest: Texts, tmp_path: Path
) -> None:
    root = make_covost2(tmp_path / "cv", manifest)
    shutil.copytree(root / "zh-CN", root / "zh-TW")
    one = read_layout("common-voice", root, ["zh-TW"])
    assert {utterance.archive.parent.name for utterance in one} == {"zh-TW"}
    assert {utterance.variety for utterance in one} == {"zh-TW"}
    for spelling in ("zh_tw", "zh-Hant-TW", "Chinese (TW)"):
        assert read_layout("common-voice", root, [spelling]) == one
    assert len(read_layout("common-voice", root, ["zh"])) == 2
    with pytest.raises(ConfigurationError, match=r"no test\.tsv of zh-HK; there are .*zh-CN"):
        read_layout("common-voice", root, ["zh-HK"])
    with pytest.raises(ConfigurationError, match=r"'Germn': .* nearest .* German \(de\)"):
        read_layout("common-voice", root, ["Germn"])
    # CoVoST translates one of them.
    row = "path\tsentence\ttranslation\nzh-02.mp3\t去\tGo.\n"
    write(root / "covost_v2.zh-CN_en.test.tsv", row)
    [translated] = read_layout("covost2", root, ["Chinese"])
    assert translated.translation == "Go."


def test_the_path_may_be_the_folder_of_a_language_and_the_working_folder(
    manifest: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_common_voice(tmp_path / "cv", manifest) / "de")
    assert [one.language for one in read_layout("common-voice", Path())] == ["de"]
    opus = make_mls(tmp_path / "mls", manifest)
    (opus / "mls_german").rename(opus / "mls_german_opus")
    assert [one.language for one in read_layout("mls", opus)] == ["de"]


def wrong_fleurs(root: Path, texts: Texts) -> str:
    make_fleurs(root, texts)
    write(root / "de_de" / "test.tsv", "1\tx.wav\tsix\tcolumns\tare\tnot\n\n")
    return "test.tsv, line 1: has 6 columns, FLEURS has 7"


def no_audio(root: Path, texts: Texts) -> str:
    make_fleurs(root, texts)
    shutil.rmtree(root / "de_de" / "audio")
    return "de_de: has the list test.tsv and no audio"


def no_column(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    write(root / "de" / "test.tsv", "client_id\tfile\tsentence\n")
    return "test.tsv, line 1: no column `path`; the columns are 'client_id', 'file', 'sentence'"


def ragged(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    write(root / "de" / "test.tsv", "path\tsentence\na.mp3\tone\ttwo\n")
    return "line 2: 3 cells, but the header has 2 columns"


def empty(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    write(root / "de" / "test.tsv", "\n")
    return "test.tsv: is empty; its first line must name the columns path, sentence"


def leaves(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    write(root / "de" / "test.tsv", "path\tsentence\n../../secret.mp3\tone\n")
    return "line 2: '../../secret.mp3' names no file below"


def latin(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    (root / "de" / "test.tsv").write_bytes("path\tsentence\na.mp3\tGrüße\n".encode("latin-1"))
    return "test.tsv: is not UTF-8"


def no_list(root: Path, texts: Texts) -> str:
    make_common_voice(root, texts)
    for one in root.glob("*/test.tsv"):
        one.unlink()
    return "no folder in it is named as a language and holds test.tsv"


def no_transcripts(root: Path, texts: Texts) -> str:
    (root / "test-clean").mkdir(parents=True)
    return "no <speaker>/<chapter>/*.trans.txt below it"


def no_split(root: Path, texts: Texts) -> str:
    make_librispeech(root, texts)
    (root / "LibriSpeech" / "test-clean").rename(root / "LibriSpeech" / "dev-clean")
    return "there is no 'test-clean'"


def no_words(root: Path, texts: Texts) -> str:
    make_librispeech(root, texts)
    [path] = root.rglob("*.trans.txt")
    path.write_text("61-70968-0000\n")
    return "line 1: expected an id and words"


def mls_line(root: Path, texts: Texts) -> str:
    make_mls(root, texts)
    write(root / "mls_german" / "test" / "transcripts.txt", "1054-1599\twords\n")
    return "line 1: expected <speaker>_<book>_<number>"


@pytest.mark.parametrize(
    ("layout", "spoil"),
    [
        *(("fleurs", spoil) for spoil in (wrong_fleurs, no_audio)),
        *(("common-voice", spoil) for spoil in (no_column, ragged, empty, leaves, latin, no_list)),
        *(("librispeech", spoil) for spoil in (no_transcripts, no_split, no_words)),
        ("mls", mls_line),
    ],
)
def test_the_message_says_what_is_wrong_with_a_tree(
    layout: str, spoil: Callable[[Path, Texts], str], manifest: Texts, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    expected = spoil(root, manifest)
    with pytest.raises(ConfigurationError) as caught:
        read_layout(layout, root)
    assert expected in str(caught.value)
    assert str(root) in str(caught.value)


def test_a_manifest_with_a_bad_row_is_refused_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "refs.csv", "path,text\na.wav,hi\n/etc/passwd,no\n")
    with pytest.raises(ConfigurationError, match=r"refs\.csv, line 3: path '/etc/passwd' is abs"):
        read_layout("manifest", path)
    with pytest.raises(ConfigurationError, match="give --path the manifest's file"):
        read_layout("manifest", tmp_path)


def test_missing_languages_are_named(manifest: Texts, tmp_path: Path) -> None:
    root = make_fleurs(tmp_path / "fleurs", manifest)
    with pytest.raises(ConfigurationError, match="of fr; there are cmn_hans_cn, de_de, en_us"):
        read_layout("fleurs", root, ["fr"])
    with pytest.raises(ConfigurationError, match="'klingon': is none of Whisper's"):
        read_layout("fleurs", root, ["klingon"])
    with pytest.raises(ConfigurationError, match="is not there"):
        read_layout("fleurs", tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="LibriSpeech is English"):
        read_layout("librispeech", root, ["de"])
