"""Compare the batched engine's results with the reference's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from nightscribe.whisper.contract import Job, LoadedModel, Request, Transcript
from nightscribe.whisper.options import Options
from nightscribe.whisper.reference import transcribe_one_by_one

CLOSE = 1e-4  # of probabilities

CASES = {
    "beam search": Options(beam_size=3),
    "patience and length penalty": Options(beam_size=2, patience=2.0, length_penalty=0.5),
    "language given": Options(language="de"),
    "no fallback": Options(temperature=(0.0,)),
    "nothing suppressed": Options(suppress_tokens=""),
    "some suppressed": Options(suppress_tokens="-1,13,11,0", temperature=(0.0,)),
    "initial prompt": Options(initial_prompt="The doctor and the girl."),
    "carried prompt": Options(initial_prompt="The doctor.", carry_initial_prompt=True),
    "no conditioning": Options(condition_on_previous_text=False),
    "no thresholds": Options(
        compression_ratio_threshold=None, logprob_threshold=None, no_speech_threshold=None
    ),
    "everything counts as silence": Options(no_speech_threshold=0.0, logprob_threshold=0.0),
    "clips": Options(clip_timestamps="1,3.5,20,40.2"),
    "words": Options(word_timestamps=True),
    "words, other punctuation": Options(
        word_timestamps=True, prepend_punctuations="", append_punctuations="?"
    ),
    "prefix": Options(prefix="The"),
    "prefix and few tokens": Options(prefix="The doctor", sample_len=9),
    "no timestamps": Options(without_timestamps=True),
    "blanks, and a late start": Options(suppress_blank=False, max_initial_timestamp=None),
    "words and hallucinations": Options(word_timestamps=True, hallucination_silence_threshold=0.3),
}
"""Every option, by what is tried of it."""


def requests(paths: list[Path], *jobs: Job) -> list[Request]:
    return [Request(f"{n:064x}", str(path), jobs) for n, path in enumerate(paths)]


def run(engine: Any, wanted: list[Request], model: LoadedModel) -> dict[tuple[str, Job], Any]:
    found = {}
    for result in engine(iter(wanted), model):
        assert (result.recording_id, result.job) not in found
        found[result.recording_id, result.job] = result
    assert len(found) == sum(len(request.jobs) for request in wanted)
    return found


def by_reference(wanted: list[Request], model: LoadedModel) -> dict[tuple[str, Job], Any]:
    """The reference's results. It would encode a window anew for each job and temperature."""
    encoder = model.network.encoder
    encode = encoder.forward
    encoded: dict[bytes, torch.Tensor] = vars(encoder).setdefault("encoded", {})

    def encode_once(mel: torch.Tensor) -> torch.Tensor:
        key = hashlib.sha256(mel.numpy().tobytes()).digest()
        if key not in encoded:
            if len(encoded) > 100:  # 2 MB each
                encoded.clear()
            encoded[key] = encode(mel)
        return encoded[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "forward", encode_once)
        return run(transcribe_one_by_one, wanted, model)


def differences(ours: Transcript, theirs: Transcript) -> list[str]:
    """What differs beyond rounding, in words."""
    if (ours.language, ours.text) != (theirs.language, theirs.text):
        return [f"{theirs.language} {theirs.text!r} -> {ours.language} {ours.text!r}"]
    if len(ours.segments) != len(theirs.segments):
        return [f"{len(theirs.segments)} segments -> {len(ours.segments)}"]
    found = []
    for own, other in zip(ours.segments, theirs.segments, strict=True):
        assert own.keys() == other.keys()
        for name, value in other.items():
            if name in {"avg_logprob", "no_speech_prob", "compression_ratio"}:
                same = own[name] == pytest.approx(value, abs=CLOSE)
            elif name == "words":
                same = same_words(own[name], value)
            else:
                same = own[name] == value
            if not same:
                found.append(f"{name}: {value!r} -> {own[name]!r}")
    return found


def same_words(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        {k: v for k, v in own.items() if k != "probability"}
        == {k: v for k, v in other.items() if k != "probability"}
        and own["probability"] == pytest.approx(other["probability"], abs=CLOSE)
        for own, other in zip(ours, theirs, strict=True)
    )
