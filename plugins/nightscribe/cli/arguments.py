"""Arguments that several commands share, and the lake that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, get_args

from nightscribe.errors import ConfigurationError, LakeError, NightscribeError
from nightscribe.flags import add_list
from nightscribe.settings import EngineName, Settings
from nightscribe.whisper.devices import PRECISIONS

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake
    from nightscribe.stages.order import Order


def add_lake(parser: argparse.ArgumentParser) -> None:
    """Add `--lake URI`."""
    parser.add_argument(
        "--lake",
        metavar="URI",
        help="folder or s3:// prefix of the tables (NIGHTSCRIBE_LAKE; default: ./lake)",
    )


def add_archives(parser: argparse.ArgumentParser) -> None:
    """Add `--archives URI…`."""
    add_list(
        parser,
        "--archives",
        metavar="URI",
        help="folders, .zip, .tar[.gz|.bz2|.xz|.zst], single files, s3://… or gs://… "
        "(NIGHTSCRIBE_ARCHIVES)",
    )


def add_model(parser: argparse._ActionsContainer) -> None:
    """Add `--model NAME`."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="official name, path of a checkpoint, or demo (NIGHTSCRIBE_MODEL; default: turbo)",
    )


def add_computation(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, `--engine` and `--precision`."""
    parser.add_argument(
        "--device", metavar="NAME", help="auto, cpu, cuda or cuda:N (NIGHTSCRIBE_DEVICE)"
    )
    parser.add_argument(
        "--engine",
        choices=get_args(EngineName),
        help="batched: many recordings at a time; reference: openai-whisper itself "
        "(NIGHTSCRIBE_ENGINE; default: batched)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="precision of matrix products; bfloat16 needs the engine batched "
        "(NIGHTSCRIBE_PRECISION)",
    )


def add_night(parser: argparse.ArgumentParser) -> None:
    """Add the flags of what a night reads, writes and computes with."""
    add_archives(parser)
    add_lake(parser)
    add_model(parser)
    add_task(parser)
    add_computation(parser)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings of the environment, overridden by the flags of `add_computation`.

    Raises `ConfigurationError` if engine and precision do not go together.
    """
    chosen = {
        name: value
        for name in ("device", "engine", "precision")
        if (value := getattr(arguments, name)) is not None
    }
    settings = Settings()
    engine = chosen.get("engine", settings.engine)
    precision = chosen.get("precision", settings.precision)
    if engine == "reference" and precision == "bfloat16":
        raise ConfigurationError("--engine reference has no bfloat16: choose --engine batched")
    # A copy is not validated, so the checks above and the parser's choices stand for it.
    return settings.model_copy(update=chosen)


def add_task(parser: argparse.ArgumentParser) -> None:
    """Add `--task`."""
    parser.add_argument(
        "--task",
        choices=["transcribe", "translate", "both"],
        help="transcribe, translate into English, or both (NIGHTSCRIBE_TASK; default: transcribe)",
    )


def add_order(parser: argparse.ArgumentParser) -> None:
    """Add `--language`, `--option`, `--dataset` and `--limit`."""
    parser.add_argument(
        "--language",
        help="spoken language: auto (detected), manifest (from the archive's manifest, else "
        "detected), or a code for all recordings (NIGHTSCRIBE_LANGUAGE)",
    )
    add_list(
        parser,
        "--option",
        metavar="NAME=VALUE",
        help="decoding options, by the names of the whisper flags, such as beam_size=5 or "
        "temperature=0,0.4",
    )
    add_list(
        parser,
        "--dataset",
        metavar="NAME",
        help="transcribe only recordings with a reference in one of these data sets, see "
        "`nightscribe datasets`; without --archives, no archive is scanned",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="transcribe at most this many recordings"
    )


def order_of(arguments: argparse.Namespace, settings: Settings) -> Order:
    """What the flags of `add_night` and `add_order` ask for, and the settings where they do not."""
    from nightscribe.stages.order import Order

    return Order(
        # The recordings of a data set are in the lake: no archive needs a scan.
        archives=tuple(arguments.archives or (() if arguments.dataset else settings.archives)),
        datasets=tuple(arguments.dataset),
        model=arguments.model or settings.model,
        task=arguments.task or settings.task,
        language=arguments.language or settings.language,
        options=_options(arguments.option),
        limit=arguments.limit,
    )


def _options(pairs: list[str]) -> dict[str, object]:
    """Options by name, from `NAME=VALUE` arguments."""
    from nightscribe.whisper.options import value_of

    options: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigurationError(f"--option {pair!r}: expected NAME=VALUE, such as beam_size=5")
        read = value_of(name, value)
        if options.setdefault(name, read) != read:
            raise ConfigurationError(
                f"--option {name}: given twice, as {options[name]} and {read}: give one"
            )
    return options


def lake_of(arguments: argparse.Namespace, *, create: bool = False) -> Lake:
    """Open the lake that `--lake` or NIGHTSCRIBE_LAKE names.

    Raises `LakeError` if it does not exist, unless `create` is set.
    """
    from nightscribe.lake.location import canonical_lake_uri
    from nightscribe.lake.opening import lake_exists, open_lake

    uri, options = _location(arguments)
    if not create and not lake_exists(uri, options):
        raise LakeError(
            f"there is no lake at {canonical_lake_uri(uri)}: name one with --lake or "
            "NIGHTSCRIBE_LAKE, or create one with `nightscribe run`"
        )
    return open_lake(uri, options)


def lake_to_read(arguments: argparse.Namespace) -> Lake:
    """The same, without changing anything in it. Raises `LakeError` if it does not exist."""
    from nightscribe.lake.opening import open_to_read

    return open_to_read(*_location(arguments))


def has_lake(arguments: argparse.Namespace) -> bool:
    """Whether the lake that `--lake` or NIGHTSCRIBE_LAKE names exists."""
    from nightscribe.lake.opening import lake_exists

    return lake_exists(*_location(arguments))


def _location(arguments: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """The lake's URI, and the storage options to open it."""
    from nightscribe.credentials import storage_options

    settings = Settings()
    return arguments.lake or settings.lake, storage_options(settings.lake_conn_id)


def fault_of_command(error: Exception, arguments: argparse.Namespace) -> NightscribeError | None:
    """A failure of the surroundings as an error for people; None if it is a defect."""
    from nightscribe.faults import fault_of

    if not hasattr(arguments, "lake"):
        return fault_of(error)
    from nightscribe.lake.damage import fault_in
    from nightscribe.lake.location import LakeLocation, canonical_lake_uri

    try:
        uri, options = _location(arguments)
        return fault_in(error, LakeLocation(canonical_lake_uri(uri), options))
    except Exception:  # the lake cannot even be named: the first error is the one to report
        return fault_of(error)
