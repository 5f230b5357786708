"""Which devices a machine has, as the planner finds out without torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe.whisper.devices import has_nvidia_gpu


@pytest.fixture
def gpus(tmp_path: Path) -> Path:
    """The driver's folder on a machine with two GPUs."""
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / address).mkdir()
    return tmp_path


def test_gpu_is_found_by_its_drivers_folder(
    gpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert has_nvidia_gpu(gpus)
    assert not has_nvidia_gpu(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    assert not has_nvidia_gpu(tmp_path / "empty")


@pytest.mark.parametrize(
    ("visible", "found"),
    [("", False), ("-1", False), ("-1,0", False), ("0", True), ("1,-1", True), ("GPU-8932", True)],
)
def test_gpus_that_cuda_hides_are_not_found(
    visible: str, found: bool, gpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert has_nvidia_gpu(gpus) is found
