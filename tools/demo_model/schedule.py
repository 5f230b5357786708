"""The phases of the training: their data, learning rates and lengths."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Phase:
    """A phase of the training, on one kind of batch.

    Attributes:
        positions: lengths of its windows, 50 per second
        positions_a_step: positions of one batch
        rows: rows per window
        prompts: weights of batches without prompts, with short ones (up to 60 tokens) and with long
            ones (up to 223, the reference's limit)
        rates: first and last learning rate, of a cosine schedule
        decoder_only: whether the encoder stays as it is
        translated: share of translations among the rows of a window after the first, which is
            always a transcript
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
    # Phonemes and words, on windows with one or two sentences.
    Phase("words", 1300, (160, 200, 250), 3600, 2, (0.6, 0.3, 0.1), (1.5e-3, 1.2e-3)),
    Phase("sentences", 1400, (200, 300, 450), 3600, 2, (0.3, 0.4, 0.3), (1.2e-3, 8e-4)),
    # Windows of 30 s, as in transcription.
    Phase("windows", 1500, (1500,), 6000, 2, (0.3, 0.25, 0.45), (8e-4, 5e-5)),
    # Again from a higher rate, as with warm restarts (Loshchilov and Hutter, 2017): after the first
    # descent, the network still confuses words in some of the many voices.
    Phase("refine", 1700, (1500,), 6000, 2, (0.3, 0.25, 0.45), (6e-4, 3e-5)),
    # Again from a lower rate, for the translations, which are learnt last.
    Phase("polish", 1200, (1500,), 6000, 2, (0.3, 0.25, 0.45), (3e-4, 1e-5)),
    # Again, with mostly translations: Chinese is transcribed without errors by now, but some words
    # are translated wrongly.
    Phase("translations", 1200, (1500,), 6000, 2, (0.3, 0.25, 0.45), (3e-4, 1e-5), translated=0.85),
    # Prompts and long token sequences, with a fixed encoder.
    Phase("answers", 150, (1500,), 6000, 4, (0.2, 0.2, 0.6), (3e-4, 1e-5), decoder_only=True),
)


def scaled(phase: Phase, share: float) -> Phase:
    """The phase with a share of its steps, but at least one."""
    return replace(phase, steps=max(1, round(phase.steps * share)))
