"""Transcribe files: takes the flags of the `whisper` command and writes the same files.

It needs no lake. To transcribe archives into a lake, use `nightscribe run`. A file may be a pipe,
`-` (standard input) or an http(s) URL.

examples:
  nightscribe transcribe talk.mp3 --model turbo
  nightscribe transcribe *.flac --language Spanish --task translate --output_format srt
  nightscribe transcribe talk.mp3 --model demo --word_timestamps True --max_line_width 42
  nightscribe transcribe https://example.org/talk.mp3 --model turbo
  nightscribe transcribe - --output_format srt
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any, get_args

from nightscribe.cli.inputs import Inputs, require_distinct_stems, shown, stem_of
from nightscribe.cli.whisper_flags import add_flags, options_of, word_options_of
from nightscribe.errors import ConfigurationError
from nightscribe.export import formats
from nightscribe.flags import Parser
from nightscribe.settings import EngineName, Settings
from nightscribe.whisper.devices import PRECISIONS
from nightscribe.whisper.official import can_translate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the `whisper` command, and the engine and its precision."""
    if isinstance(parser, Parser):
        parser.let_the_last_count()  # as the `whisper` command does
    parser.usage = "%(prog)s [FLAG VALUE ...] FILE|-|URL ..."
    add_flags(parser)
    group = parser.add_argument_group("not in the `whisper` command")
    group.add_argument(
        "--engine",
        default="reference",
        choices=get_args(EngineName),
        help="reference: openai-whisper itself, the same files byte for byte; batched: many "
        "windows at a time, in float32 with the same texts and times (default: %(default)s)",
    )
    group.add_argument(
        "--precision",
        default=None,
        choices=PRECISIONS,
        help="precision of matrix products; bfloat16 needs --engine batched (default: float16 on a "
        "GPU, float32 on a CPU)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Transcribe every input; returns 1 if one could not be transcribed or written."""
    word_options = word_options_of(arguments)
    options = options_of(arguments)
    if arguments.task == "translate" and not can_translate(arguments.model):
        warnings.warn(f"{arguments.model} was not trained to translate", stacklevel=1)
    require_distinct_stems(arguments.audio)
    folder = _output_folder(arguments.output_dir)
    chosen = formats.FORMATS if arguments.output_format == "all" else (arguments.output_format,)

    from nightscribe.whisper.contract import Failure, Job
    from nightscribe.whisper.engines import engine_named, model_loader

    settings = _settings(arguments)
    engine = engine_named(arguments.engine, slots=settings.slots)
    model = model_loader(settings)(arguments.model)
    if mistake := options.mistake_for(model.network.dims.n_vocab):
        arguments.parser.error(f"--{mistake}")
    inputs = Inputs(arguments.audio, settings.limits)
    requests = inputs.requests(Job(arguments.task, options))
    for result in engine(requests, model, verbose=arguments.verbose):
        name = inputs.name_of(result.recording_id)
        if isinstance(result, Failure):
            inputs.skip(name, f"{result.reason.value}: {result.detail}")
            continue
        if result.warning:
            print(f"{shown(name)}: {result.warning}", file=sys.stderr)
        try:
            for fmt in chosen:
                formats.write(result, fmt, stem_of(name), folder, word_options)
        except OSError as error:
            inputs.skip(name, f"{stem_of(name)}.{fmt} cannot be written: {error.strerror}")
    return 1 if inputs.skipped else 0


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the environment, overridden by the flags."""
    overrides: dict[str, Any] = {
        "device": arguments.device,
        "engine": arguments.engine,
        "precision": _precision(arguments),
        "model_dir": arguments.model_dir,
        # As in whisper, 0, negative numbers and None leave the choice open.
        "threads": arguments.threads if (arguments.threads or 0) > 0 else None,
    }
    return Settings(**{name: value for name, value in overrides.items() if value is not None})


def _precision(arguments: argparse.Namespace) -> str:
    """The precision that the flags give; as in whisper, the environment does not change it."""
    precision: str | None = arguments.precision
    if not arguments.fp16 and precision not in {None, "float32"}:
        arguments.parser.error(f"--fp16 False and --precision {precision}: give one of them")
    if arguments.engine == "reference" and precision == "bfloat16":
        arguments.parser.error("--precision bfloat16: needs --engine batched")
    return precision or ("auto" if arguments.fp16 else "float32")


def _output_folder(path: str) -> Path:
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--output_dir {folder}: {error.strerror}") from error
    return folder
