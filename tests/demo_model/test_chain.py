"""The whole chain on very little work: speech, training, resumption, the packed checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import whisper

from tools.demo_model.batches import Batches
from tools.demo_model.corpus import Corpus, write_corpus
from tools.demo_model.labels import Labeller
from tools.demo_model.network import Learner
from tools.demo_model.pack import pack
from tools.demo_model.schedule import Phase
from tools.demo_model.train import Training

SHORT = Phase("short", 3, (160,), 640, 2, (1, 1, 1), (1e-3, 1e-4))
WHOLE = Phase("whole", 2, (1500,), 1500, 2, (0, 0, 1), (1e-3, 1e-4), decoder_only=True)


def run(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.demo_model", *map(str, arguments)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository}:{repository / 'plugins'}"},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory, espeak_library: None) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "speech"
    write_corpus(folder, 40, seed=1)
    return folder


def test_the_commands_make_a_checkpoint_that_whisper_loads(
    repository: Path, tmp_path: Path, espeak_library: None
) -> None:
    said = ""
    for step in ("speak", "train", "pack"):
        done = run(repository, step, "--work", tmp_path, "--scale", "0.001")
        assert done.returncode == 0, done.stderr
        said += done.stderr
    assert "answers 1/1" in said
    model = whisper.load_model(str(tmp_path / "demo.pt"), device="cpu")
    assert model.dims.n_audio_state == 192
    assert model.is_multilingual


def test_packing_before_training_says_what_to_do(repository: Path, tmp_path: Path) -> None:
    done = run(repository, "pack", "--work", tmp_path)
    assert done.returncode == 1
    assert "run the step 'train' first" in done.stderr


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    speech: Path, tmp_path: Path
) -> None:
    whole = Training(speech, tmp_path / "whole", (SHORT, WHOLE), seed=3, device="cpu")
    whole.run()
    Training(speech, tmp_path / "parts", (SHORT,), seed=3, device="cpu").run()
    parts = Training(speech, tmp_path / "parts", (SHORT, WHOLE), seed=3, device="cpu")
    parts.run()
    for name, value in whole.learner.state_dict().items():
        torch.testing.assert_close(parts.learner.state_dict()[name], value, msg=name)


def test_the_packed_network_answers_as_the_one_that_learnt(speech: Path, tmp_path: Path) -> None:
    corpus, labeller = Corpus(speech), Labeller()
    used = labeller.used_tokens()
    torch.manual_seed(0)
    learner = Learner(used, len(corpus.phoneme_classes), len(corpus.word_classes), 1501).eval()
    batch = Batches(corpus, labeller, WHOLE, seed=1)[0]
    file = tmp_path / "demo.pt"
    pack(learner, file)
    pack(learner, tmp_path / "again.pt")
    assert file.read_bytes() == (tmp_path / "again.pt").read_bytes()
    model = whisper.load_model(str(file), device="cpu")
    with torch.no_grad():
        audio, _ = learner.encode(batch)
        ours, _ = learner.decode(audio, batch)
        tokens = torch.tensor(used)[batch.tokens]
        theirs = model.decoder(tokens, model.encoder(batch.features).repeat_interleave(2, 0))
    torch.testing.assert_close(theirs[..., used], ours, atol=0.05, rtol=0.05)
    unused = torch.ones(model.dims.n_vocab, dtype=torch.bool)
    unused[used] = False
    assert not theirs[..., unused].any()


def test_the_loss_is_the_exact_one_over_all_tokens(speech: Path) -> None:
    """Leaving the unused tokens out of the softmax changes nothing."""
    corpus, labeller = Corpus(speech), Labeller()
    used = labeller.used_tokens()
    torch.manual_seed(0)
    learner = Learner(used, len(corpus.phoneme_classes), len(corpus.word_classes), 1501).eval()
    batch = Batches(corpus, labeller, SHORT, seed=1)[1]
    with torch.no_grad():
        found = learner.losses(batch).text
        audio, _ = learner.encode(batch)
        logits = torch.zeros(*batch.tokens.shape, 51_865)
        logits[..., used] = learner.decode(audio, batch)[0]
    targets = torch.where(batch.targets < 0, -100, torch.tensor(used)[batch.targets])
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    exact = (each * batch.weights).sum() / (targets >= 0).sum()
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)
    unprompted = batch.tokens[:, 0] == used.index(labeller.tokenizer.sot)
    silent = batch.targets[:, 0] == used.index(labeller.tokenizer.no_speech)
    assert ((batch.weights[:, 0] > 1) == (unprompted & ~silent)).all()
    assert (batch.weights[:, 1:] == 1).all()
