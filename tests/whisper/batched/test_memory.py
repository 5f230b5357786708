"""Free memory respects the limits of all control groups that contain the process."""

from __future__ import annotations

from pathlib import Path

import psutil

from nightscribe.whisper.batched.memory import free_memory

MIB = 1024**2


def group(folder: Path, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.high").write_text("max\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n")


def test_the_tightest_of_all_groups_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("1:memory:/old\n0::/pod/container\n")
    root = tmp_path / "cgroup"
    group(root / "pod", str(100 * MIB), used=70 * MIB, cached=20 * MIB)
    group(root / "pod" / "container", str(90 * MIB), used=30 * MIB, cached=0)
    group(root / "other", str(MIB), used=0, cached=0)
    assert free_memory(root, own) == 50 * MIB
    group(root / "pod" / "container", str(40 * MIB), used=30 * MIB, cached=5 * MIB)
    assert free_memory(root, own) == 15 * MIB
    (root / "pod" / "memory.high").write_text(f"{60 * MIB}\n")
    assert free_memory(root, own) == 10 * MIB
    group(root / "pod" / "container", str(40 * MIB), used=41 * MIB, cached=0)
    assert free_memory(root, own) == 0


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n")
    group(tmp_path / "cgroup", "max", used=0, cached=0)
    total = psutil.virtual_memory().total
    assert 0 < free_memory(tmp_path / "cgroup", own) <= total
    assert 0 < free_memory(tmp_path / "cgroup", tmp_path / "no such file") <= total
    (tmp_path / "cgroup" / "memory.stat").unlink()
    assert 0 < free_memory(tmp_path / "cgroup", own) <= total
    assert 0 < free_memory() <= total
