"""Training batches by number: a step of a phase always gives the same batch."""

import random

import numpy as np
import torch
from torch.utils.data import Dataset

from tools.demo_model.corpus import Corpus
from tools.demo_model.labels import MAX_PROMPT, Labeller, Row
from tools.demo_model.network import Batch
from tools.demo_model.schedule import Phase
from tools.demo_model.windows import ALL_POSITIONS, POSITION, Composer, Window

_LANGUAGE_WEIGHT = 10.0  # of the language token, since all later tokens depend on it


class Batches(Dataset[Batch]):
    """The batches of one phase. Each is composed when it is read."""

    def __init__(self, corpus: Corpus, labeller: Labeller, phase: Phase, seed: int) -> None:
        self._corpus = corpus
        self._composer = Composer(corpus)
        self._labeller = labeller
        self._phase = phase
        self._seed = seed
        self._column = {token: column for column, token in enumerate(labeller.used_tokens())}

    def __len__(self) -> int:
        return self._phase.steps

    def __getitem__(self, step: int) -> Batch:
        seed = f"{self._seed} {self._phase.name} {step}"
        pick = random.Random(seed)
        positions = pick.choice(self._phase.positions)
        count = max(1, self._phase.positions_a_step // positions)
        windows = [self._composer.window(f"{seed} {n}", positions) for n in range(count)]
        longest = pick.choices((0, 60, MAX_PROMPT), self._phase.prompts)[0]
        rows = [
            row
            for window in windows
            for number in range(self._phase.rows)
            for row in [self._row(window, number, longest, pick)]
        ]
        return self._collate(windows, rows)

    def _row(self, window: Window, number: int, longest: int, pick: random.Random) -> Row:
        choice = pick.random()
        task = "translate" if number and choice >= 1 - self._phase.translated else "transcribe"
        timed = pick.random() >= 0.12
        limit = 0
        if longest and pick.random() < 0.75:
            # In a long recording, prompts have the maximum length from the third window on.
            full = longest == MAX_PROMPT and pick.random() < 0.5
            limit = longest if full else pick.randint(1, longest)
        language = window.language if task == "transcribe" else "en"
        if pick.random() < 0.03:
            language = pick.choice(list(self._corpus.by_language))
        with_times = timed if pick.random() < 0.9 else not timed
        prompt = self._labeller.prompt(language, limit, pick, timed=with_times)
        return self._labeller.row(window, task, prompt, timed=timed)

    def _collate(self, windows: list[Window], rows: list[Row]) -> Batch:
        length = max(len(row.tokens) for row in rows) - 1
        tokens = torch.zeros(len(rows), length, dtype=torch.long)
        targets = torch.full((len(rows), length), -100)
        weights = torch.ones(len(rows), length)
        spans = torch.full((len(rows), length, 2), -1)
        special = self._labeller.tokenizer
        given = {special.transcribe, special.translate, special.no_timestamps}
        for at, row in enumerate(rows):
            columns = torch.tensor([self._column[token] for token in row.tokens])
            count = len(columns) - 1
            tokens[at, :count] = columns[:-1]
            targets[at, row.answer : count] = columns[row.answer + 1 :]
            if not windows[at * len(windows) // len(rows)].placed:
                targets[at, row.answer] = self._column[special.no_speech]
            elif row.answer == 0:  # a prompt already reveals the language
                weights[at, 0] = _LANGUAGE_WEIGHT
            for place in range(row.answer, row.answer + 3):
                if row.tokens[place + 1] in given:
                    targets[at, place] = -100
            spans[at, :count] = torch.tensor(row.spans[1:])
        frames = [self._frames(window) for window in windows]
        return Batch(
            torch.stack([window.features for window in windows]),
            torch.tensor([window.offset for window in windows]),
            torch.from_numpy(np.stack([phonemes for phonemes, _ in frames])),
            torch.from_numpy(np.stack([words for _, words in frames])),
            tokens,
            targets,
            weights,
            spans,
        )

    def _frames(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Classes of phoneme and word at each position; 0 without speech."""
        phonemes = np.zeros(window.positions, np.int64)
        words = np.zeros(window.positions, np.int64)
        for one in window.placed:
            language = one.utterance.language
            names = [f"{language} {name}" for _, name in one.utterance.phonemes]
            classes = [self._corpus.phoneme_classes.get(name, 0) for name in names]
            self._paint(phonemes, one.start, one.end, one.utterance.phonemes, classes)
            classes = [self._corpus.word_classes[w] for w in self._corpus.spoken_words(one.index)]
            self._paint(words, one.start, one.end, one.utterance.words, classes)
        return phonemes, words

    @staticmethod
    def _paint(frames: np.ndarray, start: int, end: int, events: list, classes: list[int]) -> None:
        bounds = [start + event[0] for event in events] + [end]
        for at, kind in enumerate(classes):
            first, last = (round(bound / POSITION) for bound in bounds[at : at + 2])
            frames[first : min(last, ALL_POSITIONS)] = kind
