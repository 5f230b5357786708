"""Write the transcripts of a lake as text or subtitle files.

Writes the latest transcripts, one file for each place where a recording was seen, in the folders
of the archive. Translations are named `….translate.FORMAT`. Each file has the model's text; with
`--corrected`, it has the changes that people made on the review page.

examples:
  nightscribe export --format srt --out subtitles
  nightscribe export --format vtt --out web --where "language = 'es' AND task = 'translate'"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.export import formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake, the format, the folder and the condition."""
    add_lake(parser)
    parser.add_argument(
        "--format",
        choices=[*formats.FORMATS, "all"],
        required=True,
        help="format of the files",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the files"
    )
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="condition on the columns of latest_transcripts and sources: language, task, model, "
        "archive, member … (default: all transcripts)",
    )
    parser.add_argument(
        "--corrected",
        action="store_true",
        help="write the text of record: with what people have corrected on the review page",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files and print their paths; returns 1 if no transcript matches."""
    from nightscribe.export.files import export

    lake = lake_of(arguments)
    chosen = formats.FORMATS if arguments.format == "all" else (arguments.format,)
    count = 0
    try:
        for fmt in chosen:
            for exported in export(
                lake, fmt, arguments.out, arguments.where, corrected=arguments.corrected
            ):
                print(exported.path)
                count += 1
    except BrokenPipeError:  # of standard output, not of a file
        raise
    except OSError as error:
        raise ConfigurationError(
            f"--out {arguments.out}: {error.filename} cannot be written: {error.strerror}"
        ) from error
    if count == 0:
        print("no transcript matches: nothing was written")
    return 0 if count else 1
