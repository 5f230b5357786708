"""The command line: `nightscribe COMMAND`.

exit codes:
  0    success
  1    done, but some inputs or models could not be used (each is reported), there was nothing to
       evaluate, export or show, or `doctor` found what would stop the night
  2    stopped by an argument, a setting, a model or a lake; the message says which
  3    `evaluate --gate` found a language that is worse than its baseline
  130  interrupted
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from pydantic import ValidationError

import nightscribe
from nightscribe.cli.arguments import invalid_variables
from nightscribe.errors import NightscribeError
from nightscribe.flags import Parser

COMMANDS = (
    "transcribe",
    "scan",
    "run",
    "warnings",
    "doubtful",
    "sql",
    "export",
    "index",
    "datasets",
    "evaluate",
    "baseline",
    "models",
    "bench",
    "doctor",
)
"""Each is a module of this package with `add_arguments(parser)` and `execute(arguments)`.

The module's docstring is its help: the first line is the summary, the rest follows the flags.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Reads `sys.argv` if no arguments are given."""
    parsed = _parser().parse_args(list(sys.argv[1:] if arguments is None else arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    execute: Callable[[argparse.Namespace], int] = parsed.execute
    try:
        code = execute(parsed)
        sys.stdout.flush()  # so that a closed pipe raises here, not when Python exits
        return code
    except NightscribeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        print(f"error: {'; '.join(invalid_variables(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of standard output closed it. The output that is still buffered goes nowhere,
        # or writing it would fail once more when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="nightscribe",
        description="Transcribe audio archives with Whisper into tables that SQL can query.",
        epilog=f"`nightscribe COMMAND --help` explains a command.\n\n{_details(__doc__)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"nightscribe {nightscribe.__version__}"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for name in COMMANDS:
        module = importlib.import_module(f"nightscribe.cli.{name}")
        docstring = module.__doc__ or ""
        summary = docstring.partition("\n\n")[0]
        command = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=summary,
            epilog=_details(docstring),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(execute=module.execute, parser=command)
    return parser


def _details(docstring: str) -> str:
    """The docstring without its first paragraph."""
    return docstring.partition("\n\n")[2]


def command() -> NoReturn:
    """The console script: calls `main` and exits without Python's finalization.

    Threads of delta-rs may still release Arrow buffers to Python. Finalization under them aborts
    the process now and then: all work is done, but the exit code is wrong.
    """
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
