"""Parameters of the DAGs, as Airflow's trigger form shows them.

Airflow imports this module whenever it parses a DAG file, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, Param

from nightscribe.settings import MANUAL, Settings

# For a scheme without `x-`, Airflow loads every provider at each parse, to look for its rules.
TRANSCRIPTS = Asset(name="transcripts", uri="x-nightscribe://lake/transcripts")
"""Updated by the DAGs that add transcripts to the lake; `evaluate_transcripts` runs after it."""


def nightly_schedule(settings: Settings) -> Any:
    """When `transcribe_archives` runs: every night, and, if that is set, when files arrive."""
    time = None if settings.schedule == MANUAL else settings.schedule
    if not settings.watch_s or not settings.archives:
        return time
    from airflow.sdk import AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

    from nightscribe.airflow.arrival_trigger import ArrivalTrigger

    trigger = ArrivalTrigger(settings.archives, settings.watch_s)
    arrived = Asset(
        name="arrivals",
        uri="x-nightscribe://archives/arrivals",
        watchers=[AssetWatcher(name="arrivals", trigger=trigger)],
    )
    if time is None:
        return [arrived]
    timetable = CronTriggerTimetable(time, timezone="UTC")
    return AssetOrTimeSchedule(timetable=timetable, assets=[arrived])


MODELS = [
    "demo",
    "tiny.en",
    "tiny",
    "base.en",
    "base",
    "small.en",
    "small",
    "medium.en",
    "medium",
    "large-v1",
    "large-v2",
    "large-v3",
    "large",
    "large-v3-turbo",
    "turbo",
]


def archives() -> Param:
    """The archives to scan."""
    return Param(
        [],
        type=["null", "array"],  # without null, the form marks the field as required
        items={"type": "string"},
        title="Archives",
        description="Folders, .zip, .tar[.gz|.bz2|.xz|.zst], single files, s3://… or gs://…, one "
        "per line. Empty: NIGHTSCRIBE_ARCHIVES.",
    )


def datasets() -> Param:
    """The data sets whose recordings are transcribed."""
    return Param(
        [],
        type=["null", "array"],
        items={"type": "string"},
        title="Data sets",
        description="Transcribe only recordings with a reference in these data sets, one per line; "
        "see `nightscribe datasets`. If no archives are given, none is scanned.",
    )


def transcription() -> dict[str, Param]:
    """Model, task, language, options and force: how recordings are transcribed."""
    return {
        "model": Param(
            None,
            type=["null", "string"],
            examples=MODELS,
            title="Model",
            description="Official name, path of a checkpoint, or demo. Empty: NIGHTSCRIBE_MODEL.",
        ),
        "task": Param(
            None,
            type=["null", "string"],
            enum=[None, "transcribe", "translate", "both"],
            values_display={"null": "as configured"},
            title="Task",
            description="Transcribe, translate into English, or both. As configured: "
            "NIGHTSCRIBE_TASK.",
        ),
        "language": Param(
            None,
            type=["null", "string"],
            title="Language",
            description="Spoken language: auto (detected), manifest (from the archive's manifest, "
            "else detected), or a code for all recordings. Empty: NIGHTSCRIBE_LANGUAGE.",
        ),
        "options": Param(
            {},
            type=["null", "object"],
            title="Decoding options",
            description='By the names of the whisper flags, such as {"beam_size": 5}.',
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Also transcribe recordings that have a transcript, and replace it. Read "
            "rejected inputs again.",
        ),
    }


def limit() -> Param:
    """The largest number of recordings to transcribe."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Limit",
        description="Transcribe at most this many recordings in this run.",
    )
