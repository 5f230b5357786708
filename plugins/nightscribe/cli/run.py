"""Transcribe what is new in archives into a lake: the nightly job, without Airflow.

examples:
  nightscribe run --archives /data/radio --lake /data/lake
  nightscribe run --archives s3://bucket/calls --lake s3://bucket/lake --model large-v3 --task both
  nightscribe run --archives samples/archive --lake lake --model demo --limit 3
  nightscribe run --dataset fleurs --lake /data/lake --model large-v3 --task both
"""

from __future__ import annotations

import argparse

from nightscribe.cli.lake_arguments import add_archives, add_lake, lake_of
from nightscribe.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to transcribe, and how."""
    add_archives(parser)
    add_lake(parser)
    parser.add_argument("--model", help="official name, path or demo (NIGHTSCRIBE_MODEL)")
    parser.add_argument(
        "--task", choices=["transcribe", "translate", "both"], help="(NIGHTSCRIBE_TASK)"
    )
    parser.add_argument(
        "--language",
        help="auto (detected), manifest (the archive's hint), or a code (NIGHTSCRIBE_LANGUAGE)",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a decoding option by the name of whisper's flag, such as beam_size=5 "
        "or temperature=0,0.4; repeatable",
    )
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME",
        help="only what has a reference in it, see `nightscribe datasets`; repeatable",
    )
    parser.add_argument("--limit", type=int, help="recordings, at most")
    parser.add_argument("--force", action="store_true", help="also what has a transcript")


def execute(arguments: argparse.Namespace) -> int:
    """Run the whole job; 1 if an input of this run could not be used."""
    from nightscribe.archives.listing import list_files
    from nightscribe.stages.night import run
    from nightscribe.stages.order import Order
    from nightscribe.whisper.checkpoints import resolve

    settings = Settings()
    order = Order(
        # A data set is in the lake already: no archive has to be looked through for it.
        archives=tuple(arguments.archives or (() if arguments.dataset else settings.archives)),
        datasets=tuple(arguments.dataset),
        model=arguments.model or settings.model,
        task=arguments.task or settings.task,
        language=arguments.language or settings.language,
        options=_options(arguments.option),
        limit=arguments.limit,
        force=arguments.force,
    )
    # Mistakes show before a lake is made, and a model that cannot be had before work is done.
    for archive in order.wanted(settings).archives:
        list_files(archive)
    resolve(order.model, settings.model_dir)
    # Without archives there is nothing to make a lake of.
    lake = lake_of(arguments, make=bool(order.archives))
    night = run(lake, order, settings, say=lambda line: print(line, flush=True))
    if not night.plan.specs:
        print("nothing was transcribed: no transcript is pending")
    print(f"catalog: {night.catalog}")
    rejected = sum(one.rejected for one in night.ingested) + night.scanned.rejected
    return 1 if rejected + sum(batch.rejections for batch in night.transcribed) else 0


def _options(pairs: list[str]) -> dict[str, object]:
    from nightscribe.errors import ConfigurationError
    from nightscribe.whisper.options import value_of

    options: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigurationError(f"--option {pair!r}: expected NAME=VALUE, such as beam_size=5")
        options[name] = value_of(name, value)
    return options
