"""Decoding side by side gives what `whisper.decode` gives window by window."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import whisper
from whisper.decoding import DecodingOptions
from whisper.model import ModelDimensions
from whisper.tokenizer import get_tokenizer

from nightscribe.whisper.batched import suppressed
from nightscribe.whisper.lane import Answer, Kind, Lane, Task
from nightscribe.whisper.network import Network
from nightscribe.whisper.rules import Vocabulary

MULTILINGUAL = ModelDimensions(80, 1500, 64, 2, 2, 51_865, 448, 64, 2, 2)
ENGLISH = replace(MULTILINGUAL, n_vocab=51_864)


def random_model(dims: ModelDimensions) -> whisper.Whisper:
    """A network whose answers are nonsense, but far from ties, and end after some tokens."""
    torch.manual_seed(1)
    model = whisper.Whisper(dims).eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim > 1 and "conv" not in name:
                weights.normal_(0, 0.25)
        model.decoder.token_embedding.weight[50_256 + dims.n_vocab - 51_864] *= 3
    return model


@pytest.fixture(scope="module", params=[MULTILINGUAL, ENGLISH], ids=["multilingual", "english"])
def model(request: pytest.FixtureRequest) -> whisper.Whisper:
    return random_model(request.param)


def mels(count: int) -> torch.Tensor:
    return torch.randn(count, 80, 3000, generator=torch.Generator().manual_seed(3)) * 0.5


def asked(model: whisper.Whisper, number: int) -> DecodingOptions:
    """Options of which no two windows have the same."""
    multilingual = model.is_multilingual
    return DecodingOptions(
        language=("de", "en", "zh")[number % 3] if multilingual else "en",
        task="translate" if multilingual and number % 2 else "transcribe",
        prompt=list(range(1000, 1000 + 37 * number)) or None,
        suppress_tokens="-1" if number % 4 else "",
        fp16=False,
    )


def task_of(model: whisper.Whisper, options: DecodingOptions, **changed: object) -> Task:
    tokenizer = get_tokenizer(
        model.is_multilingual,
        num_languages=model.num_languages,
        language=options.language,
        task=options.task,
    )
    prompt = list(options.prompt or [])[-223:]
    tokens = [tokenizer.sot_prev, *prompt] if prompt else []
    task = Task(
        tokens=(*tokens, *tokenizer.sot_sequence),
        start=len(tokens),
        temperature=options.temperature,
        length_limit=224,
        suppressed=suppressed(tokenizer, str(options.suppress_tokens)),
        timed=True,
        blank_allowed=False,
        latest_first=50,
        length_penalty=options.length_penalty,
        candidates=round((options.beam_size or 1) * (options.patience or 1.0)),
        seed=0,
    )
    return replace(task, **changed)


def lane_of(model: whisper.Whisper, slots: int, kind: Kind) -> Lane:
    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    words = Vocabulary(tokenizer.eot, tokenizer.timestamp_begin, tuple(tokenizer.encode(" ")))
    return Lane(Network(model, torch.float32), words, tokenizer.no_speech, slots, kind)


def decoded(lane: Lane, tasks: list[Task], mel: torch.Tensor, at_once: int = 2) -> list[Answer]:
    """All tasks, admitted so many at a time, as slots become free."""
    features = lane.network.encode(mel)
    answers: dict[int, Answer] = {}
    waiting = list(range(len(tasks)))
    while len(answers) < len(tasks):
        while waiting and lane.free:
            some = waiting[: min(lane.free, at_once)]
            del waiting[: len(some)]
            lane.admit([tasks[number] for number in some], some, features[some])
        answers.update(lane.finished())
        if lane.used:
            lane.step()
            answers.update(lane.finished())
    return [answers[number] for number in range(len(tasks))]


@pytest.mark.parametrize("slots", [1, 3, 8])
@pytest.mark.parametrize(
    "search",
    [
        {},
        {"beam_size": 1},
        {"beam_size": 3},
        {"beam_size": 5, "patience": 2.0},
        {"beam_size": 4, "patience": 0.5, "length_penalty": 0.3},
    ],
    ids=str,
)
def test_windows_decoded_together_are_those_decoded_alone(
    model: whisper.Whisper, search: dict[str, float], slots: int
) -> None:
    count = 5
    mel = mels(count)
    options = [replace(asked(model, number), **search) for number in range(count)]
    tasks = [task_of(model, one) for one in options]
    kind = Kind(int(search.get("beam_size", 1)), "beam_size" in search)
    with torch.no_grad():
        found = decoded(lane_of(model, slots, kind), tasks, mel)
    for number, answer in enumerate(found):
        expected = whisper.decode(model, mel[number], options[number])
        assert answer.tokens == expected.tokens
        assert answer.avg_logprob == pytest.approx(expected.avg_logprob, abs=1e-4)
        assert answer.no_speech_prob == pytest.approx(expected.no_speech_prob, abs=1e-5)


def test_texts_have_different_lengths(model: whisper.Whisper) -> None:
    """Or the tests above would not show that a slot is taken over in the middle of others."""
    mel = mels(5)
    with torch.no_grad():
        tasks = [task_of(model, asked(model, number)) for number in range(5)]
        found = decoded(lane_of(model, 5, Kind(1, False)), tasks, mel)
    assert len({len(answer.tokens) for answer in found}) > 2


@pytest.mark.parametrize("group", [1, 3])
def test_samples_depend_on_their_own_seed_alone(model: whisper.Whisper, group: int) -> None:
    mel = mels(4)
    tasks = [
        task_of(model, asked(model, number), temperature=0.7, seed=number, length_limit=20)
        for number in range(4)
    ]
    kind = Kind(group, False)
    with torch.no_grad():
        together = decoded(lane_of(model, 4, kind), tasks, mel)
        alone = [
            decoded(lane_of(model, 1, kind), [task], mel[[number]])[0]
            for number, task in enumerate(tasks)
        ]
        reseeded = decoded(lane_of(model, 4, kind), [replace(t, seed=9) for t in tasks], mel)
    assert [answer.tokens for answer in together] == [answer.tokens for answer in alone]
    assert [answer.tokens for answer in together] != [answer.tokens for answer in reseeded]


def test_samples_follow_the_distribution(model: whisper.Whisper) -> None:
    """First tokens of many seeds, against the network's own probabilities."""
    mel = mels(1)
    task = task_of(model, asked(model, 0), temperature=1.0, length_limit=1)
    draws = 400
    lane = lane_of(model, draws, Kind(1, False))
    with torch.no_grad():
        features = lane.network.encode(mel).expand(draws, -1, -1)
        lane.admit([replace(task, seed=n) for n in range(draws)], list(range(draws)), features)
        found = [answer.tokens[0] for _, answer in lane.finished()]
        tokens = torch.tensor([task.tokens])
        logits = model.decoder(tokens, model.encoder(mel))[0, -1]
    zero = get_tokenizer(model.is_multilingual).timestamp_begin
    if model.is_multilingual:
        zero = get_tokenizer(True, num_languages=99).timestamp_begin
    shares = logits[zero : zero + 51].softmax(-1)
    counts = torch.bincount(torch.tensor(found) - zero, minlength=51)
    # Chi-square with bins of few expected draws joined; 0.999 quantile by Wilson-Hilferty.
    expected = shares * draws
    big = expected >= 5
    terms = [(counts[big] - expected[big]) ** 2 / expected[big]]
    rest = expected[~big].sum()
    if rest > 0:
        terms.append(((counts[~big].sum() - rest) ** 2 / rest)[None])
    freedom = max(1, int(big.sum()))
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert float(torch.cat(terms).sum()) < limit
