"""The nightly job, stage by stage: what the DAG's tasks and `nightscribe run` both call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nightscribe.lake.tables import Lake
from nightscribe.manifests.annotate import finish_manifests
from nightscribe.settings import Settings
from nightscribe.stages.ingest import Ingested, ingest
from nightscribe.stages.order import Order
from nightscribe.stages.plan import Plan, batch_audio_s, expected_rtfx, plan
from nightscribe.stages.publish import publish
from nightscribe.stages.run_ids import new_run_id, work_folder
from nightscribe.stages.scan import Scanned, scan
from nightscribe.stages.transcribe import Transcribed, transcribe_batch
from nightscribe.whisper.contract import Engine
from nightscribe.whisper.engines import engine_named, model_loader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """What one run did."""

    scanned: Scanned
    ingested: list[Ingested]
    plan: Plan
    transcribed: list[Transcribed]
    catalog: str


def plan_run(lake: Lake, order: Order, run_id: str, settings: Settings, max_batches: int) -> Plan:
    """Apply what the scan's manifests say, then plan what is pending."""
    wanted = order.wanted(settings)
    folder = work_folder(run_id)
    finish_manifests(lake, folder, run_id)
    rtfx = expected_rtfx(lake, wanted.model_id, settings.device)
    return plan(
        lake,
        wanted,
        folder=folder,
        run_id=run_id,
        batch_audio_s=batch_audio_s(settings, rtfx),
        max_batches=max_batches,
    )


def run(
    lake: Lake,
    order: Order,
    settings: Settings,
    *,
    run_id: str | None = None,
    say: Callable[[str], None] = log.info,
    engine: Engine | None = None,
) -> Night:
    """The whole nightly job in this process. Raises what its stages raise.

    `engine`: by default the one that the settings name.
    """
    run_id = run_id or new_run_id()
    engine = engine or engine_named(settings.engine, slots=settings.slots)
    order.wanted(settings)  # mistakes show before the archives are read
    scanned = scan(
        lake,
        order.archives,
        run_id,
        settings=settings,
        folder=work_folder(run_id),
        force=order.force,
    )
    say(scanned.summary())
    ingested = [ingest(lake, spec, run_id, settings=settings) for spec in scanned.specs]
    for one in ingested:
        say(one.summary())
    made = plan_run(lake, order, run_id, settings, 1000)
    say(made.summary())
    load = model_loader(settings)
    transcribed = []
    for spec in made.specs:
        transcribed.append(transcribe_batch(lake, spec, run_id, load, engine, settings=settings))
        say(transcribed[-1].summary())
    return Night(scanned, ingested, made, transcribed, publish(lake))
