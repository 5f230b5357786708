"""A second machine: namespaces with a network, a disk and a name of their own.

All that it shares with the first are the servers whose ports it is given, and software, which it
may only read. Its network is a loopback interface and nothing else; a server is reached there on
the same address and port as on the first machine, by a pipe through a socket in the file system, to
which namespaces of networks do not apply (unix(7)).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

ADDRESS = "127.0.0.1"

# Everything on a disk can only be read; then the folder gets a disk of its own.
_BEGIN = """
set -e
hostname "$1"; ip link set lo up
findmnt -rno TARGET | while read -r place; do
  case "$place" in
    /dev|/dev/*|/proc|/proc/*|/sys|/sys/*) ;;
    *) mount -o remount,bind,ro "$place" || true ;;
  esac
done
mount -t tmpfs -o mode=755 disk "$2"; mount -t tmpfs shared-memory /dev/shm
echo ready; exec sleep infinity
"""


def missing() -> str | None:
    """Which program a second machine needs and this one lacks, or None."""
    absent = [name for name in ("ip", "socat") if shutil.which(name) is None]
    return f"{absent[0]} is not installed" if absent else None


class Host:
    """Use it as a context. Who has started something on it ends that first."""

    def __init__(self, name: str, folder: Path, ports: Iterable[int]) -> None:
        """`folder` is empty there whatever it holds here; on `ports`, servers of this machine."""
        self.name, self._folder, self._ports = name, folder, list(ports)
        self._sockets = folder.with_name(f"{folder.name}-{name}")
        self._processes: list[subprocess.Popen[str]] = []

    @property
    def enter(self) -> list[str]:
        """The beginning of a command that runs there."""
        inside = str(self._processes[0].pid)
        return ["nsenter", "--target", inside, "--net", "--mount", "--uts"]

    def put(self, path: Path, content: bytes = b"") -> None:
        """Write a file on its disk, and the folders above."""
        script = 'mkdir -p "$(dirname "$1")" && cat > "$1"'
        subprocess.run(
            [*self.enter, "sh", "-c", script, "put", str(path)], input=content, check=True
        )

    def files(self) -> list[Path]:
        """All files on its disk."""
        find = [*self.enter, "find", str(self._folder), "-type", "f", "-print0"]
        found = subprocess.run(find, capture_output=True, text=True, check=True).stdout
        return [Path(name) for name in found.split("\0")[:-1]]

    def __enter__(self) -> Host:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _start(self) -> None:
        self._sockets.mkdir()
        self._log = (self._sockets / "log").open("w+")
        namespaces = ["unshare", "--net", "--mount", "--uts"]
        machine = self._run([*namespaces, "sh", "-c", _BEGIN, "sh", self.name, str(self._folder)])
        assert machine.stdout is not None
        if machine.stdout.readline() != "ready\n":
            self._log.seek(0)
            raise RuntimeError(f"host {self.name} cannot be made: {self._log.read()}")
        network = ["nsenter", "--target", str(machine.pid), "--net"]
        for port in self._ports:
            socket = self._sockets / str(port)
            self._run(["socat", f"UNIX-LISTEN:{socket},fork", f"TCP:{ADDRESS}:{port}"])
            listen = f"TCP-LISTEN:{port},bind={ADDRESS},reuseaddr,fork"
            self._run([*network, "socat", listen, f"UNIX-CONNECT:{socket}"])
        for process in self._processes:
            if process.poll() is not None:
                self._log.seek(0)
                raise RuntimeError(f"host {self.name} ended: {self._log.read()}")

    def _run(self, command: list[str]) -> subprocess.Popen[str]:
        # Whatever ends the test ends the machine.
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def _end(self) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # socat has a process for each connection
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()
        self._processes.clear()
        self._log.close()
        shutil.rmtree(self._sockets, ignore_errors=True)
