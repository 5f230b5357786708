"""Every setting with its unit and default. This module reads them from the environment.

`NIGHTSCRIBE_LAKE=/data/lake` sets `Settings().lake`. A variable that is empty or blank is as if it
were not set. Credentials are not settings: they come from
Airflow connections or from the cloud's own chain. One variable is read elsewhere:
`NIGHTSCRIBE_DEMO_MODEL`, in `nightscribe.whisper.checkpoints`.
"""

from __future__ import annotations

import json
import os
import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from nightscribe.languages import language_code

MIB = 1024 * 1024
GIB = 1024 * MIB


EngineName = Literal["batched", "reference"]
TaskName = Literal["transcribe", "translate", "both"]

DEVICE = re.compile(r"auto|cpu|cuda(?::\d+)?")
"""Names of devices, on whatever machine."""
CHOOSE_DEVICE = "choose auto, cpu, cuda or cuda:N"
CHOOSE_LANGUAGE = "choose auto, manifest, or a language that Whisper knows, such as en or Spanish"

TIME_OF_DAY = r"([01]\d|2[0-3]):[0-5]\d"

MANUAL = "none"
"""Value of `NIGHTSCRIBE_SCHEDULE` for a DAG that only people start."""


class _Variables(PydanticBaseSettingsSource):
    """The environment variables that have a value, as texts, by field."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The variable of a field; None if it is not set, or blank."""
        variable = f"{self.config['env_prefix']}{field_name}".upper()
        value = os.environ.get(variable, "")
        return value if value.strip() else None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
            if name != "limits"  # they have variables of their own
        }
        return {name: value for name, value in values.items() if value is not None}


class _FromEnvironment(BaseSettings):
    """A value whose fields come from environment variables."""

    model_config = SettingsConfigDict(frozen=True, allow_inf_nan=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then the variables."""
        return init_settings, _Variables(settings_cls)


class ArchiveLimits(_FromEnvironment):
    """How a container (zip or tar) is read, from `NIGHTSCRIBE_ARCHIVE_*`; limits stop zip bombs."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCRIBE_ARCHIVE_")

    max_members: int = Field(1_000_000, gt=0, description="members of one container")
    max_expanded_bytes: int = Field(
        1024 * GIB, gt=0, description="bytes that one container may expand to"
    )
    max_member_bytes: int = Field(16 * GIB, gt=0, description="bytes that one member may expand to")
    max_ratio: float = Field(
        200.0,
        gt=1,
        description="expanded size of a member over its compressed size. Speech stays below 10; "
        "16-bit silence in a zip reaches about 1000",
    )
    spool_bytes: int = Field(
        64 * MIB,
        gt=0,
        description="a member that cannot be read in place is held in memory up to this size, and "
        "in the temporary folder beyond it",
    )
    name_encoding: str = Field(
        "",
        description="encoding of names in zips that state none and are not UTF-8, such as `cp932` "
        "(Japanese), `gbk` (Chinese) or `cp866` (Russian); empty: CP437",
    )

    @field_validator("name_encoding")
    @classmethod
    def _keeps_ascii(cls, value: str) -> str:
        remedy = "give one such as cp932, gbk or cp866, or none"
        try:
            keeps_ascii = not value or b"a.wav".decode(value) == "a.wav"
        except LookupError:
            raise ValueError(f"{value!r} is not a known encoding of text; {remedy}") from None
        except UnicodeError:
            keeps_ascii = False
        if not keeps_ascii:
            raise ValueError(f"{value!r} is not an encoding that contains ASCII; {remedy}")
        return value


class Settings(_FromEnvironment):
    """The settings, from environment variables `NIGHTSCRIBE_*`. A value: it does not change."""

    model_config = SettingsConfigDict(env_prefix="NIGHTSCRIBE_")

    lake: str = Field("lake", description="folder or s3:// prefix of the tables")
    lake_conn_id: str | None = Field(
        None, description="Airflow connection (type aws) with the credentials of a lake on S3"
    )
    index: str = Field(
        "",
        description="folder of the search index; empty: `index` in a local lake, and a folder of "
        "its own in the user's cache (`~/.cache/nightscribe/index`) for a lake on S3",
    )
    archives: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="archive URIs, separated by commas: folders, zips, tars, s3://, gs://"
    )
    model: str = Field("turbo", description="official name, path of a checkpoint, or `demo`")
    model_dir: str | None = Field(
        None, description="folder of the checkpoints; default: openai-whisper's cache folder"
    )
    device: str = Field(
        "auto",
        description="`auto` (CUDA if torch finds it, else the CPU), `cpu`, `cuda`, `cuda:1` …",
    )
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        "auto",
        description="precision of matrix products: `auto` (float16 on a GPU, float32 on a CPU), "
        "`float32`, `float16` (GPU only) or `bfloat16` (GPUs since Ampere and some CPUs, engine "
        "`batched` only). A change transcribes nothing again",
    )
    engine: EngineName = Field(
        "batched",
        description="`batched`: many recordings at a time, with openai-whisper's transcripts; "
        "`reference`: openai-whisper itself",
    )
    slots: int = Field(
        0,
        ge=0,
        description="windows that the batched engine decodes side by side; 0: as many as fit in "
        "memory, up to 16 on a CPU and 256 on a GPU",
    )
    task: TaskName = Field(
        "transcribe", description="`transcribe`, `translate` (into English) or `both`"
    )
    language: str = Field(
        "auto",
        description="`auto` (Whisper detects it), `manifest` (the manifest's language, else "
        "detected), or a language for all recordings",
    )
    threads: int = Field(0, ge=0, description="torch's CPU threads; 0: torch's own choice")
    batch_minutes: float = Field(
        20.0, gt=0, description="expected processing time of one batch, in minutes"
    )
    batch_hours_max: float = Field(
        10.0,
        gt=0,
        description="after this time a batch commits what it has and leaves the rest to the next "
        "run, in hours. Keep it below the task's time-out of 12 hours",
    )
    expected_rtfx: float | None = Field(
        None,
        gt=0,
        description="speed that batches are sized by, in seconds of audio per second; default: the "
        "speed that the model reached in this lake on this kind of device, else 20 on a GPU and 1 "
        "on a CPU. With `auto`, the kind is that of the model's newest batch, else a GPU if the "
        "machine that plans has one",
    )
    schedule: str = Field(
        "@daily",
        description="schedule of the DAG transcribe_archives, a cron expression; `none`: manual "
        "runs only",
    )
    watch_s: float = Field(
        0.0,
        ge=0,
        description="seconds after which the triggerer looks at `NIGHTSCRIBE_ARCHIVES` again, to "
        "start transcribe_archives when files have arrived; 0: it does not",
    )
    done_by: str = Field(
        "",
        pattern=rf"^({TIME_OF_DAY})?$",
        description="time of day in UTC, such as `06:00`, by which a night should be done: "
        "transcribe_archives then has the task `forecast`, which fails if what is planned takes "
        "longer",
    )
    maintain_schedule: str = Field(
        "@weekly",
        description="schedule of the DAG maintain_lake, a cron expression; `none`: manual runs "
        "only",
    )
    keep_days: float = Field(
        7.0,
        ge=1,
        description="days for which maintenance keeps files, log entries and specs that nothing "
        "new needs. Longer than any task takes, and than anyone reads an old catalog",
    )
    errors_keep_days: float = Field(
        90.0,
        ge=0,
        description="days for which maintenance keeps the rows of `utterance_errors`; those of the "
        "newest evaluation stay",
    )
    retention: Annotated[dict[str, float], NoDecode] = Field(
        {},
        description="days after which maintenance forgets the recordings of a collection, or of "
        "all below a folder, such as `s3://calls=365,/data/interviews=30`; those of others stay",
    )
    gate: str = Field(
        "",
        description="path of a gate.toml: the DAG evaluate_transcripts fails if a language is "
        "worse than its baseline by more than these rules allow; empty: it only reports",
    )
    notifiers: Annotated[tuple[dict[str, Any], ...], NoDecode] = Field(
        (),
        description="whom Airflow tells of a failure: JSON, a list of objects, each with the path "
        "of a notifier or a function as `notifier`, and its arguments",
    )
    pool: str = Field("gpu", description="Airflow pool of transcription tasks; one slot per GPU")
    queue: str = Field("gpu", description="Celery queue of transcription tasks")
    retry_delay_s: float = Field(
        30.0,
        gt=0,
        description="pause before a failed task is retried, in seconds; doubles with each retry",
    )
    ingest_files: int = Field(2_000, gt=0, description="most files of one ingest task")
    ingest_bytes: int = Field(20 * GIB, gt=0, description="approximate bytes of one ingest task")
    min_duration_s: float = Field(0.1, ge=0, description="shorter recordings are rejected, s")
    max_duration_s: float = Field(
        24 * 3600.0,
        gt=0,
        description="longer recordings are rejected, s. The engine `reference` takes about 2 GB of "
        "memory per hour of a recording; the memory of `batched` does not grow with the length",
    )

    uploads: str = Field(
        "uploads",
        description="folder into which the pages write uploads and the decisions of reviewers, and "
        "from which the workers read",
    )
    upload_places: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="folders and prefixes, separated by commas, from which the DAG "
        "transcribe_upload takes files besides the folder of uploads",
    )
    upload_max_bytes: int = Field(4 * GIB, gt=0, description="largest file of the upload page")

    limits: ArchiveLimits = Field(
        default_factory=ArchiveLimits,
        description="limits of a container: `NIGHTSCRIBE_ARCHIVE_*`",
    )

    @field_validator("engine")
    @classmethod
    def _has_precision(cls, value: str, others: ValidationInfo) -> str:
        if value == "reference" and others.data.get("precision") == "bfloat16":
            raise ValueError("openai-whisper has no bfloat16; set NIGHTSCRIBE_PRECISION=auto")
        return value

    @field_validator("device")
    @classmethod
    def _is_a_device(cls, value: str) -> str:
        if DEVICE.fullmatch(value) is None:
            raise ValueError(CHOOSE_DEVICE)
        return value

    @field_validator("language")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in ("auto", "manifest") and language_code(value) is None:
            raise ValueError(CHOOSE_LANGUAGE)
        return value

    @field_validator("retention", mode="before")
    @classmethod
    def _read_rules(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        rules: dict[str, float] = {}
        for part in filter(None, map(str.strip, value.split(","))):
            uri, _, days = part.rpartition("=")
            try:
                rules[uri.strip()] = float(days)
            except ValueError:
                uri = ""
            if not uri.strip() or not rules[uri.strip()] > 0:
                raise ValueError(f"{part!r}: expected COLLECTION=DAYS, such as s3://calls=365")
        return rules

    @field_validator("notifiers", mode="before")
    @classmethod
    def _read_notifiers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            notifiers = json.loads(value)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(notifiers, list) or not all(map(_names_a_notifier, notifiers)):
            raise ValueError(
                'expected a list of objects with a path, such as [{"notifier": "package.Class"}]'
            )
        return notifiers

    @field_validator("archives", "upload_places", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


def _names_a_notifier(value: Any) -> bool:
    path = value.get("notifier") if isinstance(value, dict) else None
    return isinstance(path, str) and re.fullmatch(r"\w+(\.\w+)+", path) is not None


def invalid_variables(error: ValidationError) -> list[str]:
    """The environment variables whose values are invalid, with pydantic's reasons."""
    settings = ArchiveLimits if error.title == ArchiveLimits.__name__ else Settings
    prefix = settings.model_config["env_prefix"]
    return [
        f"{prefix}{'_'.join(map(str, problem['loc'])).upper()}={problem['input']}: "
        + problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    ]
