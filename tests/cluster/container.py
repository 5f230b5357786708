"""A service as a process tree of its own, as a container is: ended, frozen or restarted whole.

Linux's namespaces of processes, mounts and host names are what Docker uses too (namespaces(7)). The
network is the machine's, so that the services find each other on 127.0.0.1, or that of a `Host`. It
needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from tests.cluster.host import Host

# The first process of a namespace gets only the signals that it handles, and must wait for orphans.
# Docker's `init: true` puts such a process there.
_INIT = """
hostname "$1"; mount --bind "$2" /etc/hosts
mkdir -p "$4"; mount -t tmpfs -o "size=$3" temporary "$4"; cd "$5"
shift 5
"$@" &
main=$!
trap 'kill -TERM $main' TERM
while kill -0 $main 2>/dev/null; do wait $main; code=$?; done
exit $code
"""


def missing() -> str | None:
    """Why this machine cannot start a container of this kind, or None if it can."""
    if os.geteuid() != 0:
        return "namespaces of processes need root"
    for program in ("setpriv", "unshare", "nsenter", "mount"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    trial = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "hostname", "trial"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return done.stderr.strip() or None if done.returncode else None


class Container:
    """One service. It is restarted when it ends by itself, as `restart: unless-stopped` says."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        check: Sequence[str],
        *,
        hosts: Path,
        temporary_bytes: int = 256 * 2**20,
        host: Host | None = None,
    ) -> None:
        """`folder` gets the log and the mount point of a file system for temporary files.

        `check` is a command that ends with 0 when the service is healthy; `hosts` is its
        `/etc/hosts`; `host` the machine where it runs, if it is another one.
        """
        self.name, self.folder = name, folder
        self.restarts = 0
        self._command, self._check = list(command), list(check)
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self._environment = {**environment, "TMPDIR": str(self.temporary)}
        self._hosts, self._bytes, self._host = hosts, temporary_bytes, host
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted = False

    def start(self) -> None:
        """Start it, and keep it started."""
        own = [self.name, self._hosts, self._bytes, self.temporary, self.folder]
        there: list[str] = []
        if self._host is not None:
            there = self._host.enter
            self._host.put(self._hosts, self._hosts.read_bytes())
        kinds = ["--pid", "--fork", "--mount-proc", "--uts", "--kill-child"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # Whatever ends the test ends the container.
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    *there,
                    "unshare",
                    *kinds,
                    "sh",
                    "-c",
                    _INIT,
                    "init",
                    *map(str, own),
                    *self._command,
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wanted = True  # not before, or `keep` would start a second one

    def wait(self, timeout_s: float) -> int:
        """Wait until it ends by itself; returns its exit code. TimeoutExpired."""
        assert self._process is not None
        self._wanted = False
        return self._process.wait(timeout_s)

    def keep(self) -> None:
        """Start it anew if it has ended though it should run."""
        if self._wanted and self._process is not None and self._process.poll() is not None:
            self.restarts += 1
            self.start()

    def kill(self, *, restart: bool = True) -> None:
        """End all of its processes at once, as the kernel does when a machine loses power."""
        self._wanted = restart
        self._signal_init(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)

    def stop(self, timeout_s: float = 30) -> None:
        """End it as `docker stop` does: SIGTERM, and SIGKILL after a while."""
        self._wanted = False
        self.thaw()
        self._signal_init(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.kill(restart=False)

    def freeze(self) -> None:
        """Stop all of its processes where they are: a machine that hangs, or sleeps."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let them go on."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def fill(self) -> Callable[[], None]:
        """Fill its disk for temporary files. Returns a function that makes room again."""
        if not (inside := self.processes()):
            return lambda: None
        full = Path(f"/proc/{inside[0].pid}/root{self.temporary}/full")
        with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**20))
        # Where the container has ended meanwhile, its disk has gone with it.
        return lambda: _remove(full)

    def processes(self) -> list[psutil.Process]:
        """The processes inside, the first one first; all orphans are children of that one."""
        if self._process is None or self._process.poll() is not None:
            return []
        try:
            found: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return found

    def healthy(self, timeout_s: float = 60) -> bool:
        """Whether its own check, run inside, ends with 0."""
        try:
            return self.inside(self._check, timeout_s).returncode == 0
        except (subprocess.TimeoutExpired, LookupError):
            return False

    def inside(self, command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command in it. LookupError if it does not run, TimeoutExpired."""
        if not (inside := self.processes()):
            raise LookupError(f"{self.name} does not run")
        enter = ["nsenter", "--target", str(inside[0].pid), "--pid", "--mount", "--uts", "--net"]
        return subprocess.run(
            [*enter, f"--wdns={self.folder}", *command],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def wait_until_healthy(self, timeout_s: float = 120) -> None:
        """Wait until the check passes; TimeoutError with the end of the log if it does not."""
        deadline = time.monotonic() + timeout_s
        while not self.healthy():
            if time.monotonic() > deadline:
                end = (self.folder / "log").read_text(errors="replace")[-3000:]
                raise TimeoutError(f"{self.name} is not healthy after {timeout_s:.0f} s:\n{end}")
            time.sleep(0.5)

    def _signal_init(self, number: int) -> None:
        if inside := self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                inside[0].send_signal(number)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
