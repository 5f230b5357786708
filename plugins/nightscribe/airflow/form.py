"""Parameters that DAGs share, as Airflow's trigger form shows them.

Imported when DAG files are parsed: nothing heavy here.
"""

from __future__ import annotations

from airflow.sdk import Asset, Param

# Any scheme but x-… would make Airflow load every provider at each parse, to look for its rules.
TRANSCRIPTS = Asset(name="transcripts", uri="x-nightscribe://lake/transcripts")
"""Updated by whatever adds transcripts to the lake; evaluation runs when it is."""

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
    """Which archives to scan."""
    return Param(
        [],
        type=["null", "array"],  # without null, the form marks the field as required
        items={"type": "string"},
        title="Archives",
        description="Folders, .zip, .tar[.gz|.bz2|.xz], s3://… or gs://…, one a line. "
        "Empty: those of NIGHTSCRIBE_ARCHIVES.",
    )


def datasets() -> Param:
    """Which data sets' recordings."""
    return Param(
        [],
        type=["null", "array"],
        items={"type": "string"},
        title="Data sets",
        description="Only recordings with a reference in these, one a line; see "
        "`nightscribe datasets`. Without archives, none is looked through for new ones.",
    )


def transcription() -> dict[str, Param]:
    """Model, task, language, options and force: what decides about a transcript's text."""
    return {
        "model": Param(
            None,
            type=["null", "string"],
            examples=MODELS,
            title="Model",
            description="An official name, or a path to a checkpoint. Empty: NIGHTSCRIBE_MODEL.",
        ),
        "task": Param(
            None,
            type=["null", "string"],
            enum=[None, "transcribe", "translate", "both"],
            values_display={"null": "as configured"},
            title="Task",
            description="As configured: NIGHTSCRIBE_TASK.",
        ),
        "language": Param(
            None,
            type=["null", "string"],
            title="Language",
            description="auto (Whisper detects it), manifest (the archive's own hint, where there "
            "is one), or a language code for all. Empty: NIGHTSCRIBE_LANGUAGE.",
        ),
        "options": Param(
            {},
            type=["null", "object"],
            title="Decoding options",
            description='Whisper\'s, by the names of its flags: {"beam_size": 5}',
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Transcribe again what has a transcript, and replace it.",
        ),
    }


def limit() -> Param:
    """How many recordings at most."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Limit",
        description="Recordings to transcribe in this run, at most.",
    )
