"""What is forgotten is gone: no file of the lake has a byte of it, and no night brings it back."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.lake import evaluate_lake
from nightscribe.cli import main
from nightscribe.errors import ConfigurationError
from nightscribe.lake.forgetting import allow, jobs, place_id
from nightscribe.lake.invariants import check
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect, read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.schema import SCHEMAS
from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import finish_manifests
from nightscribe.search.generations import generations
from nightscribe.settings import Settings
from nightscribe.stages import forget as forgetting
from nightscribe.stages.forget import choose, expired, forget
from nightscribe.stages.index import index
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.maintain import maintain
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from tests.evaluation.lakes import judged_lake
from tests.lake.made_up import add, filled
from tests.nights import write_noise
from tests.unprivileged import unprivileged

SECRET = "Codename Zanzibar"
"""Said in one recording only, as in what a manifest, a reviewer and a baseline say of it."""
NAME = "zanzibar-call.wav"
SETTINGS = Settings()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a recording of which every table speaks, evaluated and indexed."""
    folder = tmp_path_factory.mktemp("forget")
    lake = judged_lake(folder)
    secret = read(lake, "SELECT recording_id FROM sources WHERE member = 'en-03.wav'")
    [recording] = secret["recording_id"].to_pylist()
    for name in ("transcripts", "segments", "reference_texts", "baselines"):
        found = read(lake, f"SELECT * FROM {name} WHERE recording_id = $id", id=recording)
        # Wrong enough for the report to show it.
        more = " and so on" * 20 if name in ("transcripts", "segments") else ""
        texts = pa.array([f"{SECRET} {text}{more}" for text in found["text"].to_pylist()])
        place = found.schema.get_field_index("text")
        changed = found.set_column(place, found.schema.field("text"), texts)
        key = KEYS.get(
            name, ("transcript_id", "index") if name == "segments" else KEYS["transcripts"]
        )
        lake.upsert(name, changed, key)
    source = read(lake, "SELECT * FROM sources WHERE recording_id = $id", id=recording).to_pylist()
    lake.delete("sources", pa.table({"recording_id": [recording]}), ["recording_id"])
    place = {"archive": source[0]["archive"], "member": NAME}
    add(lake, "sources", source[0] | place | {"metadata": json.dumps({"about": SECRET})})
    of_it = {"recording_id": recording, "text": SECRET, "detail": SECRET, "replaced": SECRET}
    for name in ("waveforms", "warnings", "corrections", "reviews", "rejected"):
        add(lake, name, filled(name, **{k: v for k, v in of_it.items() if k in _columns(name)}))
    add(lake, "annotations", filled("annotations", **place, text=SECRET, manifest="m.csv"))
    add(lake, "source_states", filled("source_states", **place))
    lake.put_file(f"uploads/{recording}/{NAME}.txt", SECRET.encode())
    spec = io.BytesIO()
    pq.write_table(
        pa.table({"archive": [place["archive"]] * 2, "member": ["other.wav", NAME]}), spec
    )
    lake.put_file(f"{work_folder('a night')}/ingest.parquet", spec.getvalue())
    evaluate_lake(lake, "evaluation")
    for name in ("transcripts", "segments"):
        lake.table(name).create_checkpoint()
    publish(lake)
    index(lake, SETTINGS)
    return Path(lake.uri)


def _columns(name: str) -> set[str]:
    return set(SCHEMAS[name].names)


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Lake:
    return open_lake(str(shutil.copytree(whole, tmp_path / "lake")))


def of_secret(lake: Lake) -> str:
    found = read(lake, "SELECT recording_id FROM recordings ORDER BY recording_id")
    [choice] = [
        one
        for one in choose(lake, found["recording_id"].to_pylist())
        if one.places and NAME in one.places[0]
    ]
    return choice.recording_id


def traces(lake: Lake, *words: str) -> list[str]:
    """Files of the lake with one of these words, also in the values of Parquet files."""
    return [
        str(path.relative_to(lake.uri))
        for path in sorted(Path(lake.uri).rglob("*"))
        if path.is_file()
        for content in contents(path)
        if any(word.encode() in content for word in words)
    ]


def contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".parquet":
        yield repr(pq.read_table(path).to_pylist()).encode()


def test_no_byte_of_a_forgotten_recording_is_left(lake: Lake, tmp_path: Path) -> None:
    recording = of_secret(lake)
    words = (SECRET, "Zanzibar", NAME)
    places = {path.split("/")[0] for path in traces(lake, *words)}
    assert places >= {"transcripts", "segments", "baselines", "annotations", "_plans", "reports"}
    before = counted(lake)
    contradicted = {one.invariant for one in check(lake)}  # of the lake as it is made up
    uploads = tmp_path / "uploads"
    upload = uploads / recording / NAME
    others = uploads / "else" / NAME
    for file in (upload, others):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"audio")
    settings = SETTINGS.model_copy(update={"uploads": str(uploads)})
    done = forget(lake, [recording], settings, "run", "asked for by letter")
    assert (upload.exists(), others.exists()) == (False, True)
    assert traces(lake, *words) == []
    assert {path.split("/")[0] for path in traces(lake, recording)} == {"forgotten"}
    assert done.rows["segments"] == 1
    assert {one.invariant for one in check(lake)} <= contradicted
    after = counted(lake)
    assert all(after[name] < before[name] for name in done.rows)
    assert after["recordings"] == before["recordings"] - 1
    [row] = read(lake, "FROM forgotten").to_pylist()
    assert (row["recording_id"], row["reason"]) == (recording, "asked for by letter")
    # The next evaluation and the next publication work as before.
    assert evaluate_lake(lake, "later") is not None
    publish(lake)
    assert traces(lake, *words) == []


@pytest.mark.parametrize("state", ["{}", "{", None])
def test_an_index_that_nobody_can_read_is_made_anew(lake: Lake, state: str | None) -> None:
    """Its files have the texts, whatever its state says."""
    folder = Path(lake.uri) / "index"
    before = set(generations(folder))
    assert before
    (folder / "current.json").unlink()
    if state is not None:
        (folder / "current.json").write_text(state)
    done = forget(lake, [of_secret(lake)], SETTINGS, "run", None)
    assert not before & set(generations(folder))
    assert done.left == []


def test_an_upload_that_cannot_be_listed_is_named(lake: Lake, tmp_path: Path) -> None:
    recording = of_secret(lake)
    folder = tmp_path / "uploads" / recording
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(b"audio")
    folder.chmod(0o100)
    script = f"""
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages.forget import forget
settings = Settings().model_copy(update={{"uploads": {str(tmp_path / "uploads")!r}}})
print(*forget(open_lake({lake.uri!r}), [{recording!r}], settings, "run", None).left)
"""
    try:
        assert unprivileged(script) == [f"{folder}: Permission denied"]
    finally:
        folder.chmod(0o755)


def counted(lake: Lake) -> dict[str, int]:
    with connect(lake) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM files.{name}").fetchall()[0][0]
            for name in SCHEMAS
        }


def test_a_run_that_was_at_work_does_not_bring_it_back(lake: Lake) -> None:
    recording = of_secret(lake)
    transcripts = read(lake, "SELECT * FROM transcripts WHERE recording_id = $id", id=recording)
    segments = read(lake, "SELECT * FROM segments WHERE recording_id = $id", id=recording)
    forget(lake, [recording], SETTINGS, "run")
    assert jobs(lake) == {}
    lake.append("segments", segments)
    lake.append("transcripts", transcripts)
    publish(lake)
    assert read(lake, "FROM transcripts WHERE recording_id = $id", id=recording).num_rows == 0
    assert jobs(lake)
    maintain(lake, SETTINGS, "run")
    assert jobs(lake) == {}
    assert traces(lake, SECRET) == []


def test_forgetting_that_was_interrupted_is_ended_by_maintenance(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = of_secret(lake)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("note_forgotten", "_remove_reports", "delete_forgotten", "purge", "end_jobs"):
        with monkeypatch.context() as patched:
            patched.setattr(forgetting, step, stop)
            with pytest.raises(KeyboardInterrupt):
                forget(lake, [recording], SETTINGS, "run")
        assert jobs(lake), step
    publish(lake)
    maintain(lake, SETTINGS, "run")
    assert jobs(lake) == {}
    assert traces(lake, SECRET, NAME) == []
    assert {path.split("/")[0] for path in traces(lake, recording)} == {"forgotten"}


def test_what_is_at_a_place_and_what_a_condition_says_is_chosen(lake: Lake) -> None:
    recording = of_secret(lake)
    [place] = choose(lake, [recording])[0].places
    archive = place.partition("!/")[0]
    assert [one.recording_id for one in choose(lake, sources=[place])] == [recording]
    assert len(choose(lake, sources=[archive])) == counted(lake)["recordings"]
    [found] = choose(lake, where=f"metadata->>'about' = '{SECRET}'")
    assert found.recording_id == recording
    assert found.rows["transcripts"] == 2
    assert choose(lake, where="duration_s > 1e9") == []
    with pytest.raises(ConfigurationError):
        choose(lake, where="true); DROP TABLE x; SELECT (1")


def test_a_collection_is_kept_for_as_long_as_its_rule_says(lake: Lake) -> None:
    collection = read(lake, "SELECT any_value(collection) AS c FROM sources")["c"].to_pylist()[0]
    recording = of_secret(lake)
    old = read(lake, "SELECT * FROM recordings WHERE recording_id = $id", id=recording).to_pylist()
    old[0]["created_at"] = datetime.now(UTC) - timedelta(days=100)
    lake.upsert("recordings", rows_of("recordings", old), ["recording_id"], restamp=True)

    def rules(**days: float) -> Settings:
        return SETTINGS.model_copy(update={"retention": {collection: days["days"]}})

    assert expired(lake, SETTINGS) == []
    assert expired(lake, rules(days=101)) == []
    assert expired(lake, rules(days=99)) == [recording]
    elsewhere = filled("sources", recording_id=recording, archive="x", collection="x")
    add(lake, "sources", elsewhere)
    assert expired(lake, rules(days=99)) == []
    lake.delete("sources", pa.table({"archive": ["x"]}), ["archive"])
    assert maintain(lake, rules(days=99), "run").forgotten == 1
    assert traces(lake, SECRET) == []


def test_a_rule_is_for_all_below_its_place_and_the_longest_place_counts(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"))
    collections = {
        "of the rule": "file:///data",
        "below": "file:///data/uploads/7/talk.wav",
        "below, another rule": "file:///data/kept/calls",
        "beside": "file:///database",
        "elsewhere": "s3://data",
    }
    for recording, collection in collections.items():
        add(lake, "recordings", filled("recordings", recording_id=recording))
        place = {"archive": collection, "member": "m", "collection": collection}
        add(lake, "sources", filled("sources", recording_id=recording, **place))
    old = read(lake, "FROM recordings").to_pylist()
    for row in old:
        row["created_at"] = datetime.now(UTC) - timedelta(days=10)
    lake.upsert("recordings", rows_of("recordings", old), ["recording_id"], restamp=True)

    def of(**rules: float) -> list[str]:
        return expired(lake, SETTINGS.model_copy(update={"retention": rules}))

    assert of(**{"/data": 9}) == ["below", "below, another rule", "of the rule"]
    assert of(**{"/data/": 9, "/data/kept": 11}) == ["below", "of the rule"]
    assert of(**{"/data": 11, "/data/kept": 9}) == ["below, another rule"]
    assert of(**{"/": 9}) == ["below", "below, another rule", "beside", "of the rule"]
    assert of(**{"s3://data": 9}) == ["elsewhere"]


@pytest.mark.parametrize("wrong", ["s3://calls", "=3", "s3://calls=soon", "s3://calls=0"])
def test_a_wrong_rule_of_retention_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_RETENTION", f"/data=2, {wrong}")
    with pytest.raises(ValueError, match="expected COLLECTION=DAYS"):
        Settings()
    monkeypatch.setenv("NIGHTSCRIBE_RETENTION", "/data/a=b=2, s3://calls=0.5")
    assert Settings().retention == {"/data/a=b": 2.0, "s3://calls": 0.5}


def test_a_night_that_finds_it_again_passes_it_by_and_the_account_adds_up(tmp_path: Path) -> None:
    archive, lake = tmp_path / "archive", open_lake(str(tmp_path / "lake"))
    for seed in (1, 2):
        write_noise(archive / f"{seed}.wav", seed)
    manifest = archive / "manifest.csv"
    manifest.write_text(f"path,text\n1.wav,{SECRET}\n2.wav,It rains.\n")
    assert night(lake, archive, "first")["used"] == 3
    [forgotten] = choose(lake, where="member = '1.wav'")
    forget(lake, [forgotten.recording_id], SETTINGS, "run")
    # The manifest changes, and names it still; the file is packed as well.
    manifest.write_text(f"path,text\n1.wav,{SECRET}!\n2.wav,It rains again.\n")
    with zipfile.ZipFile(archive / "all.zip", "w") as packed:
        packed.write(archive / "1.wav", "again/1.wav")
    # It is known as a file, and again as a member of the zip; in the third night nothing is read.
    for name, found, known in (("second", 5, 3), ("third", 4, 4)):
        account = night(lake, archive, name)
        assert account["found"] == account["known"] + account["used"] == found
        assert account["known"] == known
    assert [row["member"] for row in read(lake, "FROM sources").to_pylist()] == ["2.wav"]
    assert traces(lake, SECRET) == []
    [text] = read(lake, "FROM reference_texts").to_pylist()
    assert text["text"] == "It rains again."
    assert read(lake, "FROM forgotten").to_pylist()[0]["places"] == sorted(
        [
            place_id({"archive": archive.as_uri(), "member": "1.wav"}),
            place_id({"archive": f"{archive.as_uri()}/all.zip", "member": "again/1.wav"}),
        ]
    )
    # Another recording at that place is listened to.
    shutil.copy(write_noise(tmp_path / "3.wav", 3), archive / "1.wav")
    manifest.write_text("path,text\n1.wav,Something else.\n2.wav,It rains again.\n")
    night(lake, archive, "other")
    assert {row["text"] for row in read(lake, "FROM reference_texts").to_pylist()} == {
        "Something else.",
        "It rains again.",
    }
    write_noise(archive / "1.wav", 1)
    allow(lake, [forgotten.recording_id])
    night(lake, archive, "fourth")
    assert read(lake, "FROM recordings").num_rows == 3


def night(lake: Lake, archive: Path, name: str) -> dict[str, Any]:
    """Scan and ingest as a night does. Returns its account."""
    folder = work_folder(name)
    scanned = scan(
        lake, [str(archive)], name, settings=SETTINGS, folder=folder, max_specs=10, force=False
    )
    for spec in scanned.specs:
        ingest_scanned(lake, spec, name, settings=SETTINGS)
    finish_manifests(lake, folder, name)
    publish(lake)
    [account] = read(lake, "FROM accounts WHERE run_id = $name", name=name).to_pylist()
    return account


def test_the_command_lists_first_and_forgets_when_it_is_told_to(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = of_secret(lake)
    words = ["forget", "--lake", lake.uri, "--where", "member = 'zanzibar-call.wav'"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert recording in out
    assert "nothing was changed: add --yes" in out
    assert traces(lake, SECRET)
    assert main([*words, "--yes"]) == 0
    assert "forgotten: 1 recordings" in capsys.readouterr().out
    assert traces(lake, SECRET) == []
    assert main([*words, "--yes"]) == 1
    assert "no recording of the lake is meant" in capsys.readouterr().out
    again = ["forget", "--lake", lake.uri, "--recording", recording]
    assert main([*again, "--undo"]) == 0
    assert "1 recordings would be read again" in capsys.readouterr().out
    assert main([*again, "--undo", "--yes"]) == 0
    assert read(lake, "FROM forgotten").num_rows == 0
    assert main(["forget", "--lake", lake.uri, "--undo", "--source", "x"]) == 2
    assert main(["forget", "--lake", lake.uri]) == 2
