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
from dataclasses import replace

from nightscribe.cli.arguments import add_night, add_order, lake_of, order_of, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to transcribe, and how."""
    add_night(parser)
    add_order(parser)
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
    from nightscribe.whisper.checkpoints import resolve

    settings = settings_of(arguments)
    if arguments.device or arguments.precision:
        from nightscribe.whisper.devices import pick_device, pick_precision

        # Before the archives are read.
        pick_precision(settings.precision, pick_device(settings.device))
    order = replace(order_of(arguments, settings), force=arguments.force)
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
