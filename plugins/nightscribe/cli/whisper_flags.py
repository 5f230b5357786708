"""The flags of the `whisper` command: names, defaults, and the options that they stand for."""

from __future__ import annotations

import argparse
import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from nightscribe.export.formats import FORMATS, WordOptions
from nightscribe.languages import LANGUAGES, OTHER_NAMES
from nightscribe.whisper.options import TASKS, Options

__all__ = ["add_flags", "options_of", "word_options_of"]

_DEFAULTS = Options()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags. They accept the values that the `whisper` command accepts."""
    parser.add_argument(
        "audio",
        nargs="+",
        metavar="FILE",
        help="audio or video file; - is standard input; an http(s) URL",
    )
    _add_model_and_output(parser)
    _add_decoding(parser)
    _add_fallback(parser)
    _add_words_and_subtitles(parser)
    _add_computation(parser)


def _add_model_and_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("model, task and output").add_argument
    add(
        "--model",
        default="turbo",
        metavar="NAME",
        help="official name, path of a checkpoint, or demo (default: %(default)s)",
    )
    add(
        "--model_dir",
        default=None,
        metavar="DIR",
        help="folder of the checkpoints (default: NIGHTSCRIBE_MODEL_DIR, else openai-whisper's "
        "cache folder)",
    )
    add(
        "--device",
        default=None,
        help="cpu, cuda, cuda:1 … (default: NIGHTSCRIBE_DEVICE, else a GPU if torch finds one)",
    )
    add(
        "--task",
        default="transcribe",
        choices=[*TASKS],
        help="transcribe, or translate into English (default: %(default)s)",
    )
    add(
        "--language",
        default=None,
        choices=sorted(LANGUAGES) + sorted(n.title() for n in [*LANGUAGES.values(), *OTHER_NAMES]),
        metavar="LANGUAGE",
        help="spoken language, as a code or an English name (default: detected)",
    )
    add(
        "--output_dir",
        "-o",
        default=".",
        metavar="DIR",
        help="folder of the output files (default: the working folder)",
    )
    add(
        "--output_format",
        "-f",
        default="all",
        choices=[*FORMATS, "all"],
        help="format of the output files (default: %(default)s)",
    )
    add(
        "--verbose",
        type=_switch,
        default=True,
        metavar="BOOL",
        help="print each segment when it is decoded (default: %(default)s)",
    )


def _add_decoding(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("decoding").add_argument
    add(
        "--temperature",
        type=float,
        default=0,
        metavar="T",
        help="sampling temperature; 0 is greedy decoding or beam search (default: %(default)s)",
    )
    add(
        "--best_of",
        type=_optional(int),
        default=5,
        metavar="N",
        help="candidates at temperatures above 0 (default: %(default)s)",
    )
    add(
        "--beam_size",
        type=_optional(int),
        default=5,
        metavar="N",
        help="beams at temperature 0; None is greedy decoding (default: %(default)s)",
    )
    add(
        "--patience",
        type=float,
        default=None,
        metavar="X",
        help="beam search ends after beam_size × patience candidates (default: 1)",
    )
    add(
        "--length_penalty",
        type=float,
        default=None,
        metavar="X",
        help="exponent of the length penalty, 0 to 1 (default: scores are divided by the length)",
    )
    add(
        "--suppress_tokens",
        default="-1",
        metavar="IDS",
        help="ids of tokens that are never sampled, separated by commas; -1 is most symbols "
        "(default: %(default)s)",
    )
    add("--initial_prompt", default=None, metavar="TEXT", help="prompt of the first window")
    add(
        "--carry_initial_prompt",
        type=_switch,
        default=False,
        metavar="BOOL",
        help="prepend the initial prompt in every window (default: %(default)s)",
    )
    add(
        "--condition_on_previous_text",
        type=_switch,
        default=True,
        metavar="BOOL",
        help="prompt each window with the text before it (default: %(default)s)",
    )
    add(
        "--clip_timestamps",
        default="0",
        metavar="SECONDS",
        help="transcribe only these clips: start,end,start,end,… The last end may be missing "
        "(default: %(default)s, the whole file)",
    )


def _add_fallback(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "fallback",
        "A window that fails a threshold is decoded again at a higher temperature.\n"
        "The value None turns a threshold off.",
    ).add_argument
    add(
        "--temperature_increment_on_fallback",
        type=_optional(float),
        default=0.2,
        metavar="T",
        help="added to the temperature at each fallback; None is no fallback "
        "(default: %(default)s)",
    )
    add(
        "--compression_ratio_threshold",
        type=_optional(float),
        default=2.4,
        metavar="X",
        help="a window fails if its text compresses better than this (default: %(default)s)",
    )
    add(
        "--logprob_threshold",
        type=_optional(float),
        default=-1.0,
        metavar="X",
        help="a window fails if its average log-probability is lower (default: %(default)s)",
    )
    add(
        "--no_speech_threshold",
        type=_optional(float),
        default=0.6,
        metavar="P",
        help="a window is silent, and not decoded again, if the probability of no speech is higher "
        "and its log-probability fails (default: %(default)s)",
    )


def _add_words_and_subtitles(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "words and subtitles", "All but the first need --word_timestamps True."
    ).add_argument
    add(
        "--word_timestamps",
        type=_switch,
        default=False,
        metavar="BOOL",
        help="compute start and end of every word (default: %(default)s)",
    )
    add(
        "--prepend_punctuations",
        default=_DEFAULTS.prepend_punctuations,
        metavar="CHARACTERS",
        help="punctuation that is joined to the next word",
    )
    add(
        "--append_punctuations",
        default=_DEFAULTS.append_punctuations,
        metavar="CHARACTERS",
        help="punctuation that is joined to the previous word",
    )
    add(
        "--highlight_words",
        type=_switch,
        default=False,
        metavar="BOOL",
        help="underline each word in srt and vtt while it is spoken (default: %(default)s)",
    )
    add(
        "--max_line_width",
        type=_optional(int),
        default=None,
        metavar="N",
        help="characters per line (default: no limit)",
    )
    add(
        "--max_line_count",
        type=_optional(int),
        default=None,
        metavar="N",
        help="lines per subtitle; needs --max_line_width (default: no limit)",
    )
    add(
        "--max_words_per_line",
        type=_optional(int),
        default=None,
        metavar="N",
        help="words per subtitle; no effect with --max_line_width (default: no limit)",
    )
    add(
        "--hallucination_silence_threshold",
        type=_optional(float),
        default=None,
        metavar="SECONDS",
        help="skip silence that is longer than this around a likely hallucination (default: off)",
    )
    add(
        "--speech_only",
        type=_switch,
        default=_DEFAULTS.speech_only,
        metavar="BOOL",
        help="skip 2 s or more in which a voice detector hears nobody; needs the extra vad, and is "
        "not a flag of whisper (default: %(default)s)",
    )


def _add_computation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("computation").add_argument
    add(
        "--fp16",
        type=_switch,
        default=True,
        metavar="BOOL",
        help="float16 on a GPU (default: %(default)s)",
    )
    add(
        "--threads",
        type=_optional(int),
        default=0,
        metavar="N",
        help="CPU threads; 0 is torch's choice (default: NIGHTSCRIBE_THREADS)",
    )


def options_of(arguments: argparse.Namespace) -> Options:
    """Decoding options that the flags give. Exits with a usage error if a value is invalid."""
    import numpy as np

    given = vars(arguments)
    names = ({field.name for field in dataclasses.fields(Options)} & given.keys()) - {"temperature"}
    values: dict[str, Any] = {name: given[name] for name in names}
    if arguments.model.endswith(".en") and arguments.language not in {"en", "English"}:
        if arguments.language is not None:
            warnings.warn(
                f"{arguments.model} knows English only: {arguments.language!r} is ignored",
                stacklevel=2,
            )
        values["language"] = "en"
    step = arguments.temperature_increment_on_fallback
    if step is None:
        temperatures: Sequence[float] = [arguments.temperature]
    else:
        if step <= 0:
            arguments.parser.error(
                f"--temperature_increment_on_fallback {step}: must be above 0, or None"
            )
        # The same floating-point numbers as the whisper command's: 0.6 is 0.6000000000000001.
        temperatures = np.arange(arguments.temperature, 1.0 + 1e-6, step).tolist()
    options = Options(temperature=tuple(temperatures), **values)
    if not temperatures:
        arguments.parser.error(
            "--temperature: above 1, it needs --temperature_increment_on_fallback None"
        )
    if mistake := options.mistake():
        arguments.parser.error(f"--{mistake}")
    return options


def word_options_of(arguments: argparse.Namespace) -> WordOptions:
    """Subtitle options that the flags give. Exits with a usage error if they need word times."""
    names = ("highlight_words", "max_line_count", "max_line_width", "max_words_per_line")
    for name in names:
        if getattr(arguments, name) and not arguments.word_timestamps:
            arguments.parser.error(f"--{name} requires --word_timestamps True")
    if arguments.max_line_count and not arguments.max_line_width:
        warnings.warn("--max_line_count has no effect without --max_line_width", stacklevel=2)
    if arguments.max_words_per_line and arguments.max_line_width:
        warnings.warn("--max_words_per_line has no effect with --max_line_width", stacklevel=2)
    return WordOptions(**{name: getattr(arguments, name) for name in names})


def _switch(text: str) -> bool:
    if text in {"True", "False"}:
        return text == "True"
    raise argparse.ArgumentTypeError(f"expected True or False, got {text!r}")


def _optional(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser for values of `kind` that also accepts `None`."""

    def parse(text: str) -> Any:
        return None if text == "None" else kind(text)

    parse.__name__ = kind.__name__  # argparse's error message names the type
    return parse
