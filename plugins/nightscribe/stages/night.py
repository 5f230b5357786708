"""The nightly run: all stages in one process, and the planning stage as the DAG calls it too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nightscribe.lake.tables import Lake
from nightscribe.settings import Settings
from nightscribe.stages.index import index_published
from nightscribe.stages.ingest import ingest_scanned
from nightscribe.stages.ingest_queue import Ingested
from nightscribe.stages.order import Order
from nightscribe.stages.outcome import Outcome, outcome_of
from nightscribe.stages.plan import Plan, plan_run
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import new_run_id, work_folder
from nightscribe.stages.scan import Scanned, scan
from nightscribe.stages.transcribe import Transcribed, transcribe_batch
from nightscribe.whisper.contract import Engine
from nightscribe.whisper.engines import engine_named, model_loader

__all__ = ["Night", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """The results of one run."""

    scanned: Scanned
    ingested: list[Ingested]
    plan: Plan
    transcribed: list[Transcribed]
    outcome: Outcome
    catalog: str


def run(
    lake: Lake,
    order: Order,
    settings: Settings | None = None,
    *,
    run_id: str | None = None,
    say: Callable[[str], None] = log.info,
    engine: Engine | None = None,
) -> Night:
    """Run all stages in this process. Raises what the stages raise.

    Args:
        settings: default: those of the environment
        say: called with the one-line summary of each stage; default: log it
        engine: default: the engine that the settings name
    """
    settings = settings or Settings()
    run_id = run_id or new_run_id()
    engine = engine or engine_named(settings.engine, slots=settings.slots)
    order.wanted(settings)  # reports mistakes before the archives are read
    scanned = scan(
        lake,
        order.archives,
        run_id,
        settings=settings,
        folder=work_folder(run_id),
        force=order.force,
    )
    say(scanned.summary())
    ingested = []
    for spec in scanned.specs:
        ingested.append(ingest_scanned(lake, spec, run_id, settings=settings))
        say(ingested[-1].summary())
    made = plan_run(lake, order, run_id, settings, 1000)
    say(made.summary())
    load = model_loader(settings)
    transcribed = []
    for spec in made.specs:
        transcribed.append(transcribe_batch(lake, spec, run_id, load, engine, settings=settings))
        say(transcribed[-1].summary())
    outcome = outcome_of(lake, run_id)
    for line in outcome.lines():
        say(line)
    catalog = publish(lake)
    say(index_published(lake, settings))
    return Night(scanned, ingested, made, transcribed, outcome, catalog)
