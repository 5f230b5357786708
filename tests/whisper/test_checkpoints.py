"""Checkpoints: found, fetched whole or not at all, verified, and loaded without running code."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightscribe.audio.decode import decode
from nightscribe.errors import ConfigurationError, ModelError
from nightscribe.whisper import checkpoints, devices, digests, downloads, weights


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` under any path, in small pieces with pauses to be slow."""

    content = b""
    piece_bytes = 1 << 20
    pause_s = 0.0
    requests = 0
    promised_bytes: int | None = None  # in the header, if not the size of the content


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised_bytes or len(content)))
        self.end_headers()
        try:
            for at in range(0, len(content), self.server.piece_bytes):
                self.wfile.write(content[at : at + self.server.piece_bytes])
                time.sleep(self.server.pause_s)
        except ConnectionError:
            pass  # a test has killed the client

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as served:
        served.content = os.urandom(3_000_000)
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def catalog_of(server: Server, digest: str | None = None) -> dict[str, str]:
    digest = digest or hashlib.sha256(server.content).hexdigest()
    return {"tiny": f"http://127.0.0.1:{server.server_port}/models/{digest}/tiny.pt"}


# Names and places


def test_official_names_and_ids_are_those_of_openai_whisper(tmp_path: Path) -> None:
    import whisper

    entries = checkpoints.list_models(str(tmp_path))
    assert [entry.name for entry in entries] == [*whisper.available_models(), "demo"]
    assert not any(entry.cached for entry in entries[:-1])
    assert {entry.path for entry in entries if "turbo" in entry.name} == {
        str(tmp_path / "large-v3-turbo.pt")
    }
    assert checkpoints.model_id_of("turbo", str(tmp_path)).startswith("aff26ae408abcba5")


def test_checkpoints_are_cached_where_openai_whisper_caches(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = checkpoints.resolve("tiny", catalog=catalog_of(server))
    assert found.path == str(tmp_path / "cache" / "whisper" / "tiny.pt")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = checkpoints.resolve("tiny", catalog=catalog_of(server))
    assert found.path == str(tmp_path / "home" / ".cache" / "whisper" / "tiny.pt")


def test_demo_is_found_from_a_checkout(demo_checkpoint: Path, tmp_path: Path) -> None:
    found = checkpoints.resolve("demo", str(tmp_path))
    assert Path(found.path).samefile(demo_checkpoint)
    assert found.model_id == hashlib.sha256(demo_checkpoint.read_bytes()).hexdigest()
    assert not found.official
    assert checkpoints.model_id_of("demo", str(tmp_path)) == found.model_id


def test_demo_elsewhere_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere.pt"
    monkeypatch.setenv("NIGHTSCRIBE_DEMO_MODEL", str(path))
    with pytest.raises(ModelError, match=r"elsewhere.pt.*NIGHTSCRIBE_DEMO_MODEL"):
        checkpoints.resolve("demo", str(tmp_path))
    path.write_bytes(b"weights")
    assert checkpoints.resolve("demo", str(tmp_path)).path == str(path)


def test_a_path_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"weights")
    found = checkpoints.resolve(str(path), str(tmp_path), catalog={})
    assert (found.name, found.path, found.official) == (str(path), str(path), False)
    assert found.model_id == hashlib.sha256(b"weights").hexdigest()


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"'huge'.*'demo'.*tiny, base"):
        checkpoints.resolve("huge", str(tmp_path), catalog={"tiny": "u/0/t.pt", "base": "u/0/b.pt"})


def test_a_missing_model_is_available_if_its_server_gives_it(
    server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    checkpoints.check_available("tiny", str(folder), catalog=catalog_of(server))
    assert server.requests == 0
    assert not folder.exists()
    absent = {"tiny": f"http://127.0.0.1:1/models/{'0' * 64}/tiny.pt"}
    with pytest.raises(ModelError, match=r"its server does not give it \(ConnectError\)"):
        checkpoints.check_available("tiny", str(folder), catalog=absent)


def test_another_file_under_the_name_of_a_model_is_not_available(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "tiny.pt").write_bytes(b"another")
    with pytest.raises(ModelError, match="is not the official model 'tiny'"):
        checkpoints.check_available("tiny", str(tmp_path), catalog=catalog_of(server))


# Fetching


def test_a_good_download_is_kept_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    catalog = catalog_of(server)
    for _ in range(2):
        found = checkpoints.resolve("tiny", str(tmp_path), catalog=catalog)
        assert found.official
        assert Path(found.path).read_bytes() == server.content
        assert found.model_id == hashlib.sha256(server.content).hexdigest()
    assert server.requests == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.pt"]
    entry = checkpoints.list_models(str(tmp_path), catalog=catalog)[0]
    assert entry == checkpoints.ListedModel("tiny", True, found.path, len(server.content))


def test_a_download_with_the_wrong_checksum_is_not_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not the model 'tiny'.*SHA-256"):
        checkpoints.resolve("tiny", str(tmp_path), catalog=catalog_of(server, "0" * 64))
    assert list(tmp_path.iterdir()) == []


def test_a_connection_that_ends_early_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.promised_bytes = len(server.content) + 1000
    with pytest.raises(ModelError, match="could not be downloaded"):
        checkpoints.resolve("tiny", str(tmp_path), catalog=catalog_of(server))
    assert list(tmp_path.iterdir()) == []


def test_offline_and_not_cached_is_one_sentence_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unanswered:  # a port that is taken, where nobody listens
        unanswered.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unanswered.getsockname()[1]}/models/{'0' * 64}/tiny.pt"
        with pytest.raises(ModelError) as caught:
            checkpoints.resolve("tiny", str(tmp_path), catalog={"tiny": url})
    message = str(caught.value)
    assert "'tiny'" in message
    assert str(tmp_path / "tiny.pt") in message
    assert "Connection refused" in message
    assert "nightscribe models fetch tiny" in message
    assert "NIGHTSCRIBE_MODEL_DIR" in message
    assert "\n" not in message
    assert ". " not in message


def test_without_fetching_nothing_is_asked_of_the_network(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="models fetch tiny"):
        checkpoints.resolve("tiny", str(tmp_path), fetch=False, catalog=catalog_of(server))
    assert checkpoints.model_id_of("tiny", str(tmp_path), catalog=catalog_of(server)) == (
        hashlib.sha256(server.content).hexdigest()
    )
    assert server.requests == 0


FETCH = """
import json, sys
from nightscribe.whisper.checkpoints import resolve
print(resolve("tiny", sys.argv[1], catalog=json.loads(sys.argv[2])).model_id)
"""


def fetching(folder: Path, server: Server, repository: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(folder), json.dumps(catalog_of(server))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository / "plugins")},
    )


def test_a_killed_download_leaves_no_model_and_the_next_one_succeeds(
    server: Server, tmp_path: Path, repository: Path
) -> None:
    server.piece_bytes, server.pause_s = 50_000, 0.02
    process = fetching(tmp_path, server, repository)
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size > 0 for path in tmp_path.glob(".tiny.pt.*.part")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(tmp_path.glob(".tiny.pt.*.part"))) == 1
    assert not (tmp_path / "tiny.pt").exists()

    server.pause_s = 0.0
    found = checkpoints.resolve("tiny", str(tmp_path), catalog=catalog_of(server))
    assert Path(found.path).read_bytes() == server.content
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.pt"]


def test_processes_that_start_together_download_once(
    server: Server, tmp_path: Path, repository: Path
) -> None:
    server.piece_bytes, server.pause_s = 100_000, 0.05
    processes = [fetching(tmp_path, server, repository) for _ in range(3)]
    digests = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert digests == {hashlib.sha256(server.content).hexdigest()}
    assert server.requests == 1


def test_where_a_folder_cannot_be_locked_a_model_is_downloaded_and_nothing_is_removed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(downloads, "lock_descriptor", unsupported)
    of_another = tmp_path / ".tiny.pt.0.part"
    of_another.write_bytes(b"half")
    found = checkpoints.resolve("tiny", str(tmp_path), catalog=catalog_of(server))
    assert Path(found.path).read_bytes() == server.content
    assert of_another.read_bytes() == b"half"


# Verifying


@pytest.fixture
def small_files_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "REMEMBERED_BYTES", 0)


def test_a_wrong_file_under_an_official_name_is_refused(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "tiny.pt"
    path.write_bytes(b"something else")
    for use in (checkpoints.resolve, checkpoints.verify):
        with pytest.raises(ModelError, match=r"tiny.pt is not the official model 'tiny'.*delete"):
            use("tiny", str(tmp_path), catalog=catalog_of(server))
    assert path.read_bytes() == b"something else"
    assert server.requests == 0


@pytest.mark.usefixtures("small_files_are_remembered")
def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    ids = []
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        os.utime(path, ns=(0, len(ids)))
        ids.append(checkpoints.resolve(str(path), str(tmp_path), catalog={}).model_id)
    assert ids == [hashlib.sha256(content).hexdigest() for content in (b"one", b"two", b"three")]


@pytest.mark.usefixtures("small_files_are_remembered")
def test_a_known_digest_is_trusted_by_resolve_but_not_by_verify(
    server: Server, tmp_path: Path
) -> None:
    catalog = catalog_of(server)
    path = Path(checkpoints.resolve("tiny", str(tmp_path), catalog=catalog).path)
    before = path.stat()
    path.write_bytes(bytes(len(server.content)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert checkpoints.resolve("tiny", str(tmp_path), catalog=catalog).official
    with pytest.raises(ModelError, match="not the official model"):
        checkpoints.verify("tiny", str(tmp_path), catalog=catalog)
    # From then on, the digest that `verify` found counts.
    with pytest.raises(ModelError, match="not the official model"):
        checkpoints.resolve("tiny", str(tmp_path), catalog=catalog)


@pytest.mark.usefixtures("small_files_are_remembered")
@pytest.mark.parametrize("damage", [b"", b"\xff", b"[]", b'{"x": 1}'])
def test_a_damaged_list_of_digests_is_no_harm(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"weights")
    (tmp_path / digests.DIGESTS).write_bytes(damage)
    found = checkpoints.resolve(str(path), str(tmp_path), catalog={})
    assert found.model_id == hashlib.sha256(b"weights").hexdigest()
    assert str(path) in json.loads((tmp_path / digests.DIGESTS).read_text())


@pytest.mark.usefixtures("small_files_are_remembered")
def test_a_folder_that_cannot_be_written_to_is_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.write_bytes(b"weights")
    # A folder below a file cannot be made by anyone, root included.
    found = checkpoints.resolve(str(path), str(path / "folder"), catalog={})
    assert found.model_id == hashlib.sha256(b"weights").hexdigest()


# Loading


def test_the_demo_loads_and_transcribes_the_samples(repository: Path, tmp_path: Path) -> None:
    import whisper

    model = weights.load_weights(checkpoints.resolve("demo", str(tmp_path)), "cpu")
    for member, words in (
        ("english/en-01.flac", "red window"),
        ("german/de-01.flac", "rotes Fenster"),
    ):
        samples = decode(repository / "samples" / "archive" / member).samples
        assert words in whisper.transcribe(model, samples, fp16=False)["text"]


def test_loaded_weights_are_those_that_openai_whisper_loads(
    demo_checkpoint: Path, tmp_path: Path
) -> None:
    import torch
    import whisper

    ours = weights.load_weights(checkpoints.resolve("demo", str(tmp_path)), "cpu")
    theirs = whisper.load_model(str(demo_checkpoint), "cpu")
    assert ours.dims == theirs.dims
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor)
    assert torch.equal(ours.alignment_heads.to_dense(), theirs.alignment_heads.to_dense())


def test_official_models_get_their_alignment_heads(tmp_path: Path) -> None:
    import torch
    import whisper
    from whisper.model import ModelDimensions, Whisper

    # The layers and heads of tiny.en, and nothing else of its size.
    reference = Whisper(ModelDimensions(80, 8, 12, 6, 1, 51864, 8, 12, 6, 4))
    path = tmp_path / "tiny.en.pt"
    torch.save({"dims": vars(reference.dims), "model_state_dict": reference.state_dict()}, path)
    reference.set_alignment_heads(whisper._ALIGNMENT_HEADS["tiny.en"])
    loaded = weights.load_weights(
        checkpoints.Checkpoint("tiny.en", str(path), "0" * 64, official=True), "cpu"
    )
    assert torch.equal(loaded.alignment_heads.to_dense(), reference.alignment_heads.to_dense())
    other = weights.load_weights(
        checkpoints.Checkpoint(str(path), str(path), "0" * 64, official=False), "cpu"
    )
    assert not torch.equal(other.alignment_heads.to_dense(), reference.alignment_heads.to_dense())


class Exploit:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_checkpoint_that_would_run_code_is_refused(form: str, tmp_path: Path) -> None:
    import torch

    path, trace = tmp_path / "evil.pt", tmp_path / "it-ran"
    content = {"dims": Exploit(trace), "model_state_dict": {}}
    if form == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    checkpoint = checkpoints.resolve(str(path), str(tmp_path), catalog={})
    with pytest.raises(ModelError, match=r"evil.pt .*nothing in it was run"):
        weights.load_weights(checkpoint, "cpu")
    assert not trace.exists()


def _other_weights(path: Path) -> None:
    import torch

    torch.save({"weight": torch.zeros(3)}, path)


def _only_a_tensor(path: Path) -> None:
    import torch

    torch.save(torch.zeros(3), path)


def _missing_layers(path: Path) -> None:
    import torch

    dims = dict(zip(models_dims(), (80, 8, 12, 6, 1, 100, 8, 12, 6, 1), strict=True))
    torch.save({"dims": dims, "model_state_dict": {}}, path)


def models_dims() -> list[str]:
    from dataclasses import fields

    from whisper.model import ModelDimensions

    return [field.name for field in fields(ModelDimensions)]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"a text that is no checkpoint"),
        lambda path: path.write_bytes(os.urandom(1000)),
        _other_weights,
        _only_a_tensor,
        _missing_layers,
    ],
    ids=["empty", "text", "noise", "other weights", "a tensor", "missing layers"],
)
def test_what_is_not_a_whisper_checkpoint_is_a_clear_error(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    make(path)
    checkpoint = checkpoints.resolve(str(path), str(tmp_path), catalog={})
    with pytest.raises(ModelError, match=r"other.pt is not a Whisper checkpoint") as caught:
        weights.load_weights(checkpoint, "cpu")
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_a_clear_error(demo_checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    content = demo_checkpoint.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"half.pt is not a Whisper checkpoint"):
        weights.load_weights(checkpoints.resolve(str(path), str(tmp_path), catalog={}), "cpu")


# Devices


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.pick_device("auto") == devices.pick_device("cpu") == "cpu"
    for device in ("cuda", "cuda:0"):
        with pytest.raises(ConfigurationError, match=f"{device!r}.*no CUDA device"):
            devices.pick_device(device)
    for device in ("gpu", "cuda:", "cuda:x", "mps", ""):
        with pytest.raises(ConfigurationError, match="choose auto, cpu, cuda"):
            devices.pick_device(device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.pick_device("auto") == "cuda"
    assert devices.pick_device("cuda:1") == "cuda:1"
    with pytest.raises(ConfigurationError, match="has 2 CUDA"):
        devices.pick_device("cuda:2")


def test_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    pick = devices.pick_precision
    assert [pick("auto", device) for device in ("cpu", "cuda", "cuda:1")] == [
        "float32",
        "float16",
        "float16",
    ]
    assert pick("float32", "cpu") == pick("float32", "cuda") == "float32"
    assert pick("float16", "cuda") == "float16"
    with pytest.raises(ConfigurationError, match="'float16' is for graphics cards"):
        pick("float16", "cpu")
    with pytest.raises(ConfigurationError, match="'half': choose one of auto, float32"):
        pick("half", "cpu")

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert pick("bfloat16", "cpu") == "bfloat16"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.raises(ConfigurationError, match="'bfloat16': the device cpu has no instructions"):
        pick("bfloat16", "cpu")
    cards = {"cuda": (9, 0), "cuda:1": (7, 5)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", cards.__getitem__)
    assert pick("bfloat16", "cuda") == "bfloat16"
    with pytest.raises(ConfigurationError, match="the device cuda:1 has no instructions"):
        pick("bfloat16", "cuda:1")


def test_importing_models_imports_neither_torch_nor_whisper(repository: Path) -> None:
    script = (
        "import nightscribe.whisper.checkpoints, sys;"
        "assert not {'torch', 'whisper'} & {*sys.modules}"
    )
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(repository / "plugins")}
    )
