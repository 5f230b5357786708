"""Add evaluation data sets to a lake: FLEURS, Common Voice, CoVoST 2, LibriSpeech, MLS, your own.

`add` reads the lists of a data set that lies on this machine as it is distributed, ingests the
audio that they name, and keeps what is said in it as references; what cannot be used is a row of
`rejected`. `nightscribe run --dataset` then transcribes it, `nightscribe evaluate` scores it.

examples:
  nightscribe datasets add fleurs --path /data/fleurs --languages de,fr,zh --lake /data/lake
  nightscribe datasets add common-voice --path /data/cv-corpus-15.0 --name common_voice_15
  nightscribe datasets add librispeech --path /data/LibriSpeech --split test-other
  nightscribe datasets add manifest --path /data/calls/references.csv --name calls
  nightscribe datasets list --lake /data/lake
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from nightscribe.cli.lake_arguments import add_lake, lake_of
from nightscribe.cli.tables import print_table
from nightscribe.manifests.layouts.registry import LAYOUTS

_LISTED = """
SELECT dataset, language, count(DISTINCT recording_id) AS recordings,
    count(*) FILTER (task = 'transcribe') AS texts,
    count(*) FILTER (task = 'translate') AS translations,
    count(DISTINCT recording_id) FILTER (
        recording_id IN (SELECT recording_id FROM transcripts)) AS transcribed
FROM reference_texts GROUP BY ALL ORDER BY ALL
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which tree."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|list")
    listing = actions.add_parser("list", help="those in a lake", description="List them.")
    add_lake(listing)
    add = actions.add_parser("add", help="read one", description="Read a data set's lists.")
    add.add_argument("layout", choices=sorted(LAYOUTS))
    add.add_argument("--path", type=Path, required=True, help="folder; of `manifest`, the file")
    add.add_argument(
        "--languages", default="", metavar="CODE,…", help="default: all that are there"
    )
    add.add_argument("--split", help="default: test; librispeech: test-clean; manifest: all")
    add.add_argument(
        "--name",
        help="of the data set; default: the layout's, with _ for -; librispeech: with its split",
    )
    add_lake(add)


def execute(arguments: argparse.Namespace) -> int:
    """Add or list; 1 if audio that is named cannot be used, or there is nothing to list."""
    if arguments.action == "list":
        return _list(arguments)
    from nightscribe.manifests.layouts.registry import read_layout
    from nightscribe.stages.datasets import add_dataset
    from nightscribe.stages.run_ids import new_run_id

    languages = [one.strip() for one in arguments.languages.split(",") if one.strip()]
    utterances = read_layout(arguments.layout, arguments.path, languages, arguments.split)
    if arguments.name:
        utterances = [replace(one, dataset=arguments.name) for one in utterances]
    lake = lake_of(arguments, make=True)
    added = add_dataset(lake, utterances, new_run_id())
    names = " ".join(f"--dataset {name}" for name in added.datasets)
    print(f"{added.recordings} of {added.utterances} recordings that are listed are in the lake")
    for uri in added.missing[:5]:
        print(f"  not usable: {uri}")
    if len(added.missing) > 5:
        print(f"  … and {len(added.missing) - 5} more: `SELECT * FROM rejected` has them all")
    print(f"transcribe them: nightscribe run {names} --lake {lake.uri}")
    return 1 if added.missing else 0


def _list(arguments: argparse.Namespace) -> int:
    from nightscribe.lake.reading import read

    found = read(lake_of(arguments), _LISTED).to_pylist()
    if not found:
        print("no data set: add one with `nightscribe datasets add`, or a manifest to an archive")
        return 1
    columns = ("dataset", "language", "recordings", "transcribed", "texts", "translations")
    print_table(columns, [[row[column] for column in columns] for row in found])
    return 0
