"""The nightly job, stage by stage: what the DAG's tasks and `nightscribe run` both call."""

from __future__ import annotations

import functools
import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nightscribe.annotate import finish_manifests
from nightscribe.batch import Transcribed, batch_audio_s, transcribe_batch
from nightscribe.errors import ConfigurationError
from nightscribe.ingest import Ingested, ingest
from nightscribe.lake.catalog import connect, publish
from nightscribe.lake.store import Lake
from nightscribe.languages import language_code
from nightscribe.pending import Wanted
from nightscribe.planning import Plan, expected_rtfx, plan
from nightscribe.scan import Scanned, scan
from nightscribe.settings import Settings
from nightscribe.storage import canonical_uri
from nightscribe.whisper.engine import LoadedModel, load_model
from nightscribe.whisper.models import DEMO, can_translate, model_id_of, official_name
from nightscribe.whisper.options import Options, tasks_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a run was asked to do, as DAG parameters and command-line flags say it."""

    archives: tuple[str, ...]
    model: str
    task: str = "transcribe"
    language: str = "auto"
    options: Mapping[str, Any] | None = None
    limit: int | None = None
    force: bool = False
    datasets: tuple[str, ...] = ()

    def wanted(self, settings: Settings) -> Wanted:
        """The order, checked. Raises `ConfigurationError` or `ModelError`."""
        if not self.archives and not self.datasets:
            raise ConfigurationError(
                "no archive to transcribe: set NIGHTSCRIBE_ARCHIVES, the run's `archives` "
                "parameter or --archives; or name a data set"
            )
        if self.limit is not None and self.limit < 1:
            raise ConfigurationError(f"limit {self.limit}: must be at least 1")
        options = Options.from_mapping(self.options or {})
        if mistake := options.mistake():
            raise ConfigurationError(f"option {mistake}")
        tasks = tasks_of(self.task)
        model_id = model_id_of(self.model, settings.model_dir)
        # The table of official models comes with whisper and torch, which take seconds to import.
        known = None if self.model == DEMO else official_name(model_id)
        if "translate" in tasks and not can_translate(known or self.model):
            raise ConfigurationError(
                f"model {self.model} was not trained to translate: choose medium or large-v3, or "
                "the task transcribe"
            )
        if options.language is not None:
            raise ConfigurationError("give the language as the run's `language`, not in `options`")
        if self.language not in {"auto", "manifest"}:
            options = options.with_language(_checked_language(self.language))
        return Wanted(
            model=self.model,
            model_id=model_id,
            tasks=tasks,
            options=options,
            archives=tuple(canonical_uri(archive) for archive in self.archives),
            datasets=self.datasets,
            hints=self.language == "manifest",
            limit=self.limit,
            force=self.force,
        )


@dataclass(frozen=True)
class Night:
    """What one run did."""

    scanned: Scanned
    ingested: list[Ingested]
    plan: Plan
    transcribed: list[Transcribed]
    catalog: str


def new_run_id() -> str:
    """Name of a run that Airflow did not name."""
    return f"cli__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def work_folder(run_id: str) -> str:
    """Folder in the lake for the specs of a run: its id, made fit for a path, and a digest."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id).strip("-.")[:80]
    return f"_plans/{slug}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


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


def model_loader(settings: Settings) -> Callable[[str], LoadedModel]:
    """A function that loads a model once, at its first use, and keeps it for the process."""

    @functools.cache
    def load(name: str) -> LoadedModel:
        if settings.threads:
            import torch

            torch.set_num_threads(settings.threads)
        return load_model(name, settings.device, settings.model_dir, settings.precision)

    return load


def run(
    lake: Lake,
    order: Order,
    settings: Settings,
    *,
    run_id: str | None = None,
    say: Callable[[str], None] = log.info,
) -> Night:
    """The whole nightly job in this process. Raises what its stages raise."""
    run_id = run_id or new_run_id()
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
        transcribed.append(transcribe_batch(lake, spec, run_id, load, settings=settings))
        say(transcribed[-1].summary())
    return Night(scanned, ingested, made, transcribed, publish(lake))


def counts(lake: Lake, tables: Sequence[str] = ()) -> dict[str, int]:
    """Rows in the lake's tables, by name."""
    tables = tables or ("recordings", "sources", "rejected", "transcripts", "segments")
    with connect(lake) as connection:
        query = "SELECT " + ", ".join(f"(SELECT count(*) FROM {name})" for name in tables)
        [row] = connection.execute(query).fetchall()
    return dict(zip(tables, row, strict=True))


def _checked_language(language: str) -> str:
    code = language_code(language)
    if code is None:
        raise ConfigurationError(
            f"language {language!r}: choose auto, manifest, or a language that Whisper knows, "
            "such as en or Spanish"
        )
    return code
