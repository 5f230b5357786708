"""With real weights on real speech, the engine's results are openai-whisper's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nightscribe.whisper.batched.scheduler import transcribe_batched
from nightscribe.whisper.contract import Job, LoadedModel
from nightscribe.whisper.options import Options
from tests.parity import CASES, by_reference, differences, requests, run
from tests.real_speech.conftest import Spoken


@pytest.mark.timeout(1200)  # openai-whisper takes minutes for all recordings, also alone
def test_every_recording_is_transcribed_as_by_the_reference(
    model: LoadedModel, spoken: list[Spoken]
) -> None:
    """Times of words too; the language is detected."""
    wanted = requests(
        [one.path for one in spoken], Job("transcribe", Options(word_timestamps=True))
    )
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}
    assert all(result.text for result in theirs.values())
    for (recording, _), result in ours.items():
        assert result.language == spoken[int(recording, 16)].language


def test_every_fourth_is_translated_as_by_the_reference(
    model: LoadedModel, spoken: list[Spoken]
) -> None:
    foreign = [one.path for one in spoken if one.language != "en"]
    wanted = requests([*foreign, *(one.path for one in spoken[::4])], Job("translate", Options()))
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_every_option_does_what_it_does_in_the_reference(
    model: LoadedModel, spoken: list[Spoken], options: Options
) -> None:
    """Without fallback, to which a wrong language or prefix leads: the engines draw differently."""
    options = replace(options, temperature=(0.0,))
    if options.clip_timestamps != "0":
        options = replace(options, clip_timestamps="0.5,3,4.2,5")
    wanted = requests([one.path for one in spoken[::15]], Job("transcribe", options))
    ours, theirs = run(transcribe_batched, wanted, model), by_reference(wanted, model)
    assert {k: d for k, r in theirs.items() if (d := differences(ours[k], r))} == {}
