"""Transcribe audio files; takes the flags of the `whisper` command and writes the same files.

examples:
  nightscribe transcribe talk.mp3 --model turbo
  nightscribe transcribe *.flac --language Spanish --task translate --output_format srt
  nightscribe transcribe talk.mp3 --model demo --word_timestamps True --max_line_width 42
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from nightscribe.errors import ConfigurationError, Rejected
from nightscribe.export import formats
from nightscribe.languages import LANGUAGES, OTHER_NAMES
from nightscribe.recordings import content_id
from nightscribe.settings import EngineName, Settings
from nightscribe.whisper.devices import PRECISIONS
from nightscribe.whisper.official import can_translate
from nightscribe.whisper.options import TASKS, Options

_DEFAULTS = Options()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The `whisper` command's flags, with its names and defaults."""
    add = parser.add_argument
    add("audio", nargs="+", metavar="FILE", help="audio or video files")
    add("--model", default="turbo", help="official name, path to a checkpoint, or demo")
    add("--model_dir", default=None, help="where checkpoints are cached (~/.cache/whisper)")
    add("--device", default=None, help="cpu, cuda, cuda:1 …; default: CUDA if there is one")
    add("--output_dir", "-o", default=".", help="folder for the results")
    add(
        "--output_format",
        "-f",
        default="all",
        choices=[*formats.FORMATS, "all"],
        help="format of the results; default: all of them",
    )
    add("--verbose", type=_switch, default=True, help="print segments as they come")
    add("--task", default="transcribe", choices=[*TASKS], help="translate: into English")
    add(
        "--language",
        default=None,
        choices=sorted(LANGUAGES) + sorted(n.title() for n in [*LANGUAGES.values(), *OTHER_NAMES]),
        metavar="LANGUAGE",
        help="language spoken, as a code or an English name; default: detected",
    )
    add("--temperature", type=float, default=0, help="of sampling; 0 is greedy or beam search")
    add("--best_of", type=_optional(int), default=5, help="candidates when sampling")
    add("--beam_size", type=_optional(int), default=5, help="beams at temperature 0")
    add("--patience", type=float, default=None, help="of beam search")
    add("--length_penalty", type=float, default=None, help="of beam search")
    add("--suppress_tokens", default="-1", help="token ids never to write, by commas; -1: symbols")
    add("--initial_prompt", default=None, help="text that the first window continues")
    add("--carry_initial_prompt", type=_switch, default=False, help="… and every window")
    add(
        "--condition_on_previous_text",
        type=_switch,
        default=True,
        help="each window continues the text before it",
    )
    add("--fp16", type=_switch, default=True, help="half precision on a GPU")
    add(
        "--precision",
        default=None,
        choices=PRECISIONS,
        help="of matrix products; default: float16 on a GPU, float32 on a CPU. bfloat16 needs "
        "--engine batched",
    )
    add(
        "--temperature_increment_on_fallback",
        type=_optional(float),
        default=0.2,
        help="step of the temperature when a window's decoding fails the thresholds",
    )
    add("--compression_ratio_threshold", type=_optional(float), default=2.4, help="above: failed")
    add("--logprob_threshold", type=_optional(float), default=-1.0, help="below: failed")
    add(
        "--no_speech_threshold",
        type=_optional(float),
        default=0.6,
        help="failed and above: silence",
    )
    add("--word_timestamps", type=_switch, default=False, help="times of words")
    add(
        "--prepend_punctuations",
        default=_DEFAULTS.prepend_punctuations,
        help="punctuation that belongs to the next word",
    )
    add(
        "--append_punctuations",
        default=_DEFAULTS.append_punctuations,
        help="punctuation that belongs to the word before",
    )
    add("--highlight_words", type=_switch, default=False, help="underline words in srt and vtt")
    add("--max_line_width", type=_optional(int), default=None, help="characters in a line")
    add("--max_line_count", type=_optional(int), default=None, help="lines in a subtitle")
    add("--max_words_per_line", type=_optional(int), default=None, help="words in a line")
    add("--threads", type=_optional(int), default=0, help="CPU threads; 0: torch's choice")
    add("--clip_timestamps", default="0", help="start,end,start,end,… in seconds")
    add(
        "--hallucination_silence_threshold",
        type=_optional(float),
        default=None,
        help="with word timestamps: skip silence longer than this around a hallucination",
    )
    add(
        "--engine",
        default="reference",
        choices=get_args(EngineName),
        help="reference: openai-whisper itself, the same files byte for byte; batched: the same "
        "texts and times, many recordings at a time",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Transcribe every file; 1 if one could not be."""
    word_options = _word_options(arguments)
    options = _options(arguments)
    if arguments.task == "translate" and not can_translate(arguments.model):
        warnings.warn(f"{arguments.model} was not trained to translate", stacklevel=1)
    _refuse_collisions(arguments.audio)
    output = Path(arguments.output_dir)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--output_dir {output}: {error.strerror}") from error
    wanted = formats.FORMATS if arguments.output_format == "all" else (arguments.output_format,)

    from nightscribe.whisper.contract import Failure, Job, Request
    from nightscribe.whisper.engines import engine_named, model_loader

    settings = _settings(arguments)
    engine = engine_named(arguments.engine, slots=settings.slots)
    model = model_loader(settings)(arguments.model)
    if mistake := options.mistake_for(model.network.dims.n_vocab):
        arguments.parser.error(f"--{mistake}")
    failed = 0

    def report(path: str, reason: str) -> None:
        nonlocal failed
        failed += 1
        print(f"Skipping {path}: {reason}", file=sys.stderr)

    paths: dict[str, list[str]] = {}

    def requests() -> Iterator[Request]:
        for path in arguments.audio:
            try:
                with open(path, "rb") as file:
                    recording_id = content_id(file)
                    paths.setdefault(recording_id, []).append(path)
                    yield Request(recording_id, file, (Job(arguments.task, options),))
            except Rejected as rejected:
                report(path, str(rejected))
            except OSError as error:
                report(path, error.strerror or str(error))

    for result in engine(requests(), model, verbose=arguments.verbose):
        path = paths[result.recording_id].pop(0)
        if isinstance(result, Failure):
            report(path, f"{result.reason.value}: {result.detail}")
            continue
        if result.warning:
            print(f"{path}: {result.warning}", file=sys.stderr)
        written = {"text": result.text, "segments": result.segments, "language": result.language}
        try:
            for fmt in wanted:
                formats.write(written, fmt, _stem(path), output, word_options)
        except OSError as error:
            report(path, f"{_stem(path)}.{fmt} could not be written: {error.strerror}")
    return 1 if failed else 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """The environment's settings, but for what the flags say."""
    given: dict[str, Any] = {
        "device": arguments.device,
        "engine": arguments.engine,
        "precision": _precision(arguments),
        "model_dir": arguments.model_dir,
        # As for whisper, no number of threads below 1 is a choice.
        "threads": arguments.threads if (arguments.threads or 0) > 0 else None,
    }
    return Settings(**{name: value for name, value in given.items() if value is not None})


def _precision(arguments: argparse.Namespace) -> str:
    """As for whisper, of the flags alone."""
    wanted: str | None = arguments.precision
    if not arguments.fp16 and wanted not in {None, "float32"}:
        arguments.parser.error(f"--fp16 False and --precision {wanted}: give one of them")
    if arguments.engine == "reference" and wanted == "bfloat16":
        arguments.parser.error("--precision bfloat16: needs --engine batched")
    return wanted or ("auto" if arguments.fp16 else "float32")


def _options(arguments: argparse.Namespace) -> Options:
    import numpy as np

    given = vars(arguments)
    names = ({field.name for field in dataclasses.fields(Options)} & given.keys()) - {"temperature"}
    chosen: dict[str, Any] = {name: given[name] for name in names}
    if arguments.model.endswith(".en") and arguments.language not in {"en", "English"}:
        if arguments.language is not None:
            warnings.warn(
                f"{arguments.model} knows English only: {arguments.language!r} is ignored",
                stacklevel=2,
            )
        chosen["language"] = "en"
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
    options = Options(temperature=tuple(temperatures), **chosen)
    if not temperatures:
        arguments.parser.error(
            "--temperature: above 1, it needs --temperature_increment_on_fallback None"
        )
    if mistake := options.mistake():
        arguments.parser.error(f"--{mistake}")
    return options


def _word_options(arguments: argparse.Namespace) -> formats.WordOptions:
    names = ("highlight_words", "max_line_count", "max_line_width", "max_words_per_line")
    for name in names:
        if getattr(arguments, name) and not arguments.word_timestamps:
            arguments.parser.error(f"--{name} requires --word_timestamps True")
    if arguments.max_line_count and not arguments.max_line_width:
        warnings.warn("--max_line_count has no effect without --max_line_width", stacklevel=2)
    if arguments.max_words_per_line and arguments.max_line_width:
        warnings.warn("--max_words_per_line has no effect with --max_line_width", stacklevel=2)
    return formats.WordOptions(**{name: getattr(arguments, name) for name in names})


def _refuse_collisions(paths: Sequence[str]) -> None:
    """Results are named by the file's stem: two of the same would overwrite each other."""
    seen: dict[str, str] = {}
    for path in paths:
        stem = _stem(path)
        if seen.setdefault(stem, path) != path:
            raise ConfigurationError(
                f"{seen[stem]} and {path} would both be written to {stem}.*: give them different "
                "names, or transcribe them into different folders (--output_dir)"
            )


def _stem(path: str) -> str:
    """A file's name without its suffix, as the whisper command cuts it: `talk.` is `talk`."""
    return os.path.splitext(os.path.basename(path))[0]


def _switch(text: str) -> bool:
    if text in {"True", "False"}:
        return text == "True"
    raise argparse.ArgumentTypeError(f"expected True or False, got {text!r}")


def _optional(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        return None if text == "None" else kind(text)

    parse.__name__ = kind.__name__  # argparse names it when the value is not one
    return parse
