"""Options have stable names in the lake, and refuse what Whisper could not use."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightscribe.errors import ConfigurationError
from nightscribe.whisper.options import LARGEST_VOCABULARY, TASKS, Options, tasks_of, value_of


@pytest.mark.parametrize("field", dataclasses.fields(Options), ids=lambda field: str(field.name))
def test_option_at_its_default_does_not_count_and_any_other_value_does(
    field: dataclasses.Field[Any],
) -> None:
    assert Options.from_mapping({field.name: field.default}).key == Options().key
    if isinstance(field.default, bool):
        other: Any = not field.default
    else:
        other = {"language": "de", "temperature": 0.5, "initial_prompt": "Hi", "prefix": "Hi"}.get(
            field.name, field.default + "x" if isinstance(field.default, str) else 3
        )
    assert Options.from_mapping({field.name: other}).key != Options().key


def test_equal_values_have_one_key_however_they_are_written() -> None:
    assert Options.from_mapping({"temperature": 0}).key == Options(temperature=(0.0,)).key
    assert Options.from_mapping({"temperature": [0, 1]}).key == Options(temperature=(0.0, 1.0)).key
    assert Options.from_mapping({"beam_size": 5.0}).key == Options(beam_size=5).key
    assert Options.from_mapping({"patience": 2}).key == Options(patience=2.0).key


def test_defaults_are_those_of_openai_whisper() -> None:
    import inspect

    import whisper

    parameters = inspect.signature(whisper.transcribe).parameters
    decoding = {f.name: f.default for f in dataclasses.fields(whisper.DecodingOptions)}
    for field in dataclasses.fields(Options):
        if field.name in parameters:
            assert field.default == parameters[field.name].default, field.name
        elif field.name == "speech_only":
            assert not field.default  # the only one that openai-whisper has not
        else:
            assert field.default == decoding[field.name], field.name


options = st.builds(
    Options,
    language=st.none() | st.sampled_from(["en", "de"]),
    temperature=st.lists(st.floats(0, 1), min_size=1, max_size=3).map(tuple),
    beam_size=st.none() | st.integers(1, 9),
    patience=st.none() | st.floats(0.1, 9),
    initial_prompt=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    word_timestamps=st.booleans(),
    no_speech_threshold=st.none() | st.floats(0, 1),
)


@given(options)
def test_options_read_from_their_json_are_the_same(options: Options) -> None:
    again = Options.from_mapping(json.loads(options.to_json()))
    assert again == options
    assert again.key == options.key


@given(options)
def test_options_read_from_a_command_line_are_the_same(options: Options) -> None:
    written = {name: str(value) for name, value in dataclasses.asdict(options).items()}
    written["temperature"] = ",".join(map(str, options.temperature))
    read = {name: value_of(name, text) for name, text in written.items()}
    same = Options.from_mapping(read)
    # Two words stand for no prompt.
    assert same == dataclasses.replace(options, initial_prompt=same.initial_prompt)
    assert same.initial_prompt == (
        None if options.initial_prompt in {"None", "null"} else options.initial_prompt
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("suppress_tokens", "-1", "-1"),
        ("clip_timestamps", "30", "30"),
        ("initial_prompt", "2024", "2024"),
        ("initial_prompt", "True story", "True story"),
        ("initial_prompt", "null", None),
        ("beam_size", "5.0", 5.0),
        ("word_timestamps", "true", True),
        ("word_timestamps", "1", "1"),
        ("beam_size", "2.5", 2.5),
        ("beam_size", "many", "many"),
        ("temperature", "0.5", [0.5]),
        ("temperature", "warm", "warm"),
    ],
)
def test_text_of_a_command_line_is_read_by_the_kind_of_option(
    name: str, text: str, value: object
) -> None:
    assert value_of(name, text) == value


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"beam": 5}, "unknown option 'beam'; Nightscribe knows: language, temperature"),
        ({"beam_size": 0}, "option beam_size is 0: expected a positive whole number or null"),
        ({"beam_size": 2.5}, "option beam_size is 2.5"),
        ({"beam_size": True}, "option beam_size is True"),
        ({"best_of": "5"}, "option best_of is '5'"),
        ({"temperature": 1.5}, "option temperature is 1.5: expected a number from 0 to 1"),
        ({"temperature": []}, "option temperature is []"),
        ({"temperature": "0"}, "option temperature is '0'"),
        ({"temperature": True}, "option temperature is True: expected a number from 0 to 1"),
        ({"temperature": [0, False]}, "option temperature is [0, False]: expected a number from 0"),
        ({"temperature": [0, math.nan]}, "option temperature is [0, nan]"),
        ({"temperature": None}, "option temperature is None: expected a number from 0 to 1"),
        ({"patience": math.nan}, "option patience is nan: expected a number or null"),
        ({"beam_size": math.inf}, "option beam_size is inf"),
        ({"patience": -math.inf}, "option patience is -inf"),
        ({"patience": 10**400}, "option patience is 1000"),
        ({"sample_len": 10**400}, "option sample_len is 1000"),
        ({"patience": "high"}, "option patience is 'high': expected a number or null"),
        ({"patience": False}, "option patience is False: expected a number or null"),
        ({"word_timestamps": 1}, "option word_timestamps is 1: expected true or false"),
        ({"word_timestamps": "true"}, "option word_timestamps is 'true': expected true or false"),
        ({"language": 7}, "option language is 7: expected a text or null"),
        ({"initial_prompt": 7}, "option initial_prompt is 7: expected a text"),
        ({"suppress_tokens": None}, "option suppress_tokens is None: expected a text"),
        ({"clip_timestamps": [0.0]}, "option clip_timestamps is [0.0]: expected a text"),
    ],
    ids=str,
)
def test_option_that_cannot_be_used_is_named_with_what_was_expected(
    values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Options.from_mapping(values)
    assert said in str(caught.value)


def test_first_option_that_cannot_be_used_is_named_beside_others_that_can() -> None:
    with pytest.raises(ConfigurationError, match=r"^option best_of is 'x': expected a positive"):
        Options.from_mapping({"beam_size": 5, "prefix": "a", "best_of": "x"})


@pytest.mark.parametrize("times", ["", "0", "1,3.5,20,40.2", " 30", "1e2"])
def test_times_are_numbers_separated_by_commas(times: str) -> None:
    assert Options(clip_timestamps=times).mistake() is None


@pytest.mark.parametrize("times", ["soon", "1,,2", "0,inf", "nan", "9" * 400])
def test_times_that_are_no_numbers_are_a_mistake(times: str) -> None:
    said = f"clip_timestamps {times!r}: expected numbers separated by commas"
    assert Options(clip_timestamps=times).mistake() == said


@pytest.mark.parametrize("tokens", ["-1", "", "0", " 13, 11", "-1,13,51865"])
def test_tokens_that_some_checkpoint_has_are_no_mistake(tokens: str) -> None:
    assert Options(suppress_tokens=tokens).mistake() is None


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ("99999", "no Whisper checkpoint has a token 99999"),
        ("51866", "has a token 51866; expected ids from 0 to 51865, or -1"),
        ("-1,13,51866", "has a token 51866;"),
        ("-2", "has a token -2;"),
        ("-1,-2", "has a token -2;"),
        ("9" * 400, "has a token 999"),
        ("all", "expected numbers separated by commas"),
        ("1,,2", "expected numbers separated by commas"),
        ("1.5", "expected numbers separated by commas"),
    ],
)
def test_tokens_that_no_checkpoint_has_are_a_mistake(tokens: str, said: str) -> None:
    mistake = Options(suppress_tokens=tokens).mistake()
    assert mistake is not None
    assert mistake.startswith(f"suppress_tokens {tokens!r}: ")
    assert said in mistake


def test_tokens_are_checked_against_the_checkpoint_at_hand() -> None:
    options = Options(suppress_tokens="-1,51864")
    assert options.mistake() is None
    assert options.mistake_for(51865) is None
    assert options.mistake_for(51864) == (
        "suppress_tokens '-1,51864': the checkpoint has 51864 tokens and no token 51864; "
        "expected ids from 0 to 51863, or -1"
    )
    assert Options(suppress_tokens="all").mistake_for(51864) == (
        "suppress_tokens 'all': expected numbers separated by commas"
    )


def test_largest_vocabulary_is_that_of_all_languages_of_openai_whisper() -> None:
    from whisper.tokenizer import LANGUAGES, get_tokenizer

    tokenizer = get_tokenizer(True, num_languages=len(LANGUAGES))
    assert tokenizer.encoding.n_vocab == LARGEST_VOCABULARY


def test_options_are_values() -> None:
    given = {"beam_size": 5, "temperature": [0, 0.5]}
    first, second = Options.from_mapping(given), Options.from_mapping(given)
    assert first == second == Options(beam_size=5, temperature=(0.0, 0.5))
    assert len({first, second, first.with_language("de")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.beam_size = 3  # type: ignore[misc]


def test_tasks() -> None:
    assert tasks_of("both") == TASKS == ("transcribe", "translate")
    assert tasks_of("translate") == ("translate",)
    with pytest.raises(ConfigurationError, match="'summarise': choose transcribe, translate"):
        tasks_of("summarise")
