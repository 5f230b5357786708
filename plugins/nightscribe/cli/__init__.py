"""`nightscribe …`: the command line.

Exit codes: 0 all went well; 1 the work was done, but some inputs could not be used (each is
named), or there was nothing to evaluate, export or show; 2 stopped by the command line, the
configuration, a model or a lake, as the message says; 3 the gate of `evaluate` found a language
worse than its baseline; 130 interrupted.
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
from nightscribe.errors import NightscribeError
from nightscribe.settings import ArchiveLimits, Settings

COMMANDS = (
    "transcribe",
    "scan",
    "run",
    "sql",
    "export",
    "datasets",
    "evaluate",
    "baseline",
    "models",
    "bench",
)
"""Each is a module of this package with `add_arguments(parser)` and `execute(arguments)`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="nightscribe",
        description="Transcribe audio archives in bulk with Whisper, into tables.",
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action="version", version=f"nightscribe {nightscribe.__version__}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"nightscribe.cli.{name}")
        summary, _, details = (module.__doc__ or "").partition("\n\n")
        command = commands.add_parser(
            name,
            help=summary.rstrip("."),
            description=summary,
            epilog=details,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(execute=module.execute, parser=command)
    chosen = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    execute: Callable[[argparse.Namespace], int] = chosen.execute
    try:
        code = execute(chosen)
        sys.stdout.flush()  # here, where a reader that has gone is met with silence
        return code
    except NightscribeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ValidationError as error:
        print(f"error: {_bad_settings(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. What is left of it would fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def command() -> NoReturn:
    """The console script: `main`, then an end without Python's own clean-up.

    delta-rs's threads may still be giving Arrow buffers back to Python; a Python that finalises
    under them aborts now and then, with all work done, but with the wrong exit code.
    """
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _bad_settings(error: ValidationError) -> str:
    """Which environment variables have values that cannot be used."""
    settings = ArchiveLimits if error.title == ArchiveLimits.__name__ else Settings
    prefix = settings.model_config["env_prefix"]
    return "; ".join(
        f"{prefix}{'_'.join(map(str, problem['loc'])).upper()}={problem['input']}: {problem['msg']}"
        for problem in error.errors()
    )
