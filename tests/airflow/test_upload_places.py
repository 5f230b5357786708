"""From which places the DAG of uploads takes files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe.airflow.upload import check_place
from nightscribe.errors import ConfigurationError
from nightscribe.settings import Settings
from nightscribe.uris import canonical_uri


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("uploads", "uploads-of-others", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").write_bytes(b"1")
    (tmp_path / "uploads" / "link.wav").symlink_to(tmp_path / "uploads-of-others" / "a.wav")
    return Settings(
        uploads=str(tmp_path / "uploads"),
        upload_places=(str(tmp_path / "shared"), "s3://bucket/inbox"),
    )


@pytest.mark.parametrize(
    "path", ["uploads/a.wav", "uploads/x/y.wav", "shared/a.wav", "s3://bucket/inbox/2026/a.wav"]
)
def test_taken(path: str, settings: Settings, tmp_path: Path) -> None:
    check_place(path if "://" in path else canonical_uri(str(tmp_path / path)), settings)


@pytest.mark.parametrize(
    "path",
    [
        "uploads-of-others/a.wav",
        "uploads/../uploads-of-others/a.wav",
        "uploads/link.wav",
        "a.wav",
        "/etc/passwd",
        "s3://bucket/inbox-of-others/a.wav",
        "s3://bucket/inbox/../a.wav",
        "s3://other/inbox/a.wav",
    ],
)
def test_refused(path: str, settings: Settings, tmp_path: Path) -> None:
    uri = path if "://" in path else canonical_uri(str(tmp_path / path))
    with pytest.raises(ConfigurationError, match="is not below a place"):
        check_place(uri, settings)
