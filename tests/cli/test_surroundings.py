"""Every command says in one sentence what fails around it, and exits with 2."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nightscribe import cli
from nightscribe.lake.opening import open_lake
from nightscribe.settings import Settings
from nightscribe.stages import night
from nightscribe.stages.night import run
from nightscribe.stages.order import Order
from tests.faulty_calls import MadeUpModel, made_up
from tests.nights import write_noise
from tests.unprivileged import unprivileged

COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "--archives", "ARCHIVE", "--model", "demo", "--language", "en"),
    "scan": ("scan", "--archives", "ARCHIVE"),
    "evaluate": ("evaluate",),
    "sql": ("sql", "SELECT count(*), max(text) FROM segments SEMI JOIN transcripts USING (text)"),
    "sql json": ("sql", "--format", "json", "FROM segments"),
    "export": ("export", "--format", "srt", "--out", "OUT"),
    "index": ("index",),
    "warnings": ("warnings",),
    "datasets add": ("datasets", "add", "manifest", "--path", "ARCHIVE/manifest.csv"),
    "baseline": ("baseline", "set"),
}
WRITING = ("run", "evaluate", "datasets add", "baseline")


@pytest.fixture(scope="module", autouse=True)
def no_network() -> Iterator[None]:
    """An engine without a model: these tests are about what is around it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(night, "engine_named", lambda name, slots: made_up)
        patch.setattr(night, "model_loader", lambda settings: MadeUpModel)
        yield


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for number in range(2):
        write_noise(folder / f"{number}.wav", number)
    (folder / "manifest.csv").write_text("path,language,text\n0.wav,en,The doctor is here.\n")
    return folder


@pytest.fixture(scope="module")
def whole(archive: Path, no_network: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lakes") / "lake"
    order = Order((str(archive),), "demo", language="en")
    run(open_lake(str(folder)), order, Settings(), engine=made_up)
    return folder


@pytest.fixture
def lake(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "lake"))


def nightscribe(name: str, archive: Path, lake: Path, out: Path) -> tuple[int | str | None, str]:
    """Run a command; returns its exit code and its lines on standard error."""
    words = [
        word.replace("ARCHIVE", str(archive)).replace("OUT", str(out)) for word in COMMANDS[name]
    ]
    at = 2 if name.startswith(("datasets", "baseline")) else 1
    err, stdout = io.StringIO(), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(err):
        code: int | str | None = cli.main([*words[:at], "--lake", str(lake), *words[at:]])
    return code, err.getvalue()


def of(lake: Path, table: str, pattern: str) -> Path:
    return max((lake / table).glob(pattern))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "file missing": (lambda lake: of(lake, "segments", "*.parquet").unlink(), "is missing"),
    "file cut": (lambda lake: of(lake, "recordings", "*.parquet").write_bytes(b"PAR1"), "4 bytes"),
    "entry missing": (lambda lake: of(lake, "transcripts", "*/*.json").unlink(), "are missing"),
    "entry empty": (
        lambda lake: of(lake, "recordings", "*/*.json").write_bytes(b""),
        "log entry 1 is empty",
    ),
    "entry cut": (
        lambda lake: of(lake, "segments", "*/*.json").write_bytes(b'{"commit'),
        "log entry 1 is cut",
    ),
    "table missing": (lambda lake: shutil.rmtree(lake / "reference_texts"), "reference_texts"),
}


READ_LITTLE = {
    # It reads no recording: what it has read before is known by its name, size and time.
    "scan": {"file missing", "file cut", "entry missing", "entry empty", "entry cut"},
    "warnings": {"file missing", "entry missing", "entry cut"},
}
"""Faults in tables that a command does not read."""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_lake_stops_every_command_that_reads_the_damage(
    command: str, fault: str, archive: Path, lake: Path, tmp_path: Path
) -> None:
    spoil, what = FAULTS[fault]
    spoil(lake)
    if fault in READ_LITTLE.get(command, ()):
        assert nightscribe(command, archive, lake, tmp_path / "out")[0] == 0
        return
    code, err = nightscribe(command, archive, lake, tmp_path / "out")
    last = err.splitlines()[-1]
    assert (code, last[:7]) == (2, "error: "), err
    assert what in last
    assert f"lake {lake}: table " in last
    assert "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_whole_lake_stops_none(command: str, archive: Path, lake: Path, tmp_path: Path) -> None:
    code, err = nightscribe(command, archive, lake, tmp_path / "out")
    assert code == 0, err


@pytest.mark.parametrize("command", ["export", "sql", "evaluate"])
def test_a_file_whose_content_is_lost_is_named_and_no_query_is_blamed(
    command: str, archive: Path, lake: Path, tmp_path: Path
) -> None:
    file = of(lake, "transcripts", "*.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:4] + bytes(1500) + content[1504:])  # the footer stays
    code, err = nightscribe(command, archive, lake, tmp_path / "out")
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"error: lake {lake}: table transcripts, version 1: {file} is damaged")
    assert "--where" not in line


CHILD = """
import json, os, resource, shutil, sys
from pathlib import Path
from nightscribe.stages import night
from tests.cli import test_surroundings as here
from tests.faulty_calls import MadeUpModel, made_up
night.engine_named = lambda name, slots: made_up
night.model_loader = lambda settings: MadeUpModel
archive, whole, folder = map(Path, sys.argv[1:])
for fault in ("read-only", "unreadable", "full"):
    lake = Path(shutil.copytree(whole, folder / fault))
    if fault == "read-only":
        for path, _, _ in os.walk(lake):
            os.chmod(path, 0o555)
    elif fault == "unreadable":
        os.chmod(here.of(lake, "segments", "*.parquet"), 0)
        os.chmod(here.of(lake, "scans", "*/*.json"), 0)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
    for name in here.COMMANDS:
        print(json.dumps([fault, name, *here.nightscribe(name, archive, lake, folder / "out")]))
"""

STOPPED = {
    "read-only": ({*WRITING, "index"}, "change its owner or its permissions"),
    "unreadable": (set(COMMANDS) - {"warnings"}, "change its owner or its permissions"),
    "full": (set(WRITING), "raise the limit of the size of files"),
}


def test_a_lake_without_rights_or_room(archive: Path, whole: Path, tmp_path: Path) -> None:
    write_noise(archive / "new.wav", 9)
    try:
        lines = unprivileged(CHILD, str(archive), str(whole), str(tmp_path))
    finally:
        (archive / "new.wav").unlink()
    ran = [json.loads(line) for line in lines]
    assert len(ran) == len(STOPPED) * len(COMMANDS)
    for fault, name, code, err in ran:
        stopped, what = STOPPED[fault]
        assert "Traceback" not in err, err
        assert code == 2 if name in stopped else code in (0, 2), (fault, name, code, err)
        if code == 2:
            last = err.splitlines()[-1]
            assert last.startswith("error: "), err
            assert what in last or name not in stopped, last
