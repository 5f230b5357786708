"""What the control groups around a process allow, in the files of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe.cgroups import cpu_quota, memory_left

MIB = 1024**2


def write(folder: Path, **files: str | int) -> None:
    """Files of a control group; `cpu__max` stands for `cpu.max`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def cpu_v1(folder: Path, quota: int, period: int = 100_000) -> None:
    write(folder, cpu__cfs_quota_us=quota, cpu__cfs_period_us=period)


def memory_v1(folder: Path, limit: int, used: int, cached: int) -> None:
    write(folder, memory__limit_in_bytes=limit, memory__usage_in_bytes=used)
    write(folder, memory__stat=f"inactive_file 1\ntotal_inactive_file {cached}")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_the_tightest_cpu_quota_of_all_groups_around_counts(root: Path, own: Path) -> None:
    own.write_text("0::/pod/container\n")
    write(root / "pod" / "container", cpu__max="max 100000")
    write(root / "pod", cpu__max="400000 100000")
    write(root / "other", cpu__max="10000 100000")
    assert cpu_quota(root, own) == 4.0
    write(root / "pod" / "container", cpu__max="75000 50000")
    assert cpu_quota(root, own) == 1.5


def test_cpu_quota_of_version_1(root: Path, own: Path) -> None:
    own.write_text("4:memory:/m\n3:cpuset:/s\n2:cpu,cpuacct:/pod/container\n0::/\n")
    cpu_v1(root / "cpu,cpuacct" / "pod" / "container", -1)
    assert cpu_quota(root, own) is None
    cpu_v1(root / "cpu,cpuacct" / "pod", 250_000)
    assert cpu_quota(root, own) == 2.5
    cpu_v1(root / "cpu,cpuacct" / "pod" / "container", 40_000, period=80_000)
    assert cpu_quota(root, own) == 0.5


def test_controllers_mounted_together_are_found_by_one_name(root: Path, own: Path) -> None:
    own.write_text("2:cpu,cpuacct:/\n")
    cpu_v1(root / "cpu", 300_000)
    assert cpu_quota(root, own) == 3.0


@pytest.mark.parametrize("membership", ["2:cpu:/docker/4f2a", "0::/docker/4f2a"])
def test_a_container_that_sees_its_group_as_the_root(
    membership: str, root: Path, own: Path
) -> None:
    own.write_text(f"{membership}\n")
    cpu_v1(root / "cpu", 200_000)
    write(root, cpu__max="200000 100000")
    assert cpu_quota(root, own) == 2.0


def test_memory_limits_of_version_1(root: Path, own: Path) -> None:
    own.write_text("4:memory:/pod/container\n2:cpu:/\n0::/\n")
    memory_v1(root / "memory", 0x7FFFFFFFFFFFF000, used=900 * MIB, cached=0)
    assert memory_left(root, own) is None
    memory_v1(root / "memory" / "pod", 100 * MIB, used=70 * MIB, cached=20 * MIB)
    assert memory_left(root, own) == 50 * MIB
    memory_v1(root / "memory" / "pod" / "container", 40 * MIB, used=41 * MIB, cached=0)
    assert memory_left(root, own) == 0


def test_both_versions_at_once_and_the_tighter_one_counts(root: Path, own: Path) -> None:
    own.write_text("4:memory:/old\n0::/new\n")
    memory_v1(root / "memory" / "old", 100 * MIB, used=70 * MIB, cached=0)
    write(root / "new", memory__max=90 * MIB, memory__high="max", memory__current=80 * MIB)
    write(root / "new", memory__stat="inactive_file 0")
    assert memory_left(root, own) == 10 * MIB


def test_no_control_groups_no_limits(root: Path, own: Path) -> None:
    assert (cpu_quota(root, own), memory_left(root, own)) == (None, None)
    own.write_text("0::/\n1:name=systemd:/a:b\n")
    assert (cpu_quota(root, own), memory_left(root, own)) == (None, None)


def test_a_file_that_makes_no_sense_is_no_limit(root: Path, own: Path) -> None:
    own.write_text("0::/\n2:cpu:/\n")
    write(root, cpu__max="many")
    write(root / "cpu", cpu__cfs_quota_us="", cpu__cfs_period_us=100_000)
    assert cpu_quota(root, own) is None
