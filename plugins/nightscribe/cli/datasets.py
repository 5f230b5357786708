"""Add evaluation data sets to a lake (FLEURS, Common Voice, CoVoST 2, LibriSpeech, MLS, your own).

`generate` makes recordings in which nobody speaks, with a manifest that says so, to measure what a
model invents in them. `add` reads a data set from a folder of this machine, in the layout in which
it is distributed. It ingests the audio files that the data set lists and keeps the texts as
references. Audio that cannot be used becomes a row of `rejected`. Then transcribe the recordings
with `nightscribe run --dataset NAME` and score them with `nightscribe evaluate`.

examples:
  nightscribe datasets add fleurs --path /data/fleurs --languages de,fr,zh --lake /data/lake
  nightscribe datasets add common-voice --path /data/cv-corpus-15.0 --name common_voice_15
  nightscribe datasets add librispeech --path /data/LibriSpeech --split test-other
  nightscribe datasets add manifest --path /data/calls/references.csv --name calls
  nightscribe datasets generate non-speech --out /data/non-speech --room-tone /data/radio
  nightscribe datasets list --lake /data/lake
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.flags import add_list, separated
from nightscribe.manifests.layouts.registry import LAYOUTS
from nightscribe.settings import Settings
from nightscribe.splits import split_name
from nightscribe.text_tables import print_table

_DATASETS = """
SELECT dataset,
    if(count(*) OVER (PARTITION BY dataset, language) = 1, language, coalesce(variety, language))
        AS language,
    count(DISTINCT recording_id) AS recordings,
    count(*) FILTER (task = 'transcribe') AS texts,
    count(*) FILTER (task = 'translate') AS translations,
    count(DISTINCT recording_id) FILTER (
        recording_id IN (SELECT recording_id FROM transcripts)) AS transcribed
FROM reference_texts GROUP BY dataset, reference_texts.language, variety ORDER BY ALL
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `add`, `generate` and `list`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|generate|list")
    summary = "add a data set to a lake"
    add = actions.add_parser("add", help=summary, description=f"{summary.capitalize()}.")
    add.add_argument("layout", choices=sorted(LAYOUTS), help="layout of the data set's files")
    add.add_argument(
        "--path",
        type=Path,
        required=True,
        help="folder of the data set; for the layout `manifest`, the manifest file",
    )
    add_list(
        add,
        "--languages",
        type=separated(),
        metavar="CODE",
        help="languages to add (default: every language below --path)",
    )
    add.add_argument(
        "--split", help="split to add (default: test; librispeech: test-clean; manifest: all)"
    )
    add.add_argument(
        "--name",
        help="name of the data set in the lake (default: the layout with _ for -; manifest: its "
        "column `dataset`, if it has one); a split other than test follows it",
    )
    add_lake(add)
    summary = "generate a data set"
    making = actions.add_parser("generate", help=summary, description=f"{summary.capitalize()}.")
    making.add_argument(
        "what",
        choices=("non-speech",),
        help="recordings without speech: silence, hum, noise, music, applause, tones, breath, "
        "knocks; the same every time",
    )
    making.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to write them"
    )
    add_list(
        making,
        "--room-tone",
        metavar="PATH",
        help="your own recordings, or folders: add 30 s of the quietest stretch of each",
    )
    summary = "list the data sets of a lake"
    listing = actions.add_parser("list", help=summary, description=f"{summary.capitalize()}.")
    add_lake(listing)


def execute(arguments: argparse.Namespace) -> int:
    """Add, generate or list; returns 1 if something cannot be used, or there is no data set."""
    if arguments.action == "list":
        return _list(arguments)
    if arguments.action == "generate":
        return _generate(arguments)
    from nightscribe.manifests.layouts.registry import read_layout
    from nightscribe.stages.datasets import add_dataset
    from nightscribe.stages.run_ids import new_run_id

    utterances = read_layout(arguments.layout, arguments.path, arguments.languages, arguments.split)
    if arguments.name:
        utterances = [
            replace(one, dataset=split_name(arguments.name, one.split)) for one in utterances
        ]
    lake = lake_of(arguments, create=True)
    added = add_dataset(lake, utterances, new_run_id(), Settings())
    names = " ".join(f"--dataset {name}" for name in added.datasets)
    print(f"{added.recordings} of {added.utterances} listed recordings are in the lake")
    for uri in added.missing[:5]:
        print(f"  cannot be used: {uri}")
    if len(added.missing) > 5:
        print(f"  … and {len(added.missing) - 5} more, see `SELECT * FROM rejected`")
    if added.contradicted:
        print(
            f"{len(added.contradicted)} recordings have no reference, since texts of the same "
            "audio differ: see `SELECT * FROM rejected`"
        )
        for uri in added.contradicted[:5]:
            print(f"  no reference: {uri}")
    if added.without_text:
        print(f"{added.without_text} lines have no text, so that their recordings are not scored")
    print(f"transcribe them: nightscribe run {names} --lake {lake.uri}")
    return 1 if added.missing or added.contradicted else 0


def _generate(arguments: argparse.Namespace) -> int:
    from nightscribe.non_speech.writing import write_non_speech

    written = write_non_speech(arguments.out, [Path(path) for path in arguments.room_tone])
    print(
        f"{written.recordings} recordings without speech, {written.duration_s / 60:.1f} min, with "
        f"{written.manifest}"
    )
    for path, reason in written.without_room_tone.items():
        print(f"  no room tone: {path}: {reason}", file=sys.stderr)
    print(f"transcribe them: nightscribe run --archives {arguments.out} --lake LAKE")
    return 1 if written.without_room_tone else 0


def _list(arguments: argparse.Namespace) -> int:
    from nightscribe.lake.reading import read

    rows = read(lake_of(arguments), _DATASETS).to_pylist()
    if not rows:
        print(
            "the lake has no data set: add one with `nightscribe datasets add`, or add a manifest "
            "with texts to an archive"
        )
        return 1
    columns = ("dataset", "language", "recordings", "transcribed", "texts", "translations")
    print_table(columns, [[row[column] for column in columns] for row in rows])
    return 0
