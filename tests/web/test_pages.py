"""What the pages show, and that hostile names and texts stay text."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nightscribe.export.formats import FORMATS, render
from nightscribe.lake.opening import open_lake
from nightscribe.lake.published import PUBLISHED
from nightscribe.lake.reading import read
from nightscribe.lake.tables import Lake
from nightscribe.lake.transcripts import result_of, transcripts_of
from nightscribe.web.uploading import Refused, receive
from tests.nights import SAMPLES
from tests.web.conftest import HOSTILE, Pages


class Elements(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def recordings(lake: Lake) -> dict[str, str]:
    """Member → recording_id."""
    rows = read(lake, "SELECT member, recording_id FROM sources").to_pylist()
    return {row["member"]: row["recording_id"] for row in rows}


def addresses(pages: Pages, lake: Lake) -> list[str]:
    """Every page that this lake has."""
    [run_id] = {row["run_id"] for row in read(lake, "FROM accounts").to_pylist()}
    found = ["/", "/recordings", "/rejected", "/warnings", "/quality", "/plan"]
    found += ["/upload", "/search", "/sql"]
    found += [f"/recordings/{one}" for one in recordings(lake).values()]
    return [*found, f"/runs/transcribe_archives/{run_id}", "/nothing", "/recordings/nothing"]


def test_no_page_runs_what_an_archive_says(pages: Pages, lake: Lake) -> None:
    for address in addresses(pages, lake):
        html = pages.client.get(address).text
        for tag, attributes in Elements(html).tags:
            assert not any(name.startswith("on") for name in attributes), address
            assert "style" not in attributes, address
            if tag == "script":
                assert str(attributes["src"]).startswith("/nightscribe/static/")
            assert tag not in ("iframe", "object", "base", "style")
            for name in ("href", "src", "action"):
                value = attributes.get(name) or "#"
                assert value.startswith(("/nightscribe/", "#", "/dags/")), (address, value)


def test_hostile_names_and_texts_are_shown_as_they_are(pages: Pages, lake: Lake) -> None:
    identifier = recordings(lake)[f"sub/{HOSTILE}"]
    assert HOSTILE in Elements(pages.client.get("/recordings").text).text
    assert HOSTILE in Elements(pages.client.get(f"/recordings/{identifier}").text).text
    english = recordings(lake)["en-01.flac"]
    page = Elements(pages.client.get(f"/recordings/{english}").text)
    assert "<img src=x onerror=alert(1)> spoken" in page.text


@pytest.mark.parametrize(
    "query",
    [
        "name='; DROP TABLE x; --",
        "name=%00",
        "name=" + "a" * 5000,
        "language='",
        "collection=%27%20OR%201=1",
        "after=',",
        "after=2026-01-01,",
        "after=nonsense",
        "model=%F0%9F%98%80",
        "since=",
        "shortest=",
        "unknown=1",
    ],
)
def test_odd_filters_give_a_page(query: str, pages: Pages) -> None:
    assert pages.client.get(f"/recordings?{query}").status_code == 200


@pytest.mark.parametrize(
    "query", ["since=yesterday", "sort=up", "shortest=abc", "task=sing", "doubtful=perhaps"]
)
def test_wrong_filters_say_what_is_wrong(query: str, pages: Pages) -> None:
    answer = pages.client.get(f"/recordings?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize(
    ("query", "members"),
    [
        ("", {"en-01.flac", "en-02.mp3", "de-01.flac", f"sub/{HOSTILE}"}),
        ("language=de&task=transcribe&name=de-", {"de-01.flac"}),
        ("name=EN-0", {"en-01.flac", "en-02.mp3"}),
        ("reference=1", {"en-01.flac"}),
        ("warnings=1", set()),
        ("waiting=1", set()),
        ("model=other", set()),
        ("until=2020-01-01", set()),
        ("shortest=1&longest=900&name=de", {"de-01.flac"}),
    ],
)
def test_filters(query: str, members: set[str], pages: Pages) -> None:
    html = pages.client.get(f"/recordings?{query}").text
    names = re.findall(r'<a class="name"[^>]*><bdi>(.*?)</bdi>', html)
    assert len(names) == len(members)
    assert f"<strong>{len(members)}</strong>" in html
    text = Elements(html).text
    assert all(member in text for member in members)


def test_pages_of_the_library_follow_each_other(
    pages: Pages, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.web.pages.library._PAGE", 1)
    for sort in ("newest", "oldest", "longest", "shortest"):
        seen: list[str] = []
        address: str | None = f"/recordings?sort={sort}"
        while address:
            html = pages.client.get(address).text
            seen += re.findall(r'class="name" href="/nightscribe/recordings/(\w+)"', html)
            following = re.search(r'rel="next" href="/nightscribe([^"]+)"', html)
            address = following[1].replace("&amp;", "&") if following else None
        assert sorted(seen) == sorted(recordings(lake).values())


def test_home_has_the_account_and_its_numbers_are_links(pages: Pages) -> None:
    page = Elements(pages.client.get("/").text)
    for text in ("Account of the newest run", "not_audio", "German (de)", "RTFx"):
        assert text in page.text
    links = {attributes.get("href") for tag, attributes in page.tags if tag == "a"}
    assert "/nightscribe/rejected?reason=not_audio" in links
    assert "/nightscribe/recordings?language=de&task=transcribe" in links


@pytest.mark.parametrize("form", FORMATS)
def test_downloads_have_the_bytes_of_an_export(form: str, pages: Pages, lake: Lake) -> None:
    identifier = recordings(lake)["de-01.flac"]
    [row] = read(
        lake, "SELECT model_id FROM transcripts WHERE recording_id = $id LIMIT 1", id=identifier
    ).to_pylist()
    for transcript, segments in transcripts_of(lake, identifier, row["model_id"]):
        answer = pages.client.get(f"/transcripts/{transcript['transcript_id']}.{form}")
        assert answer.content == render(result_of(transcript, segments), form).encode()
        assert "attachment" in answer.headers["content-disposition"]
        assert "html" not in answer.headers["content-type"]


def test_a_recording_shows_transcript_and_translation_with_times(pages: Pages, lake: Lake) -> None:
    html = pages.client.get(f"/recordings/{recordings(lake)['de-01.flac']}").text
    starts = re.findall(r'<li data-start="([\d.]+)" data-end="([\d.]+)"', html)
    assert len(starts) >= 2
    assert html.count('class="transcript"') == 2
    assert "de-01.flac" in html


def test_a_recording_has_its_waveform(pages: Pages, lake: Lake) -> None:
    for identifier in recordings(lake).values():
        assert "waveform.svg" in pages.client.get(f"/recordings/{identifier}").text
        answer = pages.client.get(f"/recordings/{identifier}/waveform.svg")
        assert answer.headers["content-type"] == "image/svg+xml"
        heights = [
            50 - int(point.partition(",")[2]) for point in re.findall(r"[\d]+,[\d]+", answer.text)
        ]
        assert max(heights) == 50
        assert min(heights) == -50


def test_a_task_shows_its_own_batch_and_else_its_run(pages: Pages, lake: Lake) -> None:
    [run_id] = {row["run_id"] for row in read(lake, "FROM accounts").to_pylist()}
    [batch] = read(lake, "SELECT DISTINCT batch_id AS id FROM transcripts").to_pylist()
    pages.runs.made = {
        (run_id, "transcribe", 0): [batch["id"]],
        (run_id, "transcribe", 1): ["nothing"],
        (run_id, "transcribe", -1): [batch["id"]],
    }
    address = f"/runs/transcribe_archives/{run_id}"
    whole = pages.client.get(address).text
    assert "not_audio" in whole
    # Airflow leaves its placeholder for a task that is not mapped.
    for instance in ("transcribe/0", "transcribe/{MAP_INDEX}"):
        own = pages.client.get(f"{address}/{instance}").text
        assert "RTFx" in own
        assert own.count('class="name"') == whole.count('class="name"') > 0
        assert "not_audio" not in own
    other = pages.client.get(f"{address}/transcribe/1").text
    assert "This task has made no transcript" in other
    assert pages.client.get(f"{address}/scan/{{MAP_INDEX}}").text == whole


def test_the_run_of_airflow_is_found_when_somebody_asks(pages: Pages) -> None:
    answer = pages.client.get("/airflow/runs/manual__1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dags/x/runs/y")
    assert pages.client.get("/airflow/runs/manual__2").status_code == 404
    assert "//evil" not in pages.client.get("/airflow/runs/%2F%2Fevil").headers.get("location", "")


@pytest.mark.parametrize("make", ["none", "empty", "newer", "damaged"])
def test_without_a_usable_lake_the_page_says_why(
    make: str, tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    path = tmp_path / "lake"
    if make != "none":
        open_lake(str(path))
    if make == "newer":
        (path / "lake.json").write_text(json.dumps({"format": 99}))
    if make == "damaged":
        (path / "lake.json").write_text("?")
    answer = pages_over(str(path)).client.get("/")
    text = {
        "none": "there is no lake at",
        "empty": "No run has read an archive yet",
        "newer": "written by a newer Nightscribe",
        "damaged": "is damaged",
    }[make]
    assert text in answer.text
    assert answer.status_code == (200 if make == "empty" else 503)
    assert not (path.exists() and make == "none")  # a page writes nothing


# The player's audio


def test_audio_is_delivered_whole_and_by_range(pages: Pages, lake: Lake) -> None:
    content = (SAMPLES / "english" / "en-02.mp3").read_bytes()
    address = f"/media/{recordings(lake)['en-02.mp3']}"
    whole = pages.client.get(address)
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "audio/mpeg"
    size = len(content)
    for header, start, end in (
        ("bytes=0-", 0, size),
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=-10", size - 10, size),
        (f"bytes=10-{size * 9}", 10, size),
        (f"bytes=-{size * 9}", 0, size),
    ):
        part = pages.client.get(address, headers={"range": header})
        assert (part.status_code, part.content) == (206, content[start:end]), header
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    head = pages.client.head(address)
    assert (head.content, head.headers["content-length"]) == (b"", str(size))


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("bytes=99999999-", 416),
        ("bytes=-0", 416),
        ("bytes=5-2", 200),
        ("bytes=0-1,3-4", 200),
        ("bytes=a-b", 200),
        ("items=0-1", 200),
        ("bytes=" + "9" * 400 + "-", 200),
    ],
)
def test_odd_ranges(header: str, status: int, pages: Pages, lake: Lake) -> None:
    address = f"/media/{recordings(lake)['en-02.mp3']}"
    assert pages.client.get(address, headers={"range": header}).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/media/..%2f..%2fetc%2fpasswd",
        "/media/../../etc/passwd",
        "/media/" + "0" * 64,
        "/media/" + "F" * 64,
        "/media/file:%2f%2f%2fetc%2fpasswd",
        "/media/x%00y",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2fetc%2fpasswd",
        "/transcripts/..%2f..%2fx.txt",
        "/transcripts/x.html",
        "/quality/..%2f..%2flake.json%3f/report",
    ],
)
def test_no_address_leads_to_a_file(path: str, pages: Pages) -> None:
    answer = pages.client.get(path)
    assert answer.status_code in (404, 422)
    assert b"root:" not in answer.content


def test_audio_that_has_changed_is_not_played(
    pages: Pages, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = read(lake, "SELECT archive FROM sources WHERE member = 'en-02.mp3'").to_pylist()
    path = Path(row["archive"].removeprefix("file://")) / "en-02.mp3"
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    try:
        answer = pages.client.get(f"/media/{recordings(lake)['en-02.mp3']}")
    finally:
        path.write_bytes(content)
    assert answer.status_code == 404
    assert "changed" in answer.text


# Uploads


def test_a_new_file_starts_a_run_and_a_known_one_is_answered_from_the_lake(
    pages: Pages, tmp_path: Path
) -> None:
    known = (SAMPLES / "english" / "en-01.flac").read_bytes()
    answer = pages.client.put("/uploads/a%20b.flac?task=transcribe", content=known)
    assert answer.status_code == 201
    assert answer.json()["address"].startswith("/nightscribe/recordings/")
    assert pages.runs.started == []
    new = (SAMPLES / "german" / "de-02.mp3").read_bytes()
    answer = pages.client.put("/uploads/x.mp3?task=both&language=de&model=demo", content=new)
    [started] = pages.runs.started
    assert (started.task, started.language, started.model) == ("both", "de", "demo")
    assert Path(started.path).read_bytes() == new
    assert Path(started.path).parent.parent == tmp_path / "uploads"
    address = answer.json()["address"].removeprefix("/nightscribe")
    assert "x.mp3" in pages.client.get(address).text
    place, _, query = address.partition("?")
    state = pages.client.get(f"{place}/state?{query}").json()
    assert (state["state"], state["step"], state["address"]) == ("running", "transcribe", None)


def test_decoding_options_go_to_the_run_and_wrong_ones_are_refused(pages: Pages) -> None:
    content = (SAMPLES / "english" / "en-01.flac").read_bytes()
    right = {"options": '{"word_timestamps": true, "beam_size": 5}'}
    answer = pages.client.put("/uploads/x.flac", params=right, content=content)
    assert answer.status_code == 201, answer.text
    [upload] = pages.runs.started
    assert upload.options == {"word_timestamps": True, "beam_size": 5}
    for wrong, said in {
        "word_timestamps": "these are no decoding options",
        "[1]": "give an object",
        '{"beam": 5}': "unknown option",
        '{"beam_size": -5}': "beam_size",
        '{"beam_size": "five"}': "beam_size",
        '{"language": "de"}': "its own field",
    }.items():
        answer = pages.client.put("/uploads/x.flac", params={"options": wrong}, content=content)
        assert answer.status_code == 422
        assert said in answer.text
    form = {"options": "{"}
    files = {"files": ("x.flac", content)}
    assert pages.client.post("/uploads", data=form, files=files).status_code == 422
    assert len(pages.runs.started) == 1


def test_the_form_works_without_scripts(pages: Pages) -> None:
    files = [("files", ("one.mp3", (SAMPLES / "german" / "de-02.mp3").read_bytes()))]
    answer = pages.client.post("/uploads", files=files, data={"task": "translate"})
    assert answer.status_code == 303
    assert [one.task for one in pages.runs.started] == ["translate"]


@pytest.mark.parametrize(
    ("name", "content", "status", "text"),
    [
        ("a.txt", b"x", 415, "no audio or video file by its name"),
        ("a.zip", b"PK", 415, "Zips"),
        ("manifest.csv", b"path", 415, "no audio"),
        ("a", b"x", 415, "no audio"),
        ("a.wav", b"", 422, "no bytes"),
        ("a.wav", b"not audio" * 99, 422, "a.wav cannot be used"),
        ("..%2f..%2fetc%2fx.wav", b"no audio", 404, ""),
        (".hidden.wav", b"no audio", 422, "hidden.wav cannot be used"),
        ("a%00b.wav", b"no audio", 422, "ab.wav cannot be used"),
        ("%3Cscript%3E.wav", b"no audio", 422, "cannot be used"),
    ],
)
def test_what_cannot_be_used_says_why_and_leaves_nothing(
    name: str, content: bytes, status: int, text: str, pages: Pages, tmp_path: Path
) -> None:
    answer = pages.client.put(f"/uploads/{name}", content=content)
    assert answer.status_code == status
    assert text in answer.text
    assert pages.runs.started == []
    assert list((tmp_path / "uploads").rglob("*")) == []


def test_a_file_that_is_too_large_is_refused_while_it_comes_in(
    pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = pages.settings.model_copy(update={"upload_max_bytes": 3_000_000})
    object.__setattr__(pages.site, "settings", small)
    sent = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal sent
        while sent < 1 << 30:
            sent += 1 << 16
            yield bytes(1 << 16)

    answer = pages.client.put("/uploads/a.wav", content=bytes(3_000_001))
    assert answer.status_code == 413
    answer = pages.client.put("/uploads/a.wav", content=endless())
    assert answer.status_code == 413
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_full_disk_is_told(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightscribe.web.uploading._LEFT_FREE", 1 << 60)
    answer = pages.client.put("/uploads/a.wav", content=b"x")
    assert (answer.status_code, "disk" in answer.text) == (507, True)


def test_the_same_content_is_kept_once_and_a_known_one_not_at_all(
    pages: Pages, tmp_path: Path
) -> None:
    content = (SAMPLES / "german" / "de-02.mp3").read_bytes()
    for name in ("one.mp3", "two.mp3", "three.mp3"):
        assert pages.client.put(f"/uploads/{name}", content=content).status_code == 201
    known = (SAMPLES / "english" / "en-01.flac").read_bytes()
    for name in ("a.flac", "b.flac"):
        answer = pages.client.put(f"/uploads/{name}?task=transcribe", content=known)
        assert "/recordings/" in answer.json()["address"]
    kept = [path.name for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert kept == ["one.mp3"]
    assert {Path(one.path).name for one in pages.runs.started} == {"one.mp3"}


def test_a_sender_that_stops_does_not_keep_its_place(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nightscribe.web.uploading._IDLE_S", 0.2)

    async def stalled() -> AsyncIterator[bytes]:
        yield b"RIFF"
        await asyncio.sleep(60)

    async def gone() -> bool:
        return False

    async def five() -> list[int]:
        statuses = []
        for _ in range(5):
            with pytest.raises(Refused) as refused:
                await receive("a.wav", None, stalled(), pages.settings, gone)
            statuses.append(refused.value.status)
        return statuses

    assert asyncio.run(five()) == [408] * 5
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_nobody_waits_for_any_more_is_not_kept(pages: Pages, tmp_path: Path) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield (SAMPLES / "german" / "de-02.mp3").read_bytes()

    async def gone() -> bool:
        return True

    with pytest.raises(Refused):
        asyncio.run(receive("a.mp3", None, content(), pages.settings, gone))
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_a_killed_server_left_is_removed_after_a_day(pages: Pages, tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for name, age_s in ((".partial-old", 100_000), (".partial-new", 10)):
        (folder / name).write_bytes(b"x")
        then = time.time() - age_s
        os.utime(folder / name, (then, then))
    pages.client.put("/uploads/a.wav", content=b"no audio")
    assert [path.name for path in folder.iterdir()] == [".partial-new"]


def test_a_folder_that_cannot_be_used_is_told(pages: Pages, tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file")
    answer = pages.client.put("/uploads/a.wav", content=b"x")
    assert answer.status_code == 503
    assert "folder of the uploads cannot be written" in answer.text


@pytest.mark.parametrize("page", ["rejected", "warnings"])
def test_an_offset_beyond_all_rows_is_told(page: str, pages: Pages) -> None:
    assert pages.client.get(f"/{page}?after=999999999").status_code == 200
    assert pages.client.get(f"/{page}?after={10**30}").status_code == 422


@pytest.mark.parametrize("missing", ["waveforms", "annotations", "warnings", "source_states"])
def test_a_lake_without_a_later_table_has_pages(
    missing: str, lake: Lake, tmp_path: Path, pages_over: Callable[[str], Pages]
) -> None:
    copied = tmp_path / "older"
    shutil.copytree(lake.uri, copied)
    shutil.rmtree(copied / missing)
    (copied / PUBLISHED).unlink()  # which that version did not write either
    older = pages_over(str(copied))
    for identifier in recordings(lake).values():
        assert older.client.get(f"/recordings/{identifier}").status_code == 200
    assert older.client.get("/").status_code == 200
