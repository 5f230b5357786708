"""Write transcripts from the lake as subtitle or text files.

examples:
  nightscribe export --format srt --out subtitles
  nightscribe export --format vtt --out web --where "language = 'es' AND task = 'translate'"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nightscribe.cli.lake_arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.export import formats


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Format, folder and condition."""
    add_lake(parser)
    parser.add_argument("--format", choices=[*formats.FORMATS, "all"], required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--where",
        metavar="SQL",
        help="which transcripts: a condition on language, task, model, archive, member …",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files; 1 if there was none to write."""
    from nightscribe.export.files import export

    lake = lake_of(arguments)
    chosen = formats.FORMATS if arguments.format == "all" else (arguments.format,)
    count = 0
    try:
        for fmt in chosen:
            for exported in export(lake, fmt, arguments.out, arguments.where):
                print(exported.path)
                count += 1
    except BrokenPipeError:  # of standard output
        raise
    except OSError as error:
        raise ConfigurationError(
            f"--out {arguments.out}: {error.filename} cannot be written: {error.strerror}"
        ) from error
    if count == 0:
        print("no transcript matches: nothing was written")
    return 0 if count else 1
