"""The pages in a real Airflow: its logins and roles, and a real browser."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from evaluation.lake import evaluate_lake
from nightscribe.airflow.plugin import POOLS_PREFIX
from nightscribe.airflow.standalone import Standalone, free_port
from nightscribe.lake.keys import KEYS
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.lake.rows import rows_of
from nightscribe.settings import Settings
from nightscribe.stages.night import run
from nightscribe.stages.order import Order

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

USERS = {"admin": "admin", "uwe": "user", "vera": "viewer"}


@pytest.fixture(scope="module")
def lake(
    tmp_path_factory: pytest.TempPathFactory, make_archive: Callable[..., Path], samples: Path
) -> Path:
    folder = tmp_path_factory.mktemp("pages in Airflow")
    members = ("german/de-01.flac", "english/en-01.flac", "english/en-03.ogg", "bad/notes.mp3")
    archive = make_archive(folder / "archive", *members)
    for name in ("english/en-02.mp3", "russian/radio/ru-03.ogg"):  # without a reference: to review
        shutil.copy(samples / name, archive)
    made = open_lake(str(folder / "lake"))
    run(made, Order((str(archive),), "demo", task="both"), Settings(device="cpu"))
    return folder / "lake"


@pytest.fixture(scope="module")
def airflow(
    lake: Path,
    settings_of: Callable[..., dict[str, str]],
    without_settings: Callable[[], AbstractContextManager[None]],
) -> Iterator[Standalone]:
    users = ",".join(f"{name}:{role}" for name, role in USERS.items())
    environment = settings_of(lake, AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=users)
    airflow = Standalone(lake.parent / "airflow", free_port(), environment=environment)
    with without_settings():
        airflow.start()
    try:
        yield airflow
    finally:
        airflow.stop()


@pytest.fixture(scope="module")
def passwords(airflow: Standalone) -> dict[str, str]:
    found: dict[str, str] = json.loads((airflow.home / "passwords.json").read_text())
    return found


@pytest.fixture(scope="module")
def clients(airflow: Standalone, passwords: dict[str, str]) -> dict[str | None, httpx.Client]:
    """A client for each user, and one that is not logged in."""
    made: dict[str | None, httpx.Client] = {}
    for name in (*USERS, None):
        own = {"sec-fetch-site": "same-origin"}
        client = httpx.Client(base_url=airflow.url, timeout=60, headers=own)
        if name:
            login = {"username": name, "password": passwords[name]}
            token = client.post("/auth/token", json=login).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
        made[name] = client
    return made


READ = [
    "/",
    "/search",
    "/recordings",
    "/rejected",
    "/warnings",
    "/quality",
    "/plan",
    "/static/pages.css",
    "/runs/a/b",
]


def test_roles_of_airflow_decide(clients: dict[str | None, httpx.Client], lake: Path) -> None:
    [(identifier,)] = (
        read(
            open_lake(str(lake)),
            "SELECT recording_id FROM sources WHERE member = 'german/de-01.flac'",
        )
        .to_pydict()
        .values()
    )
    reading = [*READ, f"/recordings/{identifier}", f"/media/{identifier}"]
    for name, client in clients.items():
        for path in reading:
            status = client.get(f"/nightscribe{path}").status_code
            assert status == (401 if name is None else 200), (name, path)
        expected = {None: 401, "vera": 403, "uwe": 200, "admin": 200}[name]
        assert client.get("/nightscribe/upload").status_code == expected
        assert client.get("/nightscribe/review").status_code == expected
        answer = client.put("/nightscribe/uploads/a.wav", content=b"no audio")
        assert answer.status_code == (422 if expected == 200 else expected), name
    for instance in ("0" * 32, "x"):  # an address of the tasks, which have no login
        answer = clients[None].get(f"{POOLS_PREFIX}/{instance}")
        assert answer.status_code in (404, 422)
    forged = {"authorization": "Bearer " + "a" * 30}
    assert httpx.get(f"{clients[None].base_url}/nightscribe/", headers=forged).status_code == 401


# A browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def cookies(airflow: Standalone, passwords: dict[str, str], browser: Any) -> list[dict[str, Any]]:
    """Logs in with the form, as a person does."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(airflow.url)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", passwords["admin"])
    page.click("button[type=submit]")
    page.wait_for_url(re.compile(rf"{airflow.url}/(?!auth)"))
    found: list[dict[str, Any]] = context.cookies()
    context.close()
    return found


@pytest.fixture
def open_page(
    airflow: Standalone, browser: Any, cookies: list[dict[str, Any]]
) -> Iterator[Callable[..., Any]]:
    """Opens an address of Airflow in a window of its own; fails on errors in its console."""
    contexts = []
    errors: list[str] = []

    def opened(path: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        context.add_cookies(cookies)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{airflow.url}{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


@needs_browser
def test_airflow_has_an_entry_that_opens_the_pages(open_page: Callable[..., Any]) -> None:
    page = open_page("/")
    page.get_by_text("Nightscribe", exact=True).first.click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Home").wait_for()
    frame.get_by_role("link", name="Library").click()
    frame.get_by_role("heading", name="Library").wait_for()


def upload(page: Any, samples: Path, name: str) -> None:
    """Upload a sample with the form; ends on the page of its recording."""
    found = next(samples.rglob(Path(name).stem + ".*"))
    page.set_input_files("#files", str(found))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url(re.compile("/nightscribe/recordings/[0-9a-f]{64}"), timeout=120_000)
    assert found.name in page.inner_text("h1")
    assert len(page.inner_text(".segments")) > 10


@needs_browser
@pytest.mark.parametrize("name", ["german/de-02.mp3", "russian/radio/ru-01.flac"])
def test_an_upload_becomes_its_text_by_itself(
    name: str, open_page: Callable[..., Any], samples: Path
) -> None:
    upload(open_page("/nightscribe/upload"), samples, name)


@needs_browser
def test_a_recording_and_the_run_that_made_it_lead_to_each_other(
    open_page: Callable[..., Any], samples: Path, clients: dict[str | None, httpx.Client]
) -> None:
    page = open_page("/nightscribe/upload")
    upload(page, samples, "english/en-06.wav")
    recording = page.url
    page.locator("section[aria-labelledby=made] summary").first.click()
    page.get_by_role("link", name="the run in Airflow").first.click()
    page.wait_for_url(re.compile("/dags/transcribe_upload/runs/"))
    # Airflow's page of the task has a tab with what the task made.
    page.goto(f"{page.url.partition('?')[0]}/tasks/transcribe/plugin/nightscribe_task")
    frame = page.frame_locator("iframe")
    frame.get_by_text("RTFx").wait_for()
    assert recording.endswith(frame.locator("a.name").first.get_attribute("href"))
    # A task that made no transcript has the page of its run.
    page.goto(page.url.replace("/tasks/transcribe/", "/tasks/publish/"))
    frame.get_by_role("heading", name="Transcripts").wait_for()
    assert recording.endswith(frame.locator("a.name").first.get_attribute("href"))
    run = re.search(r"/runs/([^/]+)/", page.url)
    assert run is not None
    viewer = clients["vera"].get(f"/nightscribe/airflow/runs/{run[1]}")
    assert viewer.status_code == 303
    assert clients["admin"].get("/nightscribe/airflow/runs/nothing").status_code == 404


@needs_browser
def test_the_page_of_a_run_follows_it_until_it_is_done(
    open_page: Callable[..., Any], lake: Path
) -> None:
    opened = open_lake(str(lake))
    [first, *_] = read(opened, "FROM plans ORDER BY created_at").to_pylist()

    def plan(batches: int) -> None:
        lengthened = rows_of("plans", [first | {"batches": batches}])
        opened.upsert("plans", lengthened, KEYS["plans"])

    plan(2)
    page = open_page("/nightscribe/", viewport={"width": 390, "height": 800})
    page.clock.install()
    page.wait_for_timeout(2_500)  # the server looks for new rows every two seconds
    page.goto(f"{page.url}runs/transcribe_archives/{first['run_id']}")
    progress = page.locator("#progress")
    assert "1 of 2 batches, done at about" in progress.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    plan(first["batches"])
    page.wait_for_timeout(2_500)
    page.clock.fast_forward(25_000)
    page.get_by_text("1 of 1 batches, done at").wait_for()
    assert "UTC" not in progress.inner_text()  # in the reader's zone


@needs_browser
def test_a_file_that_cannot_be_used_says_why(open_page: Callable[..., Any], samples: Path) -> None:
    page = open_page("/nightscribe/upload")
    page.set_input_files("#files", str(samples / "bad" / "notes.mp3"))
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("notes.mp3 cannot be used").wait_for()


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true. The pages' policy forbids Playwright's own way."""
    deadline = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(100)


@needs_browser
def test_what_is_spoken_is_marked_and_a_click_seeks(open_page: Callable[..., Any]) -> None:
    page = open_page("/nightscribe/recordings?language=de")
    page.locator(".rows a.name").first.click()
    segments = page.locator(".segments").first.locator("li")
    segments.nth(1).wait_for()
    until(page, "document.querySelector('audio').readyState >= 1")
    segments.nth(1).locator(".said").click()
    page.wait_for_selector(".segments li[aria-current]")
    start = float(segments.nth(1).get_attribute("data-start"))
    assert page.evaluate("document.querySelector('audio').currentTime") >= start - 0.1
    assert segments.nth(1).get_attribute("aria-current") == "true"
    assert page.url.endswith(f"#t={start:g}")
    # By keyboard: the segment before, then play.
    page.keyboard.press("p")
    until(page, "document.querySelector('.segments li').ariaCurrent === 'true'")
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.goto(page.url)  # the address leads to the second
    until(page, f"document.querySelector('audio').currentTime >= {start - 0.1}")


@needs_browser
def test_a_word_is_found_and_its_second_is_one_click_away(open_page: Callable[..., Any]) -> None:
    page = open_page("/nightscribe/search")
    page.fill("input[name=q]", "morning OR nothing")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing was found").wait_for()
    page.goto(page.url.partition("?")[0] + "?q=der&language=de")
    page.locator("mark").first.wait_for()
    link = page.locator(".hits a.time").first
    second = float(link.get_attribute("href").partition("#t=")[2])
    link.click()
    page.locator(".segments li[aria-current]").first.wait_for()
    until(page, f"document.querySelector('audio').currentTime >= {second - 0.1}")


@needs_browser
def test_a_correction_is_a_row_and_counts_in_the_next_evaluation(
    open_page: Callable[..., Any], lake: Path
) -> None:
    page = open_page("/nightscribe/review?queue=sample")
    page.get_by_role("link", name="Begin").click()
    page.wait_for_url(re.compile("/nightscribe/review/"))  # waits for its scripts, too
    text = page.locator("textarea").first
    until(page, "document.querySelector('audio').readyState >= 1")
    page.keyboard.press("Control+ArrowDown")  # by keyboard: into the first text
    assert page.evaluate("document.activeElement.name") == "text-0"
    before = text.input_value()
    page.keyboard.press("Control+a")
    page.keyboard.type("Certainly not what was said")
    page.keyboard.press("Control+Enter")
    page.get_by_text("accepted").first.wait_for()
    opened = open_lake(str(lake))
    deadline = time.monotonic() + 150
    while not (rows := read(opened, "FROM corrections").to_pylist()):
        assert time.monotonic() < deadline
        time.sleep(1)
    [row] = rows
    assert (row["person"], row["text"].strip()) == ("admin", "Certainly not what was said")
    assert row["replaced"].strip() == before
    assert row["run_id"].startswith("reviews__")
    # The verdict is committed after the corrections.
    while not read(opened, "FROM reviews").num_rows:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    evaluated = evaluate_lake(opened, "evaluation")
    assert evaluated is not None
    scores = {(one["dataset"], one["metric"]): one for one in evaluated.scores.to_pylist()}
    assert scores["corrections", "wer"]["value"] > 0


@needs_browser
def test_a_query_is_run_and_its_rows_are_downloaded(open_page: Callable[..., Any]) -> None:
    page = open_page("/nightscribe/sql")
    page.locator("textarea").fill("SELECT member FROM sources WHERE member LIKE 'german/de-01%'")
    page.keyboard.press("Control+Enter")
    page.locator("table").get_by_text("german/de-01.flac").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = Path(download.value.path()).read_text()
    assert text.split() == ["member", "german/de-01.flac"]


@needs_browser
def test_every_page_is_reached_and_left_by_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page("/nightscribe/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for name in ("Home", "Library"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings")
    page.go_back()
    page.wait_for_url("**/nightscribe/")


PAGES = [
    "/",
    "/search?q=the",
    "/sql?q=FROM%20recordings",
    "/recordings",
    "/rejected",
    "/warnings",
    "/quality",
    "/plan",
    "/upload",
    "/review",
    "recording",
    "review",
]
WAYS = {"recording": "/recordings?language=de", "review": "/review?queue=sample"}


@needs_browser
@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
def test_axe_finds_nothing_serious_and_nothing_overflows(
    width: int, theme: str, open_page: Callable[..., Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    for path in PAGES:
        page = open_page(
            f"/nightscribe{WAYS.get(path, path)}",
            viewport={"width": width, "height": 800},
            color_scheme=theme,
        )
        if path in WAYS:
            page.locator(".rows a.name").first.click()
            page.locator(".segments").first.wait_for()
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:120])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
