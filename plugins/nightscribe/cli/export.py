"""Write the transcripts of a lake as text or subtitle files.

Writes the latest transcripts, one file for each place where a recording was seen. A file's name
follows from that place alone: the archive's folder, with digits that tell archives apart, and the
path in it: `radio-e9350745/2024/talk.wav.srt`, or `….wav.translate.srt` for a translation. A file
that cannot be written is named, and the others are written. Each file has the model's text; with
`--corrected`, it has the changes that people made on the review page.

examples:
  nightscribe export --format srt txt --out subtitles
  nightscribe export --format vtt --out web --where "language = 'es' AND task = 'translate'"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.export import formats
from nightscribe.flags import add_list, separated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake, the format, the folder and the condition."""
    add_lake(parser)
    names = [*formats.FORMATS, "all"]
    add_list(
        parser,
        "--format",
        type=separated(names),
        required=True,
        metavar="FORMAT",
        help=f"formats of the files: {', '.join(names)}",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the files"
    )
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="condition on the columns of latest_transcripts and sources: language, task, model, "
        "archive, member (or path), recording_id (or id) … (default: all transcripts)",
    )
    parser.add_argument(
        "--corrected",
        action="store_true",
        help="write the text of record: with what people have corrected on the review page",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files and print their paths; returns 1 if one is missing, or none matches."""
    from nightscribe.export.files import NotWritten, export

    lake = lake_of(arguments)
    chosen = formats.FORMATS if "all" in arguments.format else arguments.format
    reported: set[str] = set()
    written = missing = 0

    def skip(fault: NotWritten) -> None:
        nonlocal missing
        missing += 1
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(fault))
        if line not in reported:  # once, whatever the number of formats
            reported.add(line)
            print(f"not written: {line}", file=sys.stderr)

    for fmt in chosen:
        for exported in export(
            lake, fmt, arguments.out, arguments.where, corrected=arguments.corrected, skip=skip
        ):
            print(exported.path)
            written += 1
    if missing:
        print(f"{missing} files were not written, {written} were", file=sys.stderr)
    elif not written:
        print("no transcript matches: nothing was written")
    return 0 if written and not missing else 1
