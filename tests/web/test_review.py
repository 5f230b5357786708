"""Reviews: what people decide is at once on the pages, then in the lake, then in the scores."""

from __future__ import annotations

import html
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from evaluation.lake import evaluate_lake
from nightscribe.decisions import Decisions
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.lake.tables import Lake
from nightscribe.stages.forget import forget
from nightscribe.stages.reviews import commit_reviews
from nightscribe.web.access import Person, Right
from nightscribe.web.doubt_worth import worth_of_doubt
from tests.web.conftest import Pages


class Reviewer:
    """Somebody who works on the review pages, and the lake behind these."""

    def __init__(self, pages_over: Callable[[str], Pages], lake: Lake) -> None:
        self.pages_over = pages_over
        self.pages = pages_over(lake.uri)
        self.lake = lake

    def get(self, path: str) -> str:
        answer = self.pages.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def fields(self, transcript_id: str, query: str = "") -> dict[str, str]:
        """The form of a transcript as the page gives it."""
        text = self.get(f"/review/{transcript_id}?{query}")
        form = text[text.index('id="review"') :]
        found = dict(re.findall(r'name="(seen|start)" value="(\d+)"', form))
        for name, value in re.findall(r'<textarea name="(text-\d+)"[^>]*>(.*?)</textarea>', form):
            found[name] = html.unescape(value)
        found["spoken"] = re.findall(r'<option value="(\w+)" selected', form)[0]
        return found

    def decide(
        self, transcript_id: str, action: str, query: str = "", status: int = 303, **changes: str
    ) -> str:
        """Send the form with changes. Returns the address that follows."""
        form = self.fields(transcript_id, query) | changes | {"action": action}
        answer = self.pages.client.post(f"/review/{transcript_id}?{query}", data=form)
        assert answer.status_code == status, answer.text
        return answer.headers.get("location", answer.text)

    def commit(self) -> None:
        commit_reviews(self.lake, self.pages.settings, "run of reviews")
        self.pages = self.pages_over(self.lake.uri)  # these see the tables as they are now

    def rows(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = read(self.lake, query).to_pylist()
        return found


@pytest.fixture
def reviewer(lake: Lake, tmp_path: Path, pages_over: Callable[[str], Pages]) -> Reviewer:
    shutil.copytree(lake.uri.removeprefix("file://"), tmp_path / "lake")
    own = open_lake(str(tmp_path / "lake"))
    return Reviewer(pages_over, own)


def transcript_of(reviewer: Reviewer, member: str, task: str = "transcribe") -> str:
    [row] = reviewer.rows(
        f"SELECT transcript_id FROM search WHERE member = '{member}' AND task = '{task}' LIMIT 1"
    )
    return str(row["transcript_id"])


def test_a_correction_is_at_once_on_the_page_and_then_in_the_lake(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    before = reviewer.fields(transcript)["text-0"]
    reviewer.decide(transcript, "save", **{"text-0": "Ein  Text\nvon <i>mir</i> "})
    assert reviewer.fields(transcript)["text-0"] == "Ein Text von <i>mir</i>"
    assert reviewer.pages.runs.commits == 1
    for _ in range(2):  # a second run finds nothing new
        reviewer.commit()
        [row] = reviewer.rows("FROM corrections")
    assert (row["replaced"].strip(), row["text"]) == (before, " Ein Text von <i>mir</i>")
    assert (row["person"], row["version"], row["run_id"]) == ("somebody", 1, "run of reviews")
    assert reviewer.fields(transcript)["text-0"] == "Ein Text von <i>mir</i>"
    [whole] = reviewer.rows(f"FROM transcripts_of_record WHERE transcript_id = '{transcript}'")
    assert whole["text"].startswith(" Ein Text von <i>mir</i>")
    assert whole["model_text"].strip().startswith(before)
    assert whole["verdict"] == "open"
    # The model's own rows stay, and nothing is a reference before somebody accepts it.
    assert reviewer.rows("FROM segments WHERE text LIKE '%von <i>%'") == []
    assert reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'") == []


def test_what_did_not_change_is_no_decision(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "save")
    assert reviewer.pages.runs.commits == 0
    assert Decisions.of(reviewer.pages.settings).paths() == []


@pytest.mark.parametrize(
    ("queue", "dataset"),
    [("sample", "corrections"), ("doubtful", "corrections-selected")],
)
def test_what_is_accepted_counts_in_the_next_evaluation(
    queue: str, dataset: str, reviewer: Reviewer
) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", f"queue={queue}", **{"text-0": "Vier Worte mehr dazu"})
    reviewer.commit()
    [row] = reviewer.rows(f"FROM reference_texts WHERE dataset = '{dataset}'")
    assert row["language"] == "de"
    assert row["text"].startswith("Vier Worte mehr dazu")
    evaluated = evaluate_lake(reviewer.lake, "evaluation")
    assert evaluated is not None
    scores = {(one["dataset"], one["metric"]): one["value"] for one in evaluated.scores.to_pylist()}
    assert scores[dataset, "wer"] > 0
    # A change of what was accepted changes the reference.
    reviewer.decide(transcript, "save", **{"text-0": "Anders gesagt"})
    reviewer.commit()
    [row] = reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'")
    assert row["dataset"] == dataset
    assert row["text"].startswith("Anders gesagt")
    # And what is undone is no reference any more.
    reviewer.decide(transcript, "undo")
    reviewer.decide(transcript, "undo")  # takes the undo back
    reviewer.decide(transcript, "undo")
    reviewer.commit()
    [row] = reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'")
    assert row["text"].startswith("Vier Worte mehr dazu")


def test_undoing_an_acceptance_takes_the_reference_back(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "en-02.mp3")
    before = reviewer.fields(transcript)
    following = reviewer.decide(transcript, "accept", "queue=sample", **{"text-0": "Another"})
    assert f"done={transcript}" in following
    assert "Undo" in reviewer.get(following.removeprefix("/nightscribe"))
    reviewer.commit()
    assert len(reviewer.rows("FROM reference_texts WHERE dataset = 'corrections'")) == 1
    reviewer.decide(transcript, "undo")
    assert reviewer.fields(transcript)["text-0"] == before["text-0"]
    reviewer.commit()
    assert reviewer.rows("FROM reference_texts WHERE dataset = 'corrections'") == []
    assert reviewer.fields(transcript)["text-0"] == before["text-0"]
    assert len(reviewer.rows("FROM corrections")) == 2


def test_the_queues(reviewer: Reviewer) -> None:
    def queue(name: str) -> list[str]:
        page = reviewer.get(f"/review?queue={name}")
        return re.findall(r'class="name" href="/nightscribe/review/(\w+)', page)

    transcripts = {
        row["transcript_id"]: row
        for row in reviewer.rows(
            """FROM latest_transcripts WHERE task = 'transcribe'
               AND recording_id NOT IN (SELECT recording_id FROM reference_texts)"""
        )
    }
    assert len(transcripts) >= 3
    sample, doubtful = queue("sample"), queue("doubtful")
    assert sample == sorted(transcripts, key=lambda one: transcripts[one]["recording_id"])

    def doubt(one: str) -> float:
        row = transcripts[one]
        return float(row["avg_logprob"] + math.log(row["language_probability"]))

    heard = [one for one in doubtful if transcripts[one]["avg_logprob"] is not None]
    assert heard == sorted(heard, key=doubt)
    assert set(doubtful) == set(transcripts)
    # A doubtful one that is done is done there; the sample still asks for it.
    reviewer.decide(doubtful[0], "skip", "queue=doubtful")
    assert queue("doubtful") == doubtful[1:]
    assert queue("sample") == sample
    reviewer.decide(sample[0], "accept", "queue=sample")
    assert queue("sample") == sample[1:]
    waiting = [one for one in doubtful[1:] if one != sample[0]]
    assert queue("doubtful") == waiting
    reviewer.commit()
    assert (queue("sample"), queue("doubtful")) == (sample[1:], waiting)
    for one in list(queue("sample")):
        following = reviewer.decide(one, "accept", "queue=sample")
    assert "Nothing waits here" in reviewer.get(following.removeprefix("/nightscribe"))


def test_an_accepted_sample_stays_in_the_sample(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", "queue=sample")
    reviewer.decide(transcript, "accept", "queue=selected", **{"text-0": "Anders", "spoken": "nl"})
    reviewer.commit()
    [row] = reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'")
    assert (row["dataset"], row["language"]) == ("corrections", "nl")


def test_two_people_do_not_overwrite_each_other(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    old = reviewer.fields(transcript)
    reviewer.decide(transcript, "save", **{"text-0": "Der erste"})
    answer = reviewer.pages.client.post(
        f"/review/{transcript}", data=old | {"text-0": "Der zweite", "action": "accept"}
    )
    assert answer.status_code == 409
    assert reviewer.fields(transcript)["text-0"] == "Der erste"
    # The second person has both texts, and decides again from there.
    assert ">Der zweite</textarea>" in answer.text
    assert "<bdi>Der erste</bdi>" in answer.text
    assert 'name="seen" value="1"' in answer.text


def test_speech_that_the_model_did_not_hear_can_be_written(reviewer: Reviewer) -> None:
    [row] = reviewer.rows(
        "SELECT t.* FROM transcripts AS t SEMI JOIN search USING (transcript_id) "
        "WHERE recording_id IN (SELECT recording_id FROM sources WHERE member = 'de-01.flac') "
        "AND task = 'transcribe'"
    )
    transcript = "0" * 32
    empty = {"transcript_id": transcript, "options_key": "silence", "segment_count": 0, "text": ""}
    reviewer.lake.append("transcripts", rows_of("transcripts", [row | empty]))
    reviewer.commit()
    reviewer.decide(transcript, "accept", "queue=sample")
    reviewer.commit()
    # Nothing said is nothing to score.
    assert reviewer.rows("FROM reference_texts WHERE dataset = 'corrections'") == []
    reviewer.decide(transcript, "save", **{"text-0": "Someone whispers."})
    reviewer.commit()
    [row] = reviewer.rows("FROM reference_texts WHERE dataset = 'corrections'")
    assert row["text"] == "Someone whispers."
    [segment] = reviewer.rows(f"FROM segments_of_record WHERE transcript_id = '{transcript}'")
    assert (segment["text"], segment["model_text"]) == ("Someone whispers.", None)
    download = reviewer.pages.client.get(f"/transcripts/{transcript}.srt?corrected=1").text
    assert "Someone whispers." in download


def test_downloads_have_the_text_of_record_when_asked(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "en-02.mp3")
    fields = reviewer.fields(transcript)
    last = max(int(name.partition("-")[2]) for name in fields if name.startswith("text-"))
    reviewer.decide(transcript, "save", **{"text-0": "Von mir.", f"text-{last}": ""})
    reviewer.commit()
    get = reviewer.pages.client.get
    [row] = reviewer.rows(f"FROM transcripts WHERE transcript_id = '{transcript}'")
    address = f"/recordings/{row['recording_id']}"
    assert "Von mir." not in reviewer.get(address)
    assert "with people&#39;s corrections" in reviewer.get(address)
    assert "Von mir." in reviewer.get(f"{address}?corrected=1")
    model = get(f"/transcripts/{transcript}.txt").text
    record = get(f"/transcripts/{transcript}.txt?corrected=1").text
    assert model.splitlines()[1:last] == record.splitlines()[1:]
    assert record.splitlines()[0] == "Von mir."
    assert model.splitlines()[0] == fields["text-0"]


@pytest.mark.parametrize(
    "change",
    [
        {"action": "delete"},
        {"action": "part--1"},
        {"spoken": "xx"},
        {"seen": "x"},
        {"start": "-"},
    ],
)
def test_a_form_that_nobody_sends_is_refused(change: dict[str, str], reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    form = reviewer.fields(transcript) | {"action": "save", "text-0": "x"} | change
    answer = reviewer.pages.client.post(f"/review/{transcript}", data=form)
    assert answer.status_code == 422
    assert Decisions.of(reviewer.pages.settings).paths() == []


@pytest.mark.parametrize("name", ["x", "%2e%2e%2fx", "x%00", "%2e%2e%5cx"])
def test_no_path_comes_from_an_address(name: str, reviewer: Reviewer) -> None:
    assert reviewer.pages.client.get(f"/review/{name}").status_code in (404, 307, 200)
    answer = reviewer.pages.client.post(
        f"/review/{name}", data={"action": "skip", "seen": "0", "spoken": "de"}
    )
    assert answer.status_code in (404, 405)
    assert not Decisions.of(reviewer.pages.settings).folder.exists()


def test_a_form_too_large_is_not_read(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    answer = reviewer.pages.client.post(f"/review/{transcript}", data={"text-0": "x" * (5 << 20)})
    assert answer.status_code == 413
    long = "字" * 300_000  # nine bytes of a form each
    reviewer.decide(transcript, "save", **{"text-0": long})
    assert reviewer.fields(transcript)["text-0"] == long


def test_hostile_texts_and_names_are_shown_as_text(reviewer: Reviewer) -> None:
    hostile = "</textarea><script>alert(1)</script>\u202e{{ 7 * 7 }}"
    reviewer.pages.site.__dict__["access"] = _person(hostile)
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", **{"text-0": hostile})
    for path in (f"/review/{transcript}?done={transcript}", "/review"):
        page = reviewer.get(path)
        assert "<script>alert" not in page
        assert "</textarea><script" not in page
    assert reviewer.fields(transcript)["text-0"] == hostile


def _person(name: str) -> Callable[..., Any]:
    async def access(request: Any) -> Person:
        return Person(name, frozenset(Right))

    return access


def test_a_folder_that_cannot_be_written_is_said(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    folder = Decisions.of(reviewer.pages.settings).folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file in its place")
    text = reviewer.decide(transcript, "save", status=503, **{"text-0": "Neu"})
    assert "cannot be written" in text


def test_a_damaged_file_holds_no_other_decision_up(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "save", **{"text-0": "Neu"})
    folder = Decisions.of(reviewer.pages.settings).folder
    for name, content in (("a", ""), ("b", "[]"), ("c", '{"corrections": [{}], "reviews": []}')):
        (folder / f"broken-{name}").mkdir()
        (folder / f"broken-{name}" / "1.json").write_text(content)
    committed = commit_reviews(reviewer.lake, reviewer.pages.settings, "run")
    assert (committed.corrections, len(committed.unreadable)) == (1, 3)
    assert all("is no decision of a reviewer" in one for one in committed.unreadable)


def test_files_of_decisions_are_removed_when_the_lake_has_them(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "save", **{"text-0": "Neu"})
    inbox = Decisions.of(reviewer.pages.settings)
    reviewer.get("/review")
    [path] = inbox.paths()
    reviewer.commit()
    reviewer.get("/review")
    assert inbox.paths() == [path]  # another page may not know the newest lake yet
    os.utime(path, (time.time() - 100, time.time() - 100))
    reviewer.get("/review")
    assert inbox.paths() == []
    assert reviewer.fields(transcript)["text-0"] == "Neu"


def other_transcript(reviewer: Reviewer, transcript_id: str, *texts: str) -> str:
    """The id of a new transcript of the same recording and task, with segments of these texts."""
    [row] = reviewer.rows(f"FROM transcripts WHERE transcript_id = '{transcript_id}'")
    first = reviewer.rows(f"FROM segments WHERE transcript_id = '{transcript_id}'")[0]
    other = "f" * 32
    own = {"transcript_id": other, "options_key": "other", "segment_count": len(texts)}
    segments = [
        first | {"transcript_id": other, "index": index, "text": text, "words": None}
        for index, text in enumerate(texts)
    ]
    reviewer.lake.append("segments", rows_of("segments", segments))
    row |= own | {"text": "".join(texts)}
    reviewer.lake.append("transcripts", rows_of("transcripts", [row]))
    reviewer.pages = reviewer.pages_over(reviewer.lake.uri)
    return other


def accepted(reviewer: Reviewer) -> str | None:
    """The text that counts in an evaluation."""
    reviewer.commit()
    rows = reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'")
    return rows[0]["text"] if rows else None


def test_a_text_saved_elsewhere_does_not_replace_the_accepted_one(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", **{"text-0": "Mit Sorgfalt"})
    before = accepted(reviewer)
    other = other_transcript(reviewer, transcript, " Ungeprüft", " und falsch.")
    assert "<span>open</span>" in reviewer.get(f"/review/{other}")
    reviewer.decide(other, "save", **{"text-0": "Geprüft"})
    assert accepted(reviewer) == before


def test_undo_gives_the_acceptance_of_another_transcript_back(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    other = other_transcript(reviewer, transcript, " Anders.")
    # Both within the half minute before the lake has them.
    reviewer.decide(transcript, "accept", **{"text-0": "Mit Sorgfalt"})
    reviewer.decide(other, "accept")
    reviewer.decide(other, "undo")
    first = accepted(reviewer)
    assert first is not None
    assert first.startswith("Mit Sorgfalt")
    # An older decision that is undone does not touch the newer acceptance.
    reviewer.decide(other, "accept")
    reviewer.decide(transcript, "undo")
    assert accepted(reviewer) == "Anders."


def test_undoing_gives_the_skip_back_with_its_queue(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "skip", "queue=doubtful")
    reviewer.decide(transcript, "accept", "queue=sample")
    reviewer.decide(transcript, "undo", "queue=sample")
    # In the sample nobody has skipped it.
    assert transcript in reviewer.get("/review?queue=sample")
    reviewer.commit()
    assert transcript in reviewer.get("/review?queue=sample")
    assert transcript not in reviewer.get("/review?queue=doubtful")


@pytest.mark.parametrize(
    ("texts", "index", "written", "whole"),
    [
        ((" Guten", "", " Tag."), 1, "lieben", "Guten lieben Tag."),
        (("", " Tag."), 0, "Guten", "Guten Tag."),
        (("你好", "", "世界"), 1, "，", "你好，世界"),
    ],
)
def test_a_text_in_an_empty_segment_is_a_word_of_its_own(
    texts: tuple[str, ...], index: int, written: str, whole: str, reviewer: Reviewer
) -> None:
    other = other_transcript(reviewer, transcript_of(reviewer, "de-01.flac"), *texts)
    reviewer.decide(other, "accept", **{f"text-{index}": written})
    assert accepted(reviewer) == whole


@pytest.mark.parametrize("text", [" 10\u00a0000 Euro", " Zwei  Worte", " Am Ende ", "\u3000全角"])
def test_spaces_of_the_model_are_no_change_of_a_person(text: str, reviewer: Reviewer) -> None:
    other = other_transcript(reviewer, transcript_of(reviewer, "de-01.flac"), text)
    reviewer.decide(other, "save")
    assert Decisions.of(reviewer.pages.settings).paths() == []


def test_of_two_people_at_the_same_moment_one_is_refused(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    form = reviewer.fields(transcript) | {"action": "accept"}

    def post(person: int) -> int:
        changed = form | {"text-0": f"Person {person}"}
        return reviewer.pages.client.post(f"/review/{transcript}", data=changed).status_code

    with ThreadPoolExecutor(8) as people:
        assert sorted(people.map(post, range(8))) == [303, *[409] * 7]
    assert len(Decisions.of(reviewer.pages.settings).paths()) == 1


@pytest.mark.parametrize("action", ["save", "accept", "skip"])
def test_a_double_click_is_one_decision(action: str, reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    form = reviewer.fields(transcript) | {"action": action, "text-0": "Neu"}
    answers = [reviewer.pages.client.post(f"/review/{transcript}", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert len(Decisions.of(reviewer.pages.settings).paths()) == 1


def test_a_verdict_is_kept_if_the_commit_dies_before_it(
    reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", "queue=sample", **{"text-0": "Neu"})
    inbox = Decisions.of(reviewer.pages.settings)
    [path] = inbox.paths()
    os.utime(path, (time.time() - 100, time.time() - 100))

    insert = Lake.insert_new

    def dying(lake: Lake, table: str, *given: Any) -> Any:
        if table == "reviews":
            raise KeyboardInterrupt
        return insert(lake, table, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "insert_new", dying)
        with pytest.raises(KeyboardInterrupt):
            reviewer.commit()
    reviewer.pages = reviewer.pages_over(reviewer.lake.uri)
    assert "accepted by" in reviewer.get(f"/review/{transcript}")
    reviewer.get("/review")
    assert inbox.paths() == [path]
    text = accepted(reviewer)
    assert text is not None
    assert text.startswith("Neu")
    assert len(reviewer.rows("FROM corrections")) == 1


def test_the_run_after_a_killed_one_publishes(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "skip")
    catalog = Path(reviewer.lake.uri.removeprefix("file://")) / "catalog.duckdb"
    old = catalog.read_bytes()
    reviewer.commit()
    catalog.write_bytes(old)  # as if the run had died just before
    reviewer.commit()
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.sql("FROM reviews").fetchall()


def broken_decisions(reviewer: Reviewer) -> dict[str, str]:
    """Contents of files that hold no decision."""
    transcript = transcript_of(reviewer, "en-02.mp3")
    reviewer.decide(transcript, "accept", **{"text-0": "Neu"})
    [path] = Decisions.of(reviewer.pages.settings).paths()
    whole = path.read_text()
    path.unlink()
    content = json.loads(whole)
    review = content["reviews"][0]
    reviews = {
        "without a verdict": [{k: v for k, v in review.items() if k != "verdict"}],
        "without a time zone": [review | {"created_at": "2026-01-01T00:00:00"}],
        "without a person": [review | {"person": None}],
        "of another name": [review],
        "twice": [review | {"decision_id": "1"}] * 2,
    }
    return {
        "cut": whole[:-10],
        "nothing": "",
        "zeros": "\0" * 100,
        "deep": "[" * 100_000,
        **{name: json.dumps(content | {"reviews": rows}) for name, rows in reviews.items()},
    }


def test_a_file_that_is_no_decision_stops_neither_pages_nor_commits(reviewer: Reviewer) -> None:
    broken = broken_decisions(reviewer)
    inbox = Decisions.of(reviewer.pages.settings)
    for name, content in broken.items():
        place = inbox.folder / name.replace(" ", "-")
        place.mkdir()
        (place / "1.json").write_text(content)
    transcript = transcript_of(reviewer, "de-01.flac")
    following = reviewer.decide(transcript, "accept", **{"text-0": "Neu"})
    reviewer.get(following.removeprefix("/nightscribe"))
    page = reviewer.get("/review")
    assert f"{len(broken)} files hold no decision" in page
    assert "is no decision of a reviewer" in page
    committed = commit_reviews(reviewer.lake, reviewer.pages.settings, "run")
    assert (committed.reviews, len(committed.unreadable)) == (1, len(broken))


def test_decisions_about_what_is_forgotten_are_forgotten_too(reviewer: Reviewer) -> None:
    settings = reviewer.pages.settings
    transcript = transcript_of(reviewer, "de-01.flac")
    [row] = reviewer.rows(
        f"SELECT recording_id FROM transcripts WHERE transcript_id = '{transcript}'"
    )
    reviewer.decide(transcript, "save", **{"text-0": "Ein Geheimnis"})
    [decision] = Decisions.of(settings).paths()
    content = decision.read_bytes()
    done = forget(reviewer.lake, [row["recording_id"]], settings, "run")
    assert str(decision) in done.files
    assert Decisions.of(settings).paths() == []
    # As where the folder can only be read, so that the file is still there.
    decision.write_bytes(content)
    assert commit_reviews(reviewer.lake, settings, "run").corrections == 0
    assert reviewer.pages.client.get(f"/recordings/{row['recording_id']}").status_code == 404


def test_the_queue_goes_on_while_many_decisions_wait(
    reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightscribe.web.review_queue._AHEAD", 1)
    monkeypatch.setattr("nightscribe.web.review_queue._SHOWN", 1)
    seen = []
    for _ in range(3):
        page = reviewer.get("/review?queue=sample")
        [transcript] = re.findall(r'class="name" href="/nightscribe/review/(\w+)', page)
        reviewer.decide(transcript, "accept", "queue=sample")
        seen.append(transcript)
    assert len(set(seen)) == 3
    # One that was opened again waits again.
    reviewer.decide(seen[0], "undo")
    assert seen[0] in reviewer.get("/review?queue=sample")


def test_the_parts_of_a_long_transcript_are_one_decision_each(reviewer: Reviewer) -> None:
    texts = [f" Satz {number}." for number in range(450)]
    long = other_transcript(reviewer, transcript_of(reviewer, "de-01.flac"), *texts)
    following = reviewer.decide(long, "part-200", **{"text-3": "Der vierte."})
    assert following.endswith("start=200")
    assert [*reviewer.fields(long, "start=200")][2] == "text-200"
    # Saving stays on its part, a number between two parts is in the one before.
    following = reviewer.decide(long, "save", "start=399", **{"text-399": ""})
    assert following.endswith("start=200")
    reviewer.decide(long, "accept", "start=400", **{"text-449": "Ende."})
    text = accepted(reviewer)
    texts[3], texts[399], texts[449] = " Der vierte.", "", " Ende."
    assert text == "".join(texts).strip()
    # Too late on the last part: the text is there, on that part.
    old = reviewer.fields(long, "start=400")
    reviewer.decide(long, "undo", "start=400")
    answer = reviewer.pages.client.post(
        f"/review/{long}", data=old | {"action": "part-0", "text-448": "Fast am Ende."}
    )
    assert answer.status_code == 409
    assert ">Fast am Ende.</textarea>" in answer.text
    assert 'name="text-399"' not in answer.text


def test_what_the_sample_skips_is_reported_and_stays_in_the_sample(reviewer: Reviewer) -> None:
    first, second = (transcript_of(reviewer, name) for name in ("de-01.flac", "en-02.mp3"))
    silent = {name: "" for name in reviewer.fields(first) if name.startswith("text-")}
    reviewer.decide(first, "accept", "queue=sample", **silent)
    reviewer.commit()
    evaluated = evaluate_lake(reviewer.lake, "evaluation")
    assert evaluated is not None
    assert "of 1, 0 were skipped and 1 have no words" in evaluated.reports["report.md"]
    reviewer.decide(first, "undo")
    reviewer.decide(first, "accept", "queue=sample")
    reviewer.decide(second, "skip", "queue=sample")
    reviewer.commit()
    evaluated = evaluate_lake(reviewer.lake, "evaluation")
    assert evaluated is not None
    report = evaluated.reports["report.md"]
    assert "English (en) of corrections, transcribe: of 1, 1 were skipped" in report
    # Somebody understands it later: a sample without the hard ones would look too good.
    reviewer.decide(second, "accept", "queue=selected")
    reviewer.commit()
    rows = reviewer.rows("FROM reference_texts WHERE dataset LIKE 'corrections%'")
    assert [row["dataset"] for row in rows] == ["corrections"] * 2


def test_what_looked_wrong_does_not_say_how_often_doubt_is_right(reviewer: Reviewer) -> None:
    def recordings() -> int:
        worth = worth_of_doubt(reviewer.pages.site.snapshots, row["model_id"])
        assert worth is not None
        return worth.recordings

    transcript = transcript_of(reviewer, "de-01.flac")
    [row] = reviewer.rows(f"FROM transcripts WHERE transcript_id = '{transcript}'")
    before = recordings()
    reviewer.decide(transcript, "accept", "queue=doubtful")
    reviewer.commit()
    assert recordings() == before
    reviewer.decide(transcript, "accept", "queue=sample")
    reviewer.commit()
    assert recordings() == before + 1


def test_two_people_on_one_queue_get_different_transcripts(reviewer: Reviewer) -> None:
    def begin() -> str:
        [address] = re.findall(r'class="button" href="/nightscribe/review/(\w+)', queue())
        return str(address)

    def queue() -> str:
        return reviewer.get("/review?queue=sample")

    first = begin()
    reviewer.get(f"/review/{first}?queue=sample")
    assert begin() == first  # who has opened it goes on with it
    reviewer.pages.site.__dict__["access"] = _person("<b>another</b>")
    second = begin()
    assert second != first
    assert "<bdi>somebody</bdi> has it open" in queue()
    following = reviewer.decide(second, "skip", "queue=sample")
    assert first not in following
    # If only that one is left, it is offered; and also when its reader has gone.
    for _ in range(10):
        if first in following:
            break
        following = reviewer.decide(begin(), "skip", "queue=sample")
    assert first in following
    assert begin() == first


def test_a_page_that_nobody_uses_any_more_is_free(reviewer: Reviewer) -> None:
    inbox = Decisions.of(reviewer.pages.settings)
    inbox.note_open("a", "somebody")
    assert inbox.open_to_others("another") == {"a": "somebody"}
    assert inbox.open_to_others("somebody") == {}
    long_ago = time.time() - 3600
    os.utime(inbox.folder / ".open" / "a", (long_ago, long_ago))
    assert inbox.open_to_others("another") == {}


def test_who_reviews_what_is_made_again_meanwhile_has_the_texts(reviewer: Reviewer) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "accept", **{"text-0": "Schon geprüft."})
    form = reviewer.fields(transcript) | {"action": "save", "text-0": "Lange <b>gehört</b>."}
    [row] = reviewer.rows(f"FROM transcripts WHERE transcript_id = '{transcript}'")
    again = rows_of("transcripts", [row | {"transcript_id": "e" * 32, "text": " Neu."}])
    reviewer.lake.upsert("transcripts", again, KEYS["transcripts"])
    reviewer.pages = reviewer.pages_over(reviewer.lake.uri)
    answer = reviewer.pages.client.post(f"/review/{transcript}", data=form)
    assert answer.status_code == 404
    assert "Lange &lt;b&gt;gehört&lt;/b&gt;." in answer.text
    # What was accepted before stays a reference.
    text = accepted(reviewer)
    assert text is not None
    assert text.startswith("Schon geprüft.")


def test_undo_takes_the_last_decision_back_whatever_the_clock_of_its_server(
    reviewer: Reviewer,
) -> None:
    transcript = transcript_of(reviewer, "de-01.flac")
    reviewer.decide(transcript, "save", **{"text-0": "Von einem Server mit späterer Uhr"})
    [path] = Decisions.of(reviewer.pages.settings).paths()
    content = json.loads(path.read_text())
    [row] = content["corrections"]
    row["created_at"] = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    path.write_text(json.dumps(content))
    reviewer.decide(transcript, "accept")
    reviewer.decide(transcript, "undo")
    assert "<span>open</span>" in reviewer.get(f"/review/{transcript}")
    assert reviewer.fields(transcript)["text-0"] == "Von einem Server mit späterer Uhr"
    reviewer.decide(transcript, "undo")  # takes the undo back
    assert "<span>accepted" in reviewer.get(f"/review/{transcript}")
