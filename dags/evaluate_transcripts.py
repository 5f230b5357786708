"""After new transcripts, scores all transcripts against the references and writes a report.

score → publish → gate. The task `gate` fails if a language is worse than its baseline by more than
the rules of NIGHTSCRIBE_GATE allow, or beyond a limit of theirs. What the rules said is in the
lake's table `verdicts`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

from nightscribe.airflow import form as form
from nightscribe.airflow.alerts import on_failure
from nightscribe.settings import Settings


@dag(
    dag_display_name="Evaluate transcripts",
    schedule=[form.TRANSCRIPTS],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "on_failure_callback": on_failure(Settings()),
    },
    tags=["nightscribe"],
    doc_md=__doc__,
)
def evaluate_transcripts() -> None:
    @task(execution_timeout=timedelta(hours=2))
    def score(
        params: dict | None = None,
        run_id: str | None = None,
        dag: object = None,
        dag_run: object = None,
    ) -> dict:
        import logging
        from pathlib import Path

        from airflow.sdk.exceptions import AirflowFailException

        from evaluation.errors import InputError
        from evaluation.gate.findings import findings_summary
        from evaluation.gate.rules_file import read_gate
        from evaluation.lake import evaluate_lake
        from nightscribe.airflow.lineage import note_lineage
        from nightscribe.airflow.metrics import show_scores
        from nightscribe.airflow.run_conf import check_conf
        from nightscribe.airflow.tasks import lake_of
        from nightscribe.errors import ConfigurationError

        log = logging.getLogger(__name__)
        settings = Settings()
        try:
            check_conf(dag_run.conf, dag.params, params)
        except ConfigurationError as error:
            raise AirflowFailException(str(error)) from error
        try:
            rules = read_gate(Path(settings.gate)) if settings.gate else None
        except InputError as error:
            raise AirflowFailException(f"NIGHTSCRIBE_GATE: {error}") from error
        lake = lake_of(settings)
        evaluated = evaluate_lake(lake, run_id, rules)
        if evaluated is None:
            log.info("nothing to score: no transcript has a reference")
            return {"score_id": None, "scores": 0, "reports": [], "gate": None}
        for line in evaluated.table.splitlines():
            log.info(line)
        show_scores(evaluated.scores.to_pylist())
        note_lineage(lake)
        found = evaluated.findings
        verdict = None
        if rules is not None:
            verdict = {
                "summary": findings_summary(found) or "no baseline is set",
                "alarms": found.alarms,
                "warnings": found.warnings,
            }
        return {
            "score_id": evaluated.score_id,
            "scores": evaluated.scores.num_rows,
            "reports": evaluated.uris,
            "gate": verdict,
        }

    @task
    def publish(scored: dict) -> str:
        from nightscribe.airflow.lineage import note_lineage
        from nightscribe.airflow.tasks import lake_of
        from nightscribe.stages.publish import publish

        lake = lake_of(Settings())
        catalog = publish(lake)
        note_lineage(lake)
        return catalog

    @task(retries=0, execution_timeout=timedelta(minutes=5))
    def gate(scored: dict) -> None:
        import logging

        from airflow.sdk.exceptions import AirflowFailException

        log = logging.getLogger(__name__)
        verdict = scored["gate"]
        if verdict is None:
            log.info("no gate: NIGHTSCRIBE_GATE is not set, or nothing was scored")
            return
        log.info(verdict["summary"])
        for warning in verdict["warnings"]:
            log.warning(warning)
        if verdict["alarms"]:
            raise AirflowFailException("; ".join(verdict["alarms"]))

    scored = score()
    publish(scored) >> gate(scored)


DAG = evaluate_transcripts()
