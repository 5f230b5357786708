"""`make demo`: run the nightly job on the sample archive in a real Airflow, and print the results.

Starts a private Airflow (SQLite, LocalExecutor, 127.0.0.1 only), triggers the DAG
`transcribe_archives`, waits for it and for the run of `evaluate_transcripts` that its asset starts,
prints tables of the lake, and stops Airflow.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from evaluation.report.text import text_table
from nightscribe.airflow.standalone import REPOSITORY, free_port, running
from nightscribe.errors import NightscribeError
from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import connect
from nightscribe.settings import Settings
from nightscribe.stages.account import accounts_of
from tools.airflow_api import AirflowApi

TRANSCRIBE, EVALUATE = "transcribe_archives", "evaluate_transcripts"

QUERIES = (
    (
        "What is in the lake?",
        """SELECT task, language, count(*) AS transcripts, round(sum(duration_s), 1) AS audio_s,
                  sum(segment_count) AS segments
           FROM latest_transcripts GROUP BY ALL ORDER BY ALL""",
    ),
    (
        "Who talks about a window, and where?",
        """SELECT language, member, round(start_s, 1) AS start_s, trim(text) AS text FROM search
           WHERE task = 'translate' AND text ILIKE '%window%' ORDER BY ALL LIMIT 5""",
    ),
    (
        "Which files could not be used, and why?",
        "SELECT parse_filename(uri) AS file, reason FROM rejected ORDER BY ALL",
    ),
    (
        "Under which conditions do transcripts go wrong? (error rates in %)",
        """SELECT condition, count(*) AS recordings,
                  round(100 * sum(errors) / sum(units), 1) AS error_rate
           FROM utterance_errors
           JOIN (SELECT DISTINCT recording_id, metadata->>'condition' AS condition FROM sources)
               USING (recording_id)
           WHERE task = 'transcribe' AND score_id IN (SELECT score_id FROM latest_scores)
               AND condition IS NOT NULL
           GROUP BY condition ORDER BY error_rate""",
    ),
)


def main() -> int:
    """Run the demo; returns the exit code."""
    started = time.monotonic()
    settings = Settings()
    airflow = AirflowApi(
        REPOSITORY / ".nightscribe" / "airflow",
        free_port(),
        environment={"NIGHTSCRIBE_SCHEDULE": "none"},  # only the run below is started
    )
    print(f"Starting Airflow in {airflow.home} …", flush=True)
    try:
        with running(airflow):
            before = {run["dag_run_id"] for run in _known_runs(airflow)}
            run_id = _nightly_run(airflow)
            _evaluation(airflow, before)
            for dag_id in (TRANSCRIBE, EVALUATE):  # so that `make up` starts no run
                airflow.api("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
        _print_results(settings, run_id)
    except NightscribeError as error:
        print(f"error: {error}\nAirflow's log: {airflow.home}/standalone.log", file=sys.stderr)
        return 1
    except BrokenPipeError:  # a reader such as `head` went away; Airflow is stopped by now
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    print(
        f"Lake:    {Path(settings.lake).resolve()}\n"
        f"Report:  {Path(settings.lake).resolve()}/reports/latest/report.html\n"
        f"SQL:     {Path(sys.executable).parent / 'nightscribe'} sql --lake {settings.lake} "
        f'"SHOW TABLES"\n'
        "Airflow: `make up` opens its UI on http://127.0.0.1:8080 and prints the login\n"
        "Pages:   http://127.0.0.1:8080/nightscribe/ then, or Nightscribe in Airflow's navigation\n"
        f"The demo took {time.monotonic() - started:.0f} s."
    )
    return 0


def _nightly_run(airflow: AirflowApi) -> str:
    """Trigger the nightly DAG, print its tasks while they finish; returns the run id."""
    for dag_id in (TRANSCRIBE, EVALUATE):
        airflow.wait_for_dag(dag_id)
        airflow.unpause(dag_id)
    run_id = airflow.trigger(TRANSCRIBE)
    print(f"Airflow runs {TRANSCRIBE} ({run_id}):", flush=True)
    finished: set[tuple[str, int]] = set()
    while True:
        state = airflow.api("GET", f"/dags/{TRANSCRIBE}/dagRuns/{run_id}")["state"]
        for task in airflow.tasks(TRANSCRIBE, run_id):
            key = (task["task_id"], task["map_index"])
            if task["state"] in {"success", "failed", "skipped"} and key not in finished:
                finished.add(key)
                name = task["task_id"] + (f"[{key[1]}]" if key[1] >= 0 else "")
                took = f"{task['duration']:.1f} s" if task["duration"] else ""
                print(f"  {name:<16} {task['state']:<8} {took}", flush=True)
        if state == "failed":
            raise NightscribeError(f"{TRANSCRIBE} failed: see the logs in {airflow.home}/logs")
        if state == "success":
            return run_id
        time.sleep(1)


def _known_runs(airflow: AirflowApi) -> list[dict[str, str]]:
    airflow.wait_for_dag(EVALUATE)
    return airflow.runs(EVALUATE)


def _evaluation(airflow: AirflowApi, before: set[str]) -> None:
    """Wait for the evaluation's run, which is not among the runs `before`."""
    deadline = time.monotonic() + 60
    while True:
        new = [run for run in airflow.runs(EVALUATE) if run["dag_run_id"] not in before]
        if new:
            break
        if time.monotonic() > deadline:
            raise NightscribeError(f"the asset `transcripts` did not start {EVALUATE}")
        time.sleep(0.5)
    run_id = new[0]["dag_run_id"]
    print(f"The asset `transcripts` started {EVALUATE} ({run_id})", flush=True)
    if airflow.wait_for_run(EVALUATE, run_id, 120) != "success":
        raise NightscribeError(f"{EVALUATE} failed: see the logs in {airflow.home}/logs")


def _print_results(settings: Settings, run_id: str) -> None:
    with connect(open_lake(settings.lake)) as connection:
        [(transcripts,)] = connection.execute(
            "SELECT count(*) FROM transcripts WHERE run_id = ?", [run_id]
        ).fetchall()
        if transcripts:
            print(f"\nThe run wrote {transcripts} transcripts.\n")
        else:
            print("\nNothing was transcribed: no transcript is pending.\n")
        for title, query in QUERIES:
            print(title)
            connection.sql(query).show(max_width=120)
        for account in accounts_of(connection, run_id):
            print(f"Every file is accounted for:\n{account.line()}\n")
        print("How good are the transcripts? (error rates in %, 95 % intervals)")
        print(text_table(connection.sql("FROM latest_scores").to_arrow_table()))


if __name__ == "__main__":
    sys.exit(main())
