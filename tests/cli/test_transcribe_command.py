"""`nightscribe transcribe` takes the `whisper` command's flags and writes the same files."""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import json
import math
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
from whisper.timing import dtw

from nightscribe import cli
from nightscribe.audio.decode import decode
from nightscribe.cli import transcribe as our_command
from nightscribe.export.formats import FORMATS

whisper_module = importlib.import_module("whisper.transcribe")  # `whisper.transcribe` is a function

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="the whisper command runs ffmpeg, which is not here"
)
pytestmark = pytest.mark.filterwarnings("ignore:FP16 is not supported on CPU")

GREEDY = "--beam_size None --best_of None"  # beams take five times as long

SOUND = {".flac", ".mp3", ".ogg", ".wav", ".m4a"}

# Of a window; they move in the last digits when one sample in a million moves by one step.
MEASURED = ("avg_logprob", "compression_ratio", "no_speech_prob")
TOLERANCE = 1e-3

# What takes long is tried on one long recording, on every format of one language, and on every
# format once more among the others.
LEFT_OUT = {
    *("long-fr.ogg", "long-zh.m4a", "en-06.wav"),
    *(f"zh-{clip}" for clip in ("02.mp3", "03.ogg", "05.m4a", "06.wav")),
    *(f"es-{clip}" for clip in ("02.mp3", "03.ogg", "04.wav", "05.m4a", "06.wav")),
    *(f"de-{clip}" for clip in ("01.flac", "02.mp3", "04.wav", "05.m4a", "06.wav")),
    *(f"fr-{clip}" for clip in ("01.flac", "02.mp3", "03.ogg", "04.wav", "06.wav")),
    *(f"ru-{clip}" for clip in ("01.flac", "02.mp3", "03.ogg", "04.wav", "05.m4a")),
}
SUFFIXES = {".flac", ".mp3", ".ogg", ".wav", ".m4a"}


@pytest.fixture(scope="module", autouse=True)
def words_are_timed(one_thread: None) -> None:
    """Word timestamps start Numba's threads, which once sets the number of torch's anew.

    Sums in another number of threads differ in the last digit, so that happens up front.
    """
    dtw(torch.zeros(2, 2))
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def speech(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings of the sample archive, those inside its containers too."""
    folder = tmp_path_factory.mktemp("speech")
    samples = repository / "samples" / "archive"
    with zipfile.ZipFile(samples / "spanish.zip") as spanish:
        spanish.extractall(folder)
    with tarfile.open(samples / "french.tar.gz") as french:
        french.extractall(folder, filter="data")
    plain = (samples / place for place in ("english", "german", "chinese", "long"))
    found = [path for place in (folder / "clips", *plain) for path in place.iterdir()]
    return {path.name: path for path in sorted(found) if path.suffix in SOUND}


@pytest.fixture(scope="module")
def model(demo_checkpoint: Path) -> tuple[str, ...]:
    """Flags that choose the demo model by its path, on the CPU."""
    return ("--model", str(demo_checkpoint), "--device", "cpu")


load_once = functools.cache(whisper.load_model)
"""Loading takes as long as a short recording; transcription does not change a model."""


def run_whisper(arguments: Sequence[object], *, our_audio: bool = False) -> None:
    """The whisper command, in this process.

    Where a window fails the thresholds, whisper samples, and its command leaves the seed to
    chance; here it gets the seed that the reference engine gives the same file. `our_audio`
    has it hear the samples that Nightscribe decodes, in place of those of its ffmpeg.
    """

    def seeded(network: Any, path: str, **options: Any) -> dict[str, Any]:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        torch.manual_seed(int(digest[:15], 16))
        heard = decode(path).samples if our_audio else path
        result: dict[str, Any] = whisper.transcribe(network, heard, **options)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["whisper", *map(str, arguments)])
        patch.setattr(whisper_module, "transcribe", seeded)
        patch.setattr(whisper, "load_model", load_once)
        whisper_module.cli()


def run_ours(*arguments: object) -> int:
    """`nightscribe transcribe`, in this process; gives its exit code."""
    return cli.main(["transcribe", *map(str, arguments)])


def contents(folder: Path) -> dict[str, bytes]:
    """Name → content of every file in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def all_formats(names: Sequence[str]) -> set[str]:
    """The files that a command must write for recordings of these names."""
    return {f"{os.path.splitext(name)[0]}.{fmt}" for name in names for fmt in FORMATS}


def difference(ours: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> list[str]:
    """Names of files that only one has, or that are not the same byte for byte."""
    return sorted(name for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))


def assert_nearly_same(ours: Any, theirs: Any, place: str) -> None:
    """Equal JSON, but for the measures of windows, which may differ by `TOLERANCE`."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert list(ours) == list(theirs), place
        for key, value in ours.items():
            if key in MEASURED:
                assert math.isclose(value, theirs[key], abs_tol=TOLERANCE), f"{place}/{key}"
            else:
                assert_nearly_same(value, theirs[key], f"{place}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        assert len(ours) == len(theirs), place
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_nearly_same(mine, other, f"{place}/{index}")
    else:
        assert ours == theirs, place


# The same files


@needs_ffmpeg
def test_samples_give_the_files_of_the_whisper_command(
    speech: dict[str, Path], model: tuple[str, ...], tmp_path: Path
) -> None:
    speech = {name: path for name, path in speech.items() if name not in LEFT_OUT}
    assert {Path(name).suffix for name in speech} == SUFFIXES
    arguments = [*speech.values(), *model, *GREEDY.split(), "--verbose", "False", "--output_dir"]
    run_whisper([*arguments, tmp_path / "theirs"])
    assert run_ours(*arguments, tmp_path / "ours") == 0
    ours, theirs = contents(tmp_path / "ours"), contents(tmp_path / "theirs")
    assert set(ours) == set(theirs) == all_formats(list(speech))
    assert all(ours.values())

    # FFmpeg's releases differ in how they resample 16-bit PCM and decode AAC: docs/audio.md.
    other = [
        name
        for name, path in speech.items()
        if not np.array_equal(whisper.load_audio(str(path)), decode(path).samples)
    ]
    assert len(other) < len(speech) * 2 / 3, f"nearly nothing decodes the same: {other}"
    measures = {f"{Path(name).stem}.json" for name in other}
    assert set(difference(ours, theirs)) <= measures
    for name in measures:
        assert_nearly_same(json.loads(ours[name]), json.loads(theirs[name]), name)

    # Given the same samples, those are the same to the last digit, too.
    again = [speech[name] for name in other]
    if again:
        flags = [*model, *GREEDY.split(), "--verbose", "False", "--output_dir", tmp_path / "fed"]
        run_whisper([*again, *flags], our_audio=True)
        fed = contents(tmp_path / "fed")
        assert difference({name: ours[name] for name in fed}, fed) == []


CASES = {  # what to transcribe, and with which flags; beams unless greedy
    "default flags": ("en-01.flac de-02.mp3 fr-03.ogg", ""),
    "words": (
        "en-01.flac fr-02.mp3",
        "--word_timestamps True --max_line_width 30 --max_line_count 2 --highlight_words True",
    ),
    "words per line": (
        "es-03.ogg",
        f"--word_timestamps True --max_words_per_line 3 {GREEDY} "
        "--hallucination_silence_threshold 1.5",
    ),
    "language by name": ("de-02.mp3 en-01.flac", f"--language German {GREEDY}"),
    "language by code": ("fr-01.flac", f"--language fr {GREEDY}"),
    "translate": ("es-01.flac de-02.mp3", f"--task translate {GREEDY}"),
    "initial prompt": ("en-01.flac", f"--initial_prompt 'The doctor and the girl.' {GREEDY}"),
    "carried prompt over windows": (
        "long-fr.ogg",
        f"--initial_prompt Laura --carry_initial_prompt True --clip_timestamps 20,60 {GREEDY}",
    ),
    "windows that forget the text before": (
        "long-es.mp3",
        f"--condition_on_previous_text False --clip_timestamps 20,60 {GREEDY}",
    ),
    "no fallback": ("en-02.mp3", f"--temperature_increment_on_fallback None {GREEDY}"),
    "fallback to sampling": (
        "en-01.flac",
        "--temperature 0.6 --logprob_threshold 0 --best_of 2 --beam_size None",
    ),
    "clip": ("en-01.flac de-02.mp3", f"--clip_timestamps 0,2 {GREEDY}"),
    "thresholds": (
        "de-02.mp3",
        "--no_speech_threshold None --compression_ratio_threshold None --logprob_threshold None "
        f"--suppress_tokens '' {GREEDY}",
    ),
    "beams": ("fr-01.flac", "--beam_size 2 --patience 1.5 --length_penalty 0.5"),
    "one format": ("en-01.flac de-02.mp3", f"--output_format srt {GREEDY}"),
}


@needs_ffmpeg
@pytest.mark.parametrize("case", CASES)
def test_same_flags_give_the_same_files(
    case: str, speech: dict[str, Path], model: tuple[str, ...], tmp_path: Path
) -> None:
    names, flags = map(shlex.split, CASES[case])
    ours = files_like_whispers([speech[name] for name in names], [*model, *flags], tmp_path)
    if case == "one format":
        assert set(ours) == {"en-01.srt", "de-02.srt"}
    else:
        assert set(ours) == all_formats(names)


@needs_ffmpeg
@pytest.mark.parametrize("flags", ["", f"--temperature_increment_on_fallback None {GREEDY}"])
def test_a_real_voice_gives_the_same_files(
    flags: str, real_voice: Path, model: tuple[str, ...], tmp_path: Path
) -> None:
    """The demo checkpoint never heard one, so its windows fall back to sampling."""
    ours = files_like_whispers([real_voice], [*model, *flags.split()], tmp_path)
    assert set(ours) == all_formats([real_voice.name])


def files_like_whispers(
    recordings: Sequence[Path], flags: Sequence[str], folder: Path
) -> dict[str, bytes]:
    """Our command's files, which are those of the whisper command."""
    arguments = [*recordings, *flags, "--output_dir"]
    # What another FFmpeg does to the samples is the test's above; this one is about flags.
    run_whisper([*arguments, folder / "theirs"], our_audio=True)
    assert run_ours(*arguments, folder / "ours") == 0
    ours = contents(folder / "ours")
    assert difference(ours, contents(folder / "theirs")) == []
    return ours


@needs_ffmpeg
def test_a_model_named_as_english_only_gets_english(
    speech: dict[str, Path], demo_checkpoint: Path, tmp_path: Path
) -> None:
    model = tmp_path / "small.en"
    model.symlink_to(demo_checkpoint)
    arguments = [speech["en-04.wav"], "--model", model, "--device", "cpu", *GREEDY.split()]
    arguments += ["--language", "de", "--output_dir"]
    with pytest.warns(UserWarning, match="English"):
        run_whisper([*arguments, tmp_path / "theirs"])
    with pytest.warns(UserWarning, match="knows English only: 'de' is ignored"):
        assert run_ours(*arguments, tmp_path / "ours") == 0
    ours = contents(tmp_path / "ours")
    assert difference(ours, contents(tmp_path / "theirs")) == []
    assert json.loads(ours["en-04.json"])["language"] == "en"


@needs_ffmpeg
def test_files_are_named_as_the_whisper_command_names_them(
    speech: dict[str, Path], model: tuple[str, ...], tmp_path: Path
) -> None:
    talks = [tmp_path / name for name in ("one.v1.2.flac", "two.", "no suffix", ".hidden.flac")]
    for talk in talks:
        shutil.copyfile(speech["es-03.ogg"], talk)
    arguments = [*talks, *model, *GREEDY.split(), "-f", "txt", "-o"]
    run_whisper([*arguments, tmp_path / "theirs"])
    assert run_ours(*arguments, tmp_path / "ours") == 0
    ours = contents(tmp_path / "ours")
    assert set(ours) == {"one.v1.2.txt", "two.txt", "no suffix.txt", ".hidden.txt"}
    assert difference(ours, contents(tmp_path / "theirs")) == []


@needs_ffmpeg
def test_a_script_works_by_changing_one_word(
    speech: dict[str, Path], model: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copyfile(speech["en-04.wav"], tmp_path / "talk.wav")
    commands = Path(sys.executable).parent
    written = []
    for command in (["whisper"], ["nightscribe", "transcribe"]):
        program, *rest = [str(commands / command[0]), *command[1:]]
        arguments = [program, *rest, "talk.wav", *model, "--threads", "1"]
        done = subprocess.run(
            arguments, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Every day the farmer repairs" in done.stdout
        assert "Detected language: English" in done.stdout
        written.append({fmt: (tmp_path / f"talk.{fmt}").read_bytes() for fmt in FORMATS})
        for fmt in FORMATS:
            (tmp_path / f"talk.{fmt}").unlink()
        assert os.listdir(tmp_path) == ["talk.wav"]
    assert written[0] == written[1]


# The same flags


def whisper_parser() -> argparse.ArgumentParser:
    """The parser that the whisper command makes."""

    class Made(Exception):
        pass

    def keep(self: argparse.ArgumentParser, *arguments: Any, **options: Any) -> argparse.Namespace:
        raise Made(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", keep)
        with pytest.raises(Made) as made:
            whisper_module.cli()
    parser: argparse.ArgumentParser = made.value.args[0]
    return parser


def our_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    our_command.add_arguments(parser)
    return parser


def flags_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {action.dest: action for action in parser._actions if action.dest != "help"}


FLAGS = sorted(flags_of(whisper_parser()).keys() - {"audio"})


def test_every_flag_of_the_whisper_command_is_known() -> None:
    ours = flags_of(our_parser())
    assert len(FLAGS) > 30
    assert set(FLAGS) - set(ours) == set()
    assert ours.keys() - set(FLAGS) == {"audio", "engine", "precision", "speech_only"}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_has_the_whisper_commands_spelling_default_and_choices(flag: str) -> None:
    ours, theirs = flags_of(our_parser())[flag], flags_of(whisper_parser())[flag]
    assert ours.option_strings == theirs.option_strings
    assert ours.nargs == theirs.nargs
    assert ours.choices == theirs.choices
    if flag != "device":  # ours is settled when the model is loaded
        assert repr(ours.default) == repr(theirs.default)  # 0 and 0.0 look different in JSON


@pytest.mark.parametrize("flag", sorted(set(FLAGS) - {"model"}))
@pytest.mark.parametrize("value", ["True", "False", "None", "0", "2", "-1", "0.5", "", "other"])
def test_a_flag_reads_a_value_as_the_whisper_command_does(flag: str, value: str) -> None:
    def read(parser: argparse.ArgumentParser) -> Any:
        try:
            return getattr(parser.parse_args(["talk.flac", f"--{flag}={value}"]), flag)
        except SystemExit as refusal:
            return refusal

    ours, theirs = read(our_parser()), read(whisper_parser())
    if isinstance(theirs, SystemExit):
        assert isinstance(ours, SystemExit)
    else:
        assert (type(ours), ours) == (type(theirs), theirs)


# Inputs that cannot be used


def test_bad_inputs_are_named_and_the_others_written(
    speech: dict[str, Path],
    model: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "notes.mp3").write_text("Buy milk.\n" * 50)
    (tmp_path / "folder.flac").mkdir()
    bad = {
        "empty.wav": "empty_file",
        "notes.mp3": "not_audio",
        "folder.flac": "directory",
        "gone.mp3": "No such file",
    }
    first, *others = [tmp_path / name for name in bad]
    inputs = [first, speech["en-01.flac"], *others, speech["de-02.mp3"]]
    assert run_ours(*inputs, *model, *GREEDY.split(), "-f", "txt", "-o", tmp_path / "out") == 1
    printed = capsys.readouterr()
    complaints = printed.err.splitlines()
    for name, reason in bad.items():
        [line] = [line for line in complaints if str(tmp_path / name) in line]
        assert reason in line
    assert len(complaints) == len(bad)
    assert set(contents(tmp_path / "out")) == {"en-01.txt", "de-02.txt"}
    assert (tmp_path / "out" / "en-01.txt").read_text() == (
        "The doctor is looking for a red window at the station.\n"
    )


def test_one_recording_under_two_names_is_written_under_both(
    speech: dict[str, Path], model: tuple[str, ...], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.flac"
    shutil.copyfile(speech["en-01.flac"], copy)
    out = tmp_path / "out"
    assert (
        run_ours(speech["en-01.flac"], copy, *model, *GREEDY.split(), "-f", "srt", "-o", out) == 0
    )
    written = contents(out)
    assert set(written) == {"en-01.srt", "copy.srt"}
    assert written["en-01.srt"] == written["copy.srt"]


def test_two_inputs_with_one_name_are_refused_before_any_work(
    speech: dict[str, Path],
    model: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = tmp_path / "en-01.wav"
    other.touch()
    out = tmp_path / "out"
    assert run_ours(speech["en-01.flac"], other, *model, "-o", out) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    [line] = printed.err.splitlines()
    assert str(speech["en-01.flac"]) in line
    assert str(other) in line
    assert "--output_dir" in line
    assert not out.exists()


def test_a_result_that_cannot_be_written_does_not_stop_the_others(
    speech: dict[str, Path],
    model: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    (out / "en-01.txt").mkdir(parents=True)
    inputs = [speech["en-01.flac"], speech["de-02.mp3"]]
    assert run_ours(*inputs, *model, *GREEDY.split(), "-f", "txt", "-o", out) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert str(speech["en-01.flac"]) in line
    assert "directory" in line
    assert (out / "de-02.txt").is_file()


# Models, devices and flags that cannot be used


def test_an_unknown_model_is_one_clear_sentence(
    speech: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_ours(speech["en-01.flac"], "--model", "gigantic", "-o", tmp_path) == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line.startswith("error: there is no model 'gigantic': give the path")
    assert "large-v3" in line
    assert contents(tmp_path) == {}


def test_a_file_that_is_no_checkpoint_is_one_clear_sentence(
    speech: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "notes.pt"
    model.write_text("no weights")
    assert run_ours(speech["en-01.flac"], "--model", model, "-o", tmp_path / "out") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {model} is not a Whisper checkpoint")


@pytest.mark.parametrize(
    ("flags", "mistake"),
    [
        ("--precision bfloat16", "--precision bfloat16: needs --engine batched"),
        ("--fp16 False --precision float16", "--fp16 False and --precision float16: give one"),
        ("--precision half", "argument --precision: invalid choice: 'half'"),
    ],
)
def test_a_precision_that_cannot_be_had_is_a_usage_error(
    flags: str, mistake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        run_ours("talk.wav", *flags.split())
    assert exit.value.code == 2
    assert mistake in capsys.readouterr().err


def test_an_unknown_engine_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        run_ours("talk.wav", "--engine", "batchd")
    assert exit.value.code == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "argument --engine: invalid choice: 'batchd'" in message
    assert "batched" in message
    assert "reference" in message


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("", "auto"),
        ("--fp16 False", "float32"),
        ("--precision float32", "float32"),
        ("--engine batched --precision bfloat16", "bfloat16"),
    ],
)
def test_the_precision_is_that_of_the_flags_alone(
    flags: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSCRIBE_PRECISION", "float16")
    monkeypatch.setenv("NIGHTSCRIBE_ENGINE", "reference")
    parser = argparse.ArgumentParser()
    our_command.add_arguments(parser)
    parser.set_defaults(parser=parser)
    chosen = our_command._settings(parser.parse_args(["talk.wav", *flags.split()]))
    assert chosen.precision == precision


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> str:
    """Has openai-whisper's table point to a port of this machine that nobody listens to."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    table = {"tiny": f"http://127.0.0.1:{port}/models/{'0' * 64}/tiny.pt"}
    monkeypatch.setattr(whisper, "_MODELS", table)
    return "tiny"


def test_an_official_model_that_cannot_be_had_is_one_sentence_with_what_to_do(
    unreachable: str,
    speech: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = tmp_path / "cache"
    flags = ("--model", unreachable, "--model_dir", cache, "-o", tmp_path / "out")
    assert run_ours(speech["en-01.flac"], *flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"'tiny' is not at {cache / 'tiny.pt'}" in line
    assert "refused" in line
    assert "nightscribe models fetch tiny" in line
    assert "NIGHTSCRIBE_MODEL_DIR" in line
    assert list(cache.iterdir()) == []


def test_the_settings_are_used_where_no_flag_is_given(
    unreachable: str,
    speech: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("NIGHTSCRIBE_MODEL_DIR", str(cache))
    arguments = (speech["en-01.flac"], "--model", unreachable, "-o", tmp_path / "out")
    assert run_ours(*arguments) == 2
    assert str(cache / "tiny.pt") in capsys.readouterr().err
    monkeypatch.setenv("NIGHTSCRIBE_DEVICE", "abacus")
    assert run_ours(*arguments) == 2
    assert "NIGHTSCRIBE_DEVICE=abacus" in capsys.readouterr().err
    assert run_ours(*arguments, "--device", "cpu") == 2
    assert "abacus" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ("--beam_size", "many"),
        ("--beam_size", "0"),
        ("--clip_timestamps", "soon"),
        ("--highlight_words", "True"),
        ("--language", "Klingon"),
        ("--length_penalty", "2"),
        ("--max_line_width", "30"),
        ("--output_format", "doc"),
        ("--patience", "1.5", "--beam_size", "None"),
        ("--patience", "0.1"),
        ("--suppress_tokens", "all"),
        ("--suppress_tokens", "99999"),
        ("--task", "sing"),
        ("--temperature", "hot"),
        ("--temperature", "1.5"),
        ("--temperature_increment_on_fallback", "0"),
        ("--threads", "few"),
        ("--verbose", "yes"),
        ("--volume", "11"),
    ],
    ids=" ".join,
)
def test_a_bad_flag_is_named_before_any_work(
    flags: tuple[str, ...],
    speech: dict[str, Path],
    model: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as refusal:
        run_ours(speech["en-01.flac"], *model, *flags, "-o", out)
    assert refusal.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert flags[0] in printed.err.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize("engine", ["batched", "reference"])
def test_a_token_that_the_checkpoint_lacks_is_named_before_any_work(
    engine: str,
    speech: dict[str, Path],
    model: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--suppress_tokens", "51865", "--engine", engine)
    with pytest.raises(SystemExit) as refusal:
        run_ours(speech["en-01.flac"], *model, *flags, "-o", tmp_path)
    assert refusal.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-1].endswith(
        "--suppress_tokens '51865': the checkpoint has 51865 tokens and no token 51865; "
        "expected ids from 0 to 51864, or -1"
    )
    assert list(tmp_path.iterdir()) == []


def test_no_file_at_all_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        run_ours("--model", "demo")
    assert refusal.value.code == 2
    assert "FILE" in capsys.readouterr().err


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_one_clear_sentence(
    device: str,
    speech: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--model", "demo", "--device", device, "-o", tmp_path)
    assert run_ours(speech["en-01.flac"], *flags) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert device in line


def test_an_output_folder_that_is_a_file_is_one_clear_sentence(
    speech: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "out"
    there.write_text("mine")
    assert run_ours(speech["en-01.flac"], "--model", "demo", "-o", there) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"--output_dir {there}" in line
    assert there.read_text() == "mine"
