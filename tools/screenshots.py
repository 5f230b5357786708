"""Make the pictures of the documentation: python -m tools.screenshots [FOLDER]

Runs three nights over the sample archive in an Airflow of its own, and looks at it with Chromium.
The first night has a limit, so that something is pending for the picture of the plan.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from nightscribe.airflow.standalone import REPOSITORY, free_port, running
from nightscribe.errors import NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from tools.airflow_api import AirflowApi

DAG = "transcribe_archives"
QUERY = """SELECT language, task, count(*) AS transcripts, round(sum(duration_s)) AS seconds
FROM transcripts GROUP BY ALL ORDER BY ALL"""
WIDE, HIGH = 1200, 700


def main(arguments: list[str] | None = None) -> int:
    """Make all pictures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=REPOSITORY / "docs" / "images", help="where to"
    )
    folder: Path = parser.parse_args(arguments).folder
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("error: Chromium is not installed", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nightscribe-screenshots-") as place:
        lake = Path(place) / "lake"
        environment = {
            "NIGHTSCRIBE_LAKE": str(lake),
            "NIGHTSCRIBE_ARCHIVES": str(REPOSITORY / "samples" / "archive"),
            "NIGHTSCRIBE_MODEL": "demo",
            "NIGHTSCRIBE_SCHEDULE": "none",
        }
        airflow = AirflowApi(Path(place) / "airflow", free_port(), environment=environment)
        with running(airflow), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            camera = Camera(airflow, browser, folder)
            night(airflow, {"task": "both", "limit": 42})
            camera.plan()
            night(airflow, {"task": "both"})
            night(airflow, {"task": "both"})
            camera.runs()
            camera.recording(lake)
            camera.search()
            camera.review(lake)
            camera.sql()
            browser.close()
    return 0


def night(airflow: AirflowApi, conf: dict[str, Any]) -> None:
    """Run a night to its end."""
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)
    run_id = airflow.trigger(DAG, conf)
    if airflow.wait_for_run(DAG, run_id, 600) != "success":
        raise NightscribeError(f"{DAG} {run_id} failed")


class Camera:
    """Takes pictures of pages, logged in with the form, as a person does."""

    def __init__(self, airflow: AirflowApi, browser: Browser, folder: Path) -> None:
        self._airflow = airflow
        self._browser = browser
        self._folder = folder
        context = browser.new_context()
        page = context.new_page()
        page.goto(airflow.url)
        user, password = airflow.login
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_url(re.compile(rf"{airflow.url}/(?!auth)"))
        self._cookies: Any = context.cookies()
        context.close()

    @contextmanager
    def _open(
        self, path: str, picture: str, size: tuple[int, int] = (WIDE, HIGH), **options: Any
    ) -> Iterator[Page]:
        """A page, of which a picture is taken at the end of the block."""
        width, height = size
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, timezone_id="UTC", **options
        )
        context.add_cookies(self._cookies)
        page = context.new_page()
        page.goto(f"{self._airflow.url}{path}")
        yield page
        page.screenshot(path=self._folder / f"{picture}.png")
        print(self._folder / f"{picture}.png")
        context.close()

    def plan(self) -> None:
        """What is pending, and how long it takes."""
        path = "/nightscribe/plan?task=both&workers=2&price=2.5&by=06:00"
        with self._open(path, "pages-plan", (WIDE, 620)):
            pass

    def runs(self) -> None:
        """Airflow's grid of the nightly DAG, with the newest run but one."""
        run_id = self._airflow.runs(DAG)[1]["dag_run_id"]
        with self._open(f"/dags/{DAG}/runs/{run_id}", DAG, (1400, 620)) as page:
            page.get_by_text("publish").last.wait_for()
            page.wait_for_timeout(2_000)

    def recording(self, lake: Path) -> None:
        """A long recording while it plays."""
        identifier = recording_of(lake, "long/long-fr.ogg")
        with self._open(f"/nightscribe/recordings/{identifier}#t=20", "pages-recording") as page:
            page.wait_for_timeout(2_000)
            page.locator("audio").evaluate("player => player.pause()")
            page.locator(".waveform").first.evaluate(
                "element => window.scrollTo(0, element.getBoundingClientRect().top - 48)"
            )
            page.wait_for_timeout(500)

    def search(self) -> None:
        """Hits with a line of context."""
        with self._open("/nightscribe/search?q=window", "pages-search"):
            pass

    def review(self, lake: Path) -> None:
        """A transcript with one corrected segment."""
        identifier = recording_of(lake, "long/long-es.mp3")
        [row] = read(
            open_lake(str(lake)),
            """SELECT transcript_id FROM latest_transcripts
               WHERE recording_id = $id AND task = 'transcribe'""",
            id=identifier,
        ).to_pylist()
        with self._open(f"/nightscribe/review/{row['transcript_id']}", "pages-review") as page:
            field = page.locator("textarea").nth(2)
            field.fill(f"{field.input_value().rstrip()} Mañana.")
            page.get_by_role("button", name="Save").click()
            page.wait_for_load_state()
            page.wait_for_timeout(1_000)

    def sql(self) -> None:
        """A query and its result, in the dark theme."""
        with self._open("/nightscribe/sql", "pages-sql", color_scheme="dark") as page:
            page.locator("textarea").first.fill(QUERY)
            page.get_by_role("button", name="Run").click()
            page.get_by_role("heading", name="Result").wait_for()


def recording_of(lake: Path, member: str) -> str:
    """The id of the recording at a place of the archive."""
    query = "SELECT recording_id FROM sources WHERE member = $member LIMIT 1"
    [row] = read(open_lake(str(lake)), query, member=member).to_pylist()
    identifier: str = row["recording_id"]
    return identifier


if __name__ == "__main__":
    sys.exit(main())
