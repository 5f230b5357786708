"""The program `nightscribe`, or `python -m nightscribe`."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def command() -> NoReturn:
    """Import the command line, which takes a while and may be interrupted, and run it."""
    try:
        from nightscribe.cli import command as run
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(128 + signal.SIGINT)
    run()


if __name__ == "__main__":
    command()
