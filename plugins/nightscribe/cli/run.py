"""Transcribe the new recordings of archives into a lake: the nightly job, without Airflow.

The lake is created if it does not exist. A flag overrides its setting, named in parentheses.

examples:
  nightscribe run --archives /data/radio --lake /data/lake
  nightscribe run --archives s3://bucket/calls --lake s3://bucket/lake --model large-v3 --task both
  nightscribe run --archives samples/archive --lake lake --model demo --limit 3
  nightscribe run --dataset fleurs --lake /data/lake --model large-v3 --task both
"""

from __future__ import annotations

import argparse

from nightscribe.cli.arguments import add_night, lake_of, settings_of
from nightscribe.flags import add_list


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to transcribe, and how."""
    add_night(parser)
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
    parser.add_argument(
        "--force",
        action="store_true",
        help="also transcribe recordings that have a transcript, and replace it; read rejected "
        "inputs again",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run all stages; returns 1 if an input of this run was rejected."""
    from nightscribe.archives.listing import list_files
    from nightscribe.stages.night import run
    from nightscribe.stages.order import Order
    from nightscribe.whisper.checkpoints import resolve

    settings = settings_of(arguments)
    if arguments.device or arguments.precision:
        from nightscribe.whisper.devices import pick_device, pick_precision

        # Before the archives are read.
        pick_precision(settings.precision, pick_device(settings.device))
    order = Order(
        # The recordings of a data set are in the lake: no archive needs a scan.
        archives=tuple(arguments.archives or (() if arguments.dataset else settings.archives)),
        datasets=tuple(arguments.dataset),
        model=arguments.model or settings.model,
        task=arguments.task or settings.task,
        language=arguments.language or settings.language,
        options=_options(arguments.option),
        limit=arguments.limit,
        force=arguments.force,
    )
    # Wrong archives and models are reported before a lake is created or any work is done.
    for archive in order.wanted(settings).archives:
        list_files(archive)
    resolve(order.model, settings.model_dir)
    # Without archives, a new lake would stay empty.
    lake = lake_of(arguments, create=bool(order.archives))
    night = run(lake, order, settings, say=lambda line: print(line, flush=True))
    if not night.plan.specs:
        print("nothing was transcribed: no transcript is pending")
    print(f"catalog: {night.catalog}")
    rejected = night.scanned.rejected + sum(ingested.rejected for ingested in night.ingested)
    rejected += sum(batch.rejections for batch in night.transcribed)
    return 1 if rejected else 0


def _options(pairs: list[str]) -> dict[str, object]:
    """Options by name, from `NAME=VALUE` arguments."""
    from nightscribe.errors import ConfigurationError
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
