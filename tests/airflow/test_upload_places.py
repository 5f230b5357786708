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
    "path",
    [
        "uploads/a.wav",
        "uploads/x/y.wav",
        "shared/a.wav",
        "s3://bucket/inbox/2026/a.wav",
        "s3a://bucket/inbox/%2e%2e/a.wav",
    ],
)
def test_taken(path: str, settings: Settings, tmp_path: Path) -> None:
    check_place(canonical_uri(path if "://" in path else str(tmp_path / path)), settings)


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
        "s3://bucket//inbox/a.wav",
        "s3://bucket/inbox//../a.wav",
        "s3://bucket/other/../inbox/a.wav",
        "s3://bucket/inbox/./a.wav",
        "s3://bucket/inbox%2Fa.wav",
        "s3://key@bucket/inbox/a.wav",
        "gs://bucket/inbox/a.wav",
        "ftp://localhost/inbox/a.wav",
        "file:///etc/passwd",
        "uploads/../../etc/passwd",
    ],
)
def test_refused(path: str, settings: Settings, tmp_path: Path) -> None:
    uri = path if "://" in path else canonical_uri(str(tmp_path / path))
    with pytest.raises(ConfigurationError, match="is not below a place"):
        check_place(uri, settings)


@pytest.mark.parametrize(
    "written", ["file://{}/uploads/%2e%2e/uploads-of-others/a.wav", "{}/uploads/%2e%2e/a.wav/.."]
)
def test_percent_encoding_leads_nowhere_else(
    written: str, settings: Settings, tmp_path: Path
) -> None:
    uri = canonical_uri(written.format(tmp_path))
    if written.startswith("file"):
        with pytest.raises(ConfigurationError, match="is not below a place"):
            check_place(uri, settings)
    else:  # a path is taken literally
        check_place(uri, settings)


@pytest.mark.parametrize("uri", ["file://server/uploads/a.wav", "file://../a.wav", "file://a.wav"])
def test_a_uri_with_a_host_is_no_local_file(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="names a host"):
        canonical_uri(uri)


def test_a_folder_that_is_a_link_is_a_place(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    linked = settings.model_copy(update={"upload_places": (str(tmp_path / "link"),)})
    check_place(canonical_uri(str(tmp_path / "shared" / "a.wav")), linked)
    check_place(canonical_uri(str(tmp_path / "link" / "a.wav")), linked)
    with pytest.raises(ConfigurationError, match="is not below a place"):
        check_place(canonical_uri(str(tmp_path / "link" / ".." / "a.wav")), linked)
