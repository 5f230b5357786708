"""The command line: `nightscribe COMMAND`.

exit codes:
  0    success
  1    done, but some inputs or models could not be used or files not be exported (each is
       reported), there was nothing to evaluate, export or show, `doctor` found what would stop
       the night, or `lake check` what is wrong with a lake
  2    stopped by an argument, a setting, a model, a lake, or a failure of the disk or the network;
       the message says which
  3    `evaluate --gate` found a language that is worse than its baseline or beyond a limit
  4    `evaluate --strict` left references out
  130  interrupted (Ctrl-C); 143 if SIGTERM did it
  141  the reader of standard output closed it, as `head` does
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import select
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from pydantic import ValidationError

import nightscribe
from nightscribe.cli.arguments import fault_of_command
from nightscribe.cli.signals import ended_by_signals
from nightscribe.errors import NightscribeError
from nightscribe.flags import Parser
from nightscribe.settings import invalid_variables

_CLOSED_PIPE = 141  # as of a program that SIGPIPE ends: 128 + 13

COMMANDS = (
    "transcribe",
    "scan",
    "plan",
    "run",
    "warnings",
    "doubtful",
    "sql",
    "export",
    "index",
    "lake",
    "forget",
    "datasets",
    "evaluate",
    "baseline",
    "models",
    "bench",
    "doctor",
    "airflow",
)
"""Each is a module of this package with `add_arguments(parser)` and `execute(arguments)`.

The module's docstring is its help: the first line is the summary, the rest follows the flags.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code. Reads `sys.argv` if no arguments are given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    logging.raiseExceptions = False  # of a closed standard error
    with ended_by_signals() as ending:
        parsed = None
        try:
            parsed = _parser().parse_args(given)
            logging.basicConfig(format="%(message)s", stream=sys.stderr)
            for ours in ("nightscribe", "evaluation"):  # of other libraries, only warnings
                logging.getLogger(ours).setLevel(logging.INFO)
            code: int = parsed.execute(parsed)
            sys.stdout.flush()  # so that a closed pipe raises here, not when Python exits
            return code
        except KeyboardInterrupt:
            return _say(ending.word, ending.code)
        except Exception as error:
            if ending.signal is not None:  # what the interrupted query or call has raised
                return _say(ending.word, ending.code)
            return _failed(error, parsed)


def _failed(error: Exception, parsed: argparse.Namespace | None) -> int:
    """Say why a command failed; returns the exit code."""
    if isinstance(error, BrokenPipeError) and (closed := _closed_outputs()):
        # The output that is still buffered goes nowhere, or writing it would fail once more when
        # Python exits.
        for descriptor in closed:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        return _CLOSED_PIPE
    if isinstance(error, NightscribeError):
        return _say(f"error: {error}", 2)
    if isinstance(error, ValidationError):
        return _say(f"error: {'; '.join(invalid_variables(error))}", 2)
    fault = fault_of_command(error, parsed or argparse.Namespace())
    if fault is not None:
        return _say(f"error: {fault}", 2)
    with contextlib.suppress(OSError):
        traceback.print_exception(error)
    return _say(
        f"error: {type(error).__name__}: {error}: this is a defect of Nightscribe: report it with "
        "the lines above",
        2,
    )


def _say(line: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
    return code


def _closed_outputs() -> list[int]:
    """Standard output and standard error, if they are pipes that nobody reads any more."""
    closed = []
    for stream in (sys.stdout, sys.stderr):
        try:
            descriptor = stream.fileno()
            poll = select.poll()
            poll.register(descriptor, 0)
            if any(events & select.POLLERR for _, events in poll.poll(0)):
                closed.append(descriptor)
        except (OSError, ValueError, AttributeError):  # no file, as in tests; closed; None
            continue
    return closed


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
    try:
        code = main()
    except SystemExit as ended:  # of argparse
        code = ended.code if isinstance(ended.code, int) else 2
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
