"""What is learnt in which order, for how long."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Phase:
    """A stretch of training on one kind of batch, with a cosine from one learning rate to another.

    `prompts` are the odds of a batch whose rows have no prompt, short ones (to 60 tokens) and long
    ones (to 223, the reference's limit). `translated` is the share of translations among all rows
    of a window but the first, which is always a transcript.
    """

    name: str
    steps: int
    positions: tuple[int, ...]
    positions_a_step: int
    rows: int
    prompts: tuple[float, float, float]
    rates: tuple[float, float]
    decoder_only: bool = False
    translated: float = 0.55


PHASES = (
    # Sounds and words, on windows that hold one or two sentences.
    Phase("words", 1300, (160, 200, 250), 3600, 2, (0.6, 0.3, 0.1), (1.5e-3, 1.2e-3)),
    Phase("sentences", 1400, (200, 300, 450), 3600, 2, (0.3, 0.4, 0.3), (1.2e-3, 8e-4)),
    # The windows that transcription really has.
    Phase("windows", 1500, (1500,), 6000, 2, (0.3, 0.25, 0.45), (8e-4, 5e-5)),
    # The same once more from a higher rate, as with warm restarts (Loshchilov and Hutter, 2017):
    # after one descent the many voices are not yet told apart.
    Phase("refine", 1700, (1500,), 6000, 2, (0.3, 0.25, 0.45), (6e-4, 3e-5)),
    # And once more from a lower one, for the translations, which are learnt last.
    Phase("polish", 1200, (1500,), 6000, 2, (0.3, 0.25, 0.45), (3e-4, 1e-5)),
    # A third time, mostly translating: by now Chinese is heard without a mistake, but its words are
    # still put into the wrong English ones.
    Phase("translations", 1200, (1500,), 6000, 2, (0.3, 0.25, 0.45), (3e-4, 1e-5), translated=0.85),
    # Prompts and long answers, on an encoder that stays as it is.
    Phase("answers", 150, (1500,), 6000, 4, (0.2, 0.2, 0.6), (3e-4, 1e-5), decoder_only=True),
)


def scaled(phase: Phase, share: float) -> Phase:
    """The phase with a share of its steps, one at least."""
    return replace(phase, steps=max(1, round(phase.steps * share)))
