"""Every setting, its unit and its default: the one place that reads the environment.

(But for `NIGHTSCRIBE_DEMO_MODEL`, which `whisper/models.py` reads: the demo checkpoint's path where
there is no checkout around the library, as in a container.)

`NIGHTSCRIBE_LAKE=/data/lake` sets `Settings().lake`. Credentials are not among them:
those come from Airflow connections or the cloud's own chain.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


EngineName = Literal["batched", "reference"]


class ArchiveLimits(BaseSettings):
    """What one container (zip, tar) may hold before it is taken for a bomb and rejected."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCRIBE_ARCHIVE_", frozen=True)

    max_members: int = Field(1_000_000, gt=0, description="members in one container")
    max_expanded_bytes: int = Field(
        1024 * GIB, gt=0, description="bytes that one container may expand to"
    )
    max_member_bytes: int = Field(16 * GIB, gt=0, description="bytes that one member may expand to")
    max_ratio: float = Field(
        200.0,
        gt=1,
        description="expanded over compressed size of a member; 16-bit silence in a zip reaches "
        "about 1000, speech stays below 10",
    )
    spool_bytes: int = Field(
        64 * MIB,
        gt=0,
        description="a member that cannot be read in place is held in memory up to this size and "
        "in the temporary folder beyond it",
    )


class Settings(BaseSettings):
    """Nightscribe's settings, from `NIGHTSCRIBE_*` environment variables."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCRIBE_", frozen=True)

    lake: str = Field("lake", description="folder or s3:// prefix that holds all tables")
    lake_conn_id: str | None = Field(
        None, description="Airflow connection with the credentials of an object-store lake"
    )
    archives: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="archive URIs, separated by commas: folders, zips, tars, s3://, gs://"
    )
    model: str = Field("turbo", description="an official name, a path to a checkpoint, or `demo`")
    model_dir: str | None = Field(
        None, description="where checkpoints are cached; default: where openai-whisper does"
    )
    device: str = Field("auto", description="`auto` (CUDA, else CPU), `cpu`, `cuda`, `cuda:1` …")
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="`auto` (float16 on CUDA, float32 on a CPU), `float32`, `float16` (CUDA only) "
        "or `bfloat16` (where the device has it); no transcript is made anew for it",
    )
    engine: EngineName = Field(
        "batched",
        description="`batched`: openai-whisper's transcripts, many recordings at a time; "
        "`reference`: openai-whisper itself",
    )
    slots: int = Field(
        0,
        ge=0,
        description="windows that the batched engine decodes side by side; 0: what memory "
        "allows, up to 16 on a CPU and 256 on a GPU",
    )
    task: str = Field("transcribe", description="`transcribe`, `translate` or `both`")
    language: str = Field(
        "auto",
        description="`auto` (Whisper detects), `manifest` (the manifest's hint, else detect), or "
        "a language code for all",
    )
    threads: int = Field(0, ge=0, description="CPU threads for torch; 0 leaves torch's choice")
    batch_minutes: float = Field(
        20.0, gt=0, description="expected processing time of one batch, in minutes"
    )
    batch_hours_max: float = Field(
        10.0,
        gt=0,
        description="a batch that has taken this long commits what it has; the rest is left to the "
        "next run. Below the task's time-out of 12 hours",
    )
    expected_rtfx: float | None = Field(
        None,
        gt=0,
        description="audio seconds per wall second to size batches by; default: what this model "
        "reached before in this lake, else 20 where `device` names a GPU, else 1",
    )
    schedule: str = Field(
        "@daily", description="of the nightly DAG, a cron expression; empty: none"
    )
    gate: str = Field(
        "",
        description="path of a gate.toml: the DAG evaluate_transcripts fails when a language is "
        "worse than its baseline beyond these rules; empty: it only reports",
    )
    pool: str = Field("gpu", description="Airflow pool of transcription tasks: a slot per GPU")
    queue: str = Field("gpu", description="Celery queue of transcription tasks")
    retry_delay_s: float = Field(
        30.0, gt=0, description="pause before a failed task is tried again; doubles each time"
    )
    ingest_files: int = Field(2_000, gt=0, description="files of one ingest task, at most")
    ingest_bytes: int = Field(20 * GIB, gt=0, description="bytes of one ingest task, about")
    min_duration_s: float = Field(0.1, ge=0, description="shorter recordings are rejected")
    max_duration_s: float = Field(
        24 * 3600.0,
        gt=0,
        description="longer recordings are rejected. The batched engine's memory does not grow "
        "with a recording's length; the reference engine's does, by about 2 GB an hour",
    )

    limits: ArchiveLimits = Field(
        default_factory=ArchiveLimits,
        description="what one container may hold: NIGHTSCRIBE_ARCHIVE_*",
    )

    @field_validator("engine")
    @classmethod
    def _computes(cls, value: str, others: ValidationInfo) -> str:
        if value == "reference" and others.data.get("precision") == "bfloat16":
            raise ValueError("openai-whisper has no bfloat16; set NIGHTSCRIBE_PRECISION=auto")
        return value

    @field_validator("archives", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
