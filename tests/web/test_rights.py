"""Every route, with every method, for everybody: a route without an entry fails."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
from fastapi.routing import APIRoute

from nightscribe.web.access import Right
from tests.web.conftest import OWN, Pages

ID = "0" * 64
READ, UPLOAD = frozenset({Right.READ}), frozenset({Right.READ, Right.UPLOAD})
REVIEW, ALL = frozenset({Right.READ, Right.REVIEW}), frozenset(Right)
ONLY_UPLOAD, ONLY_REVIEW = frozenset({Right.UPLOAD}), frozenset({Right.REVIEW})

# Route and method → what it needs beside the right to read, and an address.
ROUTES: dict[tuple[str, str], tuple[Right | None, str]] = {
    ("/", "GET"): (None, "/"),
    ("/recordings", "GET"): (None, "/recordings"),
    ("/recordings/{recording_id}", "GET"): (None, f"/recordings/{ID}"),
    ("/recordings/{recording_id}/texts", "GET"): (None, f"/recordings/{ID}/texts"),
    ("/recordings/{recording_id}/waveform.svg", "GET"): (None, f"/recordings/{ID}/waveform.svg"),
    ("/media/{recording_id}", "GET"): (None, f"/media/{ID}"),
    ("/media/{recording_id}", "HEAD"): (None, f"/media/{ID}"),
    ("/transcripts/{transcript_id}.{form}", "GET"): (None, "/transcripts/x.txt"),
    ("/rejected", "GET"): (None, "/rejected"),
    ("/warnings", "GET"): (None, "/warnings"),
    ("/quality", "GET"): (None, "/quality"),
    ("/quality/{evaluation}/report", "GET"): (None, "/quality/x/report"),
    ("/quality/{evaluation}/recordings", "GET"): (None, "/quality/x/recordings"),
    ("/plan", "GET"): (None, "/plan"),
    ("/runs/{dag_id}/{run_id}", "GET"): (None, "/runs/a/b"),
    ("/runs/{dag_id}/{run_id}/{task_id}/{map_index}", "GET"): (None, "/runs/a/b/c/0"),
    ("/airflow/runs/{run_id}", "GET"): (None, "/airflow/runs/b"),
    ("/search", "GET"): (None, "/search"),
    ("/sql", "GET"): (None, "/sql"),
    ("/sql/result.{form}", "GET"): (None, "/sql/result.csv"),
    ("/upload", "GET"): (Right.UPLOAD, "/upload"),
    ("/uploads/{name}", "PUT"): (Right.UPLOAD, "/uploads/a.txt"),
    ("/uploads", "POST"): (Right.UPLOAD, "/uploads"),
    ("/uploads/{run_id}", "GET"): (Right.UPLOAD, "/uploads/run 9"),
    ("/uploads/{run_id}/state", "GET"): (Right.UPLOAD, "/uploads/run 9/state"),
    ("/review", "GET"): (Right.REVIEW, "/review"),
    ("/review/{transcript_id}", "GET"): (Right.REVIEW, "/review/x"),
    ("/review/{transcript_id}", "POST"): (Right.REVIEW, "/review/x"),
    ("/static/{name}", "GET"): (None, "/static/pages.css"),
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def test_every_route_has_an_entry(pages: Pages) -> None:
    routes = {
        (route.path, method)
        for route in pages.app.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert routes == set(ROUTES)
    assert all(isinstance(route, APIRoute) for route in pages.app.routes)


@pytest.mark.parametrize(
    "rights", [None, frozenset(), ONLY_UPLOAD, ONLY_REVIEW, READ, UPLOAD, REVIEW, ALL]
)
def test_nobody_gets_more_than_their_rights(rights: frozenset[Right] | None, pages: Pages) -> None:
    pages.rights = rights
    for (path, method), (needed, address) in ROUTES.items():
        answer = pages.client.request(method, address)
        if rights is None:
            assert answer.status_code == 401, (path, method)
        elif Right.READ not in rights or (needed is not None and needed not in rights):
            assert answer.status_code == 403, (path, method)
        else:
            assert answer.status_code not in (401, 403), (path, method)
        if answer.status_code in (401, 403):
            assert len(answer.text) < 100
            assert "<" not in answer.text


def test_no_route_answers_to_another_method(pages: Pages) -> None:
    for address in {address for _, address in ROUTES.values()}:
        same = address.startswith("/uploads/")  # names of files and ids of runs
        known = {
            method
            for (_, method), (_, other) in ROUTES.items()
            if other == address or (same and other.startswith("/uploads/"))
        }
        for method in METHODS:
            if method not in known:
                answer = pages.client.request(method, address)
                assert answer.status_code in (404, 405), (method, address)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"authorization": "Basic x"},
    ],
)
def test_a_write_from_another_site_is_refused(headers: dict[str, str], pages: Pages) -> None:
    for (_, method), (_, address) in ROUTES.items():
        if method in ("PUT", "POST"):
            without = dict.fromkeys(OWN, "")
            pages.client.headers.clear()
            answer = pages.client.request(method, address, headers=headers or {"x": "y"})
            assert answer.status_code == 403, without
    assert pages.runs.started == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://127.0.0.1"},
        {"authorization": "Bearer x"},
    ],
)
def test_a_write_of_the_pages_or_of_a_program_is_taken(
    headers: dict[str, str], pages: Pages
) -> None:
    pages.client.headers.clear()
    assert pages.client.put("/uploads/a.txt", headers=headers).status_code == 415


def test_every_answer_has_the_headers(pages: Pages) -> None:
    for rights in (None, READ, UPLOAD):
        pages.rights = rights
        for (_, method), (_, address) in ROUTES.items():
            headers = pages.client.request(method, address).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'self'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"].startswith("private")


def test_who_may_read_nothing_gets_no_page_at_all(pages: Pages) -> None:
    for rights in (None, frozenset[Right]()):
        pages.rights = rights
        for method, address in (
            ("GET", "/nothing"),
            ("DELETE", "/recordings"),
            ("POST", "/upload"),
            ("POST", "/uploads"),
        ):
            answer = pages.client.request(method, address, content=b"malformed")
            assert answer.status_code >= 400
            assert "<" not in answer.text


def test_nothing_of_a_form_is_kept_before_its_sender_is_known(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = tempfile.SpooledTemporaryFile.write

    def write(self: Any, data: bytes) -> int:
        nonlocal written
        written += len(data)
        return real(self, data)

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", write)
    pages.client.headers.clear()
    for rights, status in ((None, 401), (READ, 403)):
        pages.rights = rights
        answer = pages.client.post(
            "/uploads",
            files=[("files", ("a.wav", bytes(5_000_000)))],
            headers={"authorization": "Bearer nonsense"},
        )
        assert (answer.status_code, written) == (status, 0)
