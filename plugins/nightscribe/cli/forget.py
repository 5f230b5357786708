"""Delete recordings from a lake, with all that was said in them.

Afterwards no file of the lake has a byte of their texts: rows of all tables, older versions of the
tables, logs, uploads, reports that quote them, and the search index are deleted. Only their hashes
stay, so that a run that finds them again does not transcribe them. The archives are not touched:
remove the recordings, and what manifests say of them, there.

Without --yes, nothing is changed: the recordings are listed.

examples:
  nightscribe forget --lake /data/lake --source 'file:///data/calls!/2024/0117.wav'
  nightscribe forget --lake /data/lake --where "metadata->>'customer' = '4711'" --yes
  nightscribe forget --lake /data/lake --recording 5feceb66… --undo --yes
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.flags import add_list
from nightscribe.settings import Settings
from nightscribe.text_tables import print_table

if TYPE_CHECKING:
    from nightscribe.lake.tables import Lake

_SHOWN = 50
"""Recordings that are listed at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to forget."""
    add_lake(parser)
    add_list(parser, "--recording", metavar="ID", help="recordings of these ids")
    add_list(
        parser,
        "--source",
        metavar="URI",
        help="recordings at these places: an archive, a collection, or a member of an archive "
        "(archive!/member), as in the table sources",
    )
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="recordings with a row of recordings and sources of which this is true",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why; kept in the lake")
    parser.add_argument(
        "--undo",
        action="store_true",
        help="let recordings of these ids be read and transcribed again; what was deleted stays so",
    )
    parser.add_argument("--yes", action="store_true", help="do it; without this, only list them")


def execute(arguments: argparse.Namespace) -> int:
    """Forget, or list what would be; returns 1 if no recording is meant."""
    from nightscribe.stages.forget import choose, forget
    from nightscribe.stages.run_ids import new_run_id

    if not (arguments.recording or arguments.source or arguments.where):
        raise ConfigurationError("nothing to forget: give --recording, --source or --where")
    lake = lake_of(arguments)
    if arguments.undo:
        return _undo(lake, arguments)
    chosen = choose(lake, arguments.recording, arguments.source, arguments.where)
    print_table(
        ["recording", "places", "transcripts", "segments", "one place"],
        [
            (
                one.recording_id,
                len(one.places),
                one.rows.get("transcripts", 0),
                one.rows.get("segments", 0),
                one.places[0] if one.places else None,
            )
            for one in chosen[:_SHOWN]
        ],
    )
    if len(chosen) > _SHOWN:
        print(f"… and {len(chosen) - _SHOWN:,} more")
    unknown = set(arguments.recording) - {one.recording_id for one in chosen}
    if arguments.yes and (chosen or unknown):
        ids = {one.recording_id for one in chosen} | {one for one in unknown if _is_id(one)}
        done = forget(lake, ids, Settings(), new_run_id(), arguments.reason)
        for file in done.files:
            print(f"removed {file}")
        for file in done.left:
            print(f"NOT removed, so remove it yourself: {file}")
        print(done.summary())
        if done.left:
            return 1
    elif chosen:
        print("nothing was changed: add --yes to forget them")
    if unknown:
        print(f"not in the lake: {', '.join(sorted(unknown))}")
    elif not chosen:
        print("no recording of the lake is meant")
    return 0 if chosen and not unknown else 1


def _undo(lake: Lake, arguments: argparse.Namespace) -> int:
    from nightscribe.lake.forgetting import allow
    from nightscribe.lake.reading import read

    if arguments.source or arguments.where:
        raise ConfigurationError("--undo takes --recording only: nothing else of them is known")
    known = set(read(lake, "SELECT recording_id FROM forgotten")["recording_id"].to_pylist())
    chosen = sorted(known & set(arguments.recording))
    if arguments.yes:
        allow(lake, chosen)
    print(f"{len(chosen):,} recordings {'may be' if arguments.yes else 'would be'} read again")
    return 0 if len(chosen) == len(set(arguments.recording)) else 1


def _is_id(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
