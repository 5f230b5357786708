"""The `options_key`s that people's lakes hold, and the JSON beside them, as 0.1.0 made them.

These are literal values on purpose. A change that breaks one of these tests makes every lake that
was made before it transcribe its recordings again.
"""

from __future__ import annotations

import json

import pytest

from nightscribe.whisper.options import Options, value_of

DEFAULTS = {
    "append_punctuations": '"\\"\'.。,，!！?？:：”)]}、"',
    "beam_size": "null",
    "best_of": "null",
    "carry_initial_prompt": "false",
    "clip_timestamps": '"0"',
    "compression_ratio_threshold": "2.4",
    "condition_on_previous_text": "true",
    "hallucination_silence_threshold": "null",
    "initial_prompt": "null",
    "language": "null",
    "length_penalty": "null",
    "logprob_threshold": "-1.0",
    "max_initial_timestamp": "1.0",
    "no_speech_threshold": "0.6",
    "patience": "null",
    "prefix": "null",
    "prepend_punctuations": '"\\"\'“¿([{-"',
    "sample_len": "null",
    "suppress_blank": "true",
    "suppress_tokens": '"-1"',
    "temperature": "[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]",
    "without_timestamps": "false",
    "word_timestamps": "false",
}
"""Each option's value as `to_json` writes it when nothing is given."""

FROM_JSON = [
    ("{}", "44136fa355b3678a", {}),
    ('{"language": null}', "44136fa355b3678a", {}),
    ('{"language": "en"}', "114a6e8f5c43bea0", {"language": '"en"'}),
    ('{"language": "zh"}', "84fca1805f6e12a1", {"language": '"zh"'}),
    ('{"temperature": 0}', "7cf353c3ac168a70", {"temperature": "[0.0]"}),
    ('{"temperature": 0.0}', "7cf353c3ac168a70", {"temperature": "[0.0]"}),
    ('{"temperature": 1}', "bff5c6a4704cc2ad", {"temperature": "[1.0]"}),
    ('{"temperature": 0.5}', "e9ef60b11302070c", {"temperature": "[0.5]"}),
    ('{"temperature": [0]}', "7cf353c3ac168a70", {"temperature": "[0.0]"}),
    ('{"temperature": [0, 1]}', "9d515225893a4979", {"temperature": "[0.0, 1.0]"}),
    ('{"temperature": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}', "44136fa355b3678a", {}),
    (
        '{"temperature": [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]}',
        "2703e82abab4d1fa",
        {"temperature": "[0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]"},
    ),
    (
        '{"temperature": [0, 0.25, 0.5, 0.75, 1]}',
        "be0c5575e7790e27",
        {"temperature": "[0.0, 0.25, 0.5, 0.75, 1.0]"},
    ),
    ('{"temperature": 1e-05}', "1ec038ad5366ccdf", {"temperature": "[1e-05]"}),
    ('{"beam_size": null}', "44136fa355b3678a", {}),
    ('{"beam_size": 5}', "e8f4e4c9497120ab", {"beam_size": "5"}),
    ('{"beam_size": 5.0}', "e8f4e4c9497120ab", {"beam_size": "5"}),
    ('{"beam_size": 1}', "6ea3391384504285", {"beam_size": "1"}),
    ('{"best_of": 5}', "7273df9b7e5afe90", {"best_of": "5"}),
    ('{"best_of": 1.0}', "9b3944b02a43b538", {"best_of": "1"}),
    ('{"best_of": null}', "44136fa355b3678a", {}),
    ('{"patience": 1}', "aa0e1eb7697251b7", {"patience": "1.0"}),
    ('{"patience": 1.5}', "bbeb883d6efe5a46", {"patience": "1.5"}),
    ('{"patience": null}', "44136fa355b3678a", {}),
    ('{"length_penalty": 0}', "6f69a86457faf429", {"length_penalty": "0.0"}),
    ('{"length_penalty": 0.6}', "cf9d4ef0bd8d2bbc", {"length_penalty": "0.6"}),
    ('{"suppress_tokens": "-1"}', "44136fa355b3678a", {}),
    ('{"suppress_tokens": ""}', "0b52f986838fdad1", {"suppress_tokens": '""'}),
    ('{"suppress_tokens": "-1,13,11,0"}', "b0b19946087ac3fa", {"suppress_tokens": '"-1,13,11,0"'}),
    ('{"suppress_tokens": " 13, 11"}', "162baab02adc7b47", {"suppress_tokens": '" 13, 11"'}),
    ('{"initial_prompt": null}', "44136fa355b3678a", {}),
    ('{"initial_prompt": ""}', "786b63476fe0b344", {"initial_prompt": '""'}),
    ('{"initial_prompt": "null"}', "60c6d157e5e0b353", {"initial_prompt": '"null"'}),
    (
        '{"initial_prompt": "Zoë sagt „Grüße“."}',
        "928c2c94a6e3d75c",
        {"initial_prompt": '"Zoë sagt „Grüße“."'},
    ),
    (
        '{"initial_prompt": "Привет, 世界! 🎙"}',
        "61627c2db4a5892e",
        {"initial_prompt": '"Привет, 世界! 🎙"'},
    ),
    (
        '{"initial_prompt": "a \\"quoted\\" \\\\ word\\n\\tand a line \\u0007\\u2028"}',
        "235d640d3bce13cf",
        {"initial_prompt": '"a \\"quoted\\" \\\\ word\\n\\tand a line \\u0007\u2028"'},
    ),
    ('{"carry_initial_prompt": true}', "8a1e765d9e5d814f", {"carry_initial_prompt": "true"}),
    (
        '{"condition_on_previous_text": false}',
        "2502585f23c542b7",
        {"condition_on_previous_text": "false"},
    ),
    ('{"condition_on_previous_text": true}', "44136fa355b3678a", {}),
    (
        '{"compression_ratio_threshold": 2}',
        "722d4f6c7ea68b57",
        {"compression_ratio_threshold": "2.0"},
    ),
    ('{"compression_ratio_threshold": 2.4}', "44136fa355b3678a", {}),
    (
        '{"compression_ratio_threshold": null}',
        "b334c8fd77aed7eb",
        {"compression_ratio_threshold": "null"},
    ),
    ('{"logprob_threshold": -1}', "44136fa355b3678a", {}),
    ('{"logprob_threshold": -0.5}', "b6df4d76defc3b22", {"logprob_threshold": "-0.5"}),
    ('{"logprob_threshold": null}', "ce1b619fb2e1c887", {"logprob_threshold": "null"}),
    ('{"logprob_threshold": -0.0}', "caf34d20446936f8", {"logprob_threshold": "-0.0"}),
    ('{"no_speech_threshold": 0}', "6193b0a680178bd6", {"no_speech_threshold": "0.0"}),
    ('{"no_speech_threshold": 0.1}', "e69ceb0877c7f480", {"no_speech_threshold": "0.1"}),
    ('{"no_speech_threshold": null}', "6de7dbac75f89e2b", {"no_speech_threshold": "null"}),
    ('{"no_speech_threshold": 1e22}', "454dfc3ef9fa18eb", {"no_speech_threshold": "1e+22"}),
    ('{"word_timestamps": true}', "3796d1d881750c80", {"word_timestamps": "true"}),
    ('{"prepend_punctuations": ""}', "2c09a36c56776c10", {"prepend_punctuations": '""'}),
    ('{"prepend_punctuations": "\\"\'“¿([{-"}', "44136fa355b3678a", {}),
    ('{"append_punctuations": "。，"}', "088d9675becfe3e3", {"append_punctuations": '"。，"'}),
    ('{"clip_timestamps": "0"}', "44136fa355b3678a", {}),
    (
        '{"clip_timestamps": "1,3.5,20,40.2"}',
        "83dd20f3e666f4cc",
        {"clip_timestamps": '"1,3.5,20,40.2"'},
    ),
    (
        '{"hallucination_silence_threshold": 2}',
        "24fbf623d37f3ec9",
        {"hallucination_silence_threshold": "2.0"},
    ),
    (
        '{"hallucination_silence_threshold": 0.3}',
        "2a01e12baf3348c6",
        {"hallucination_silence_threshold": "0.3"},
    ),
    ('{"prefix": "The"}', "d06e1fd90f265156", {"prefix": '"The"'}),
    ('{"prefix": "Ça"}', "2c8e21fec3c1a19f", {"prefix": '"Ça"'}),
    ('{"sample_len": 224}', "99e997f17a5713e8", {"sample_len": "224"}),
    ('{"sample_len": 1e20}', "9dea88863577a797", {"sample_len": "100000000000000000000"}),
    ('{"sample_len": 9007199254740993}', "aa85005e92729d61", {"sample_len": "9007199254740993"}),
    ('{"suppress_blank": false}', "bf0244b8d9c28ee0", {"suppress_blank": "false"}),
    ('{"without_timestamps": true}', "c513ebef36119a82", {"without_timestamps": "true"}),
    ('{"max_initial_timestamp": 0}', "6c9a6be9117f025a", {"max_initial_timestamp": "0.0"}),
    ('{"max_initial_timestamp": 2.5}', "45594734ae04c3f1", {"max_initial_timestamp": "2.5"}),
    ('{"max_initial_timestamp": null}', "174d33e7d6ec87a0", {"max_initial_timestamp": "null"}),
    (
        '{"beam_size": 5, "temperature": 0}',
        "8749ab8e03236e69",
        {"beam_size": "5", "temperature": "[0.0]"},
    ),
    (
        '{"initial_prompt": "Zoë", "word_timestamps": true}',
        "ec425dfe0c7a15ef",
        {"initial_prompt": '"Zoë"', "word_timestamps": "true"},
    ),
    (
        '{"temperature": 0, "beam_size": 5.0, "patience": 2, "length_penalty": 1}',
        "e05c26f81ae9008d",
        {"beam_size": "5", "length_penalty": "1.0", "patience": "2.0", "temperature": "[0.0]"},
    ),
    (
        (
            '{"language": "de", "initial_prompt": "Zoë", "carry_initial_prompt": true, '
            '"word_timestamps": true}'
        ),
        "99f90ace9e065208",
        {
            "carry_initial_prompt": "true",
            "initial_prompt": '"Zoë"',
            "language": '"de"',
            "word_timestamps": "true",
        },
    ),
    (
        '{"language": "ru", "prefix": "Да", "sample_len": 9, "without_timestamps": true}',
        "d6bbc181378991fd",
        {"language": '"ru"', "prefix": '"Да"', "sample_len": "9", "without_timestamps": "true"},
    ),
    (
        (
            '{"temperature": 0, "condition_on_previous_text": false, '
            '"compression_ratio_threshold": null, "logprob_threshold": null, '
            '"no_speech_threshold": null}'
        ),
        "99e329e042c02ccb",
        {
            "compression_ratio_threshold": "null",
            "condition_on_previous_text": "false",
            "logprob_threshold": "null",
            "no_speech_threshold": "null",
            "temperature": "[0.0]",
        },
    ),
    (
        (
            '{"word_timestamps": true, "hallucination_silence_threshold": 2, '
            '"prepend_punctuations": "¿", "append_punctuations": "?"}'
        ),
        "748f84b876157405",
        {
            "append_punctuations": '"?"',
            "hallucination_silence_threshold": "2.0",
            "prepend_punctuations": '"¿"',
            "word_timestamps": "true",
        },
    ),
    (
        (
            '{"language": null, "temperature": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], '
            '"beam_size": null, "best_of": 5, "suppress_blank": true}'
        ),
        "7273df9b7e5afe90",
        {"best_of": "5"},
    ),
]
"""A DAG's parameter or a stored JSON object; its key; the values that are not the defaults'."""

FROM_COMMAND_LINE = [
    ("beam_size=5", "e8f4e4c9497120ab", {"beam_size": "5"}),
    ("beam_size=5.0", "e8f4e4c9497120ab", {"beam_size": "5"}),
    ("beam_size=None", "44136fa355b3678a", {}),
    ("best_of=3", "13b9ea112f480925", {"best_of": "3"}),
    ("sample_len=100", "8c3513205d99d2ab", {"sample_len": "100"}),
    ("temperature=0", "7cf353c3ac168a70", {"temperature": "[0.0]"}),
    ("temperature=0.5", "e9ef60b11302070c", {"temperature": "[0.5]"}),
    ("temperature=.5", "e9ef60b11302070c", {"temperature": "[0.5]"}),
    ("temperature=[0.0, 0.2]", "2d25a287d4c92a3e", {"temperature": "[0.0, 0.2]"}),
    ("temperature=0,0.2,0.4,0.6,0.8,1.0", "44136fa355b3678a", {}),
    ("temperature=0, 1e-1", "489b5351e60174c0", {"temperature": "[0.0, 0.1]"}),
    ("patience=2", "4cd4fc23f6a20594", {"patience": "2.0"}),
    ("patience=1e-1", "23a58cf0c84ccd9d", {"patience": "0.1"}),
    ("length_penalty=null", "44136fa355b3678a", {}),
    ("length_penalty=1", "4d24dd5998910eb9", {"length_penalty": "1.0"}),
    (
        "compression_ratio_threshold=None",
        "b334c8fd77aed7eb",
        {"compression_ratio_threshold": "null"},
    ),
    ("logprob_threshold=-1", "44136fa355b3678a", {}),
    ("logprob_threshold=-.5", "b6df4d76defc3b22", {"logprob_threshold": "-0.5"}),
    ("no_speech_threshold=+0.7", "f81d4d0966328d2c", {"no_speech_threshold": "0.7"}),
    (
        "hallucination_silence_threshold= 2",
        "24fbf623d37f3ec9",
        {"hallucination_silence_threshold": "2.0"},
    ),
    ("max_initial_timestamp=0", "6c9a6be9117f025a", {"max_initial_timestamp": "0.0"}),
    ("word_timestamps=True", "3796d1d881750c80", {"word_timestamps": "true"}),
    ("word_timestamps=true", "3796d1d881750c80", {"word_timestamps": "true"}),
    (
        "condition_on_previous_text=FALSE",
        "2502585f23c542b7",
        {"condition_on_previous_text": "false"},
    ),
    ("suppress_blank=false", "bf0244b8d9c28ee0", {"suppress_blank": "false"}),
    ("without_timestamps=True", "c513ebef36119a82", {"without_timestamps": "true"}),
    ("carry_initial_prompt=true", "8a1e765d9e5d814f", {"carry_initial_prompt": "true"}),
    ("suppress_tokens=-1,13", "662107aa7ea3750c", {"suppress_tokens": '"-1,13"'}),
    ("suppress_tokens=", "0b52f986838fdad1", {"suppress_tokens": '""'}),
    ("clip_timestamps=30", "c82ff3525220e083", {"clip_timestamps": '"30"'}),
    ("initial_prompt=2024", "684009837e895888", {"initial_prompt": '"2024"'}),
    ("initial_prompt=null", "44136fa355b3678a", {}),
    ("initial_prompt=None", "44136fa355b3678a", {}),
    ("initial_prompt=Zoë, 世界", "82bf18c3498cf261", {"initial_prompt": '"Zoë, 世界"'}),
    ("prefix=true", "88d2a213c5877aa4", {"prefix": '"true"'}),
    ("prepend_punctuations=null", "6e2f2f77c08f8e22", {"prepend_punctuations": '"null"'}),
    ("append_punctuations=None", "752c27f47a097276", {"append_punctuations": '"None"'}),
    ("language=None", "44136fa355b3678a", {}),
    ("language=fr", "8727d4e4f171455b", {"language": '"fr"'}),
]
"""A pair of `nightscribe run --option`; its key; the values that are not the defaults'."""


def as_json(changed: dict[str, str]) -> str:
    values = sorted({**DEFAULTS, **changed}.items())
    return "{" + ", ".join(f'"{name}": {value}' for name, value in values) + "}"


@pytest.mark.parametrize(("given", "key", "changed"), FROM_JSON)
def test_options_of_a_run_have_the_key_and_json_that_lakes_hold(
    given: str, key: str, changed: dict[str, str]
) -> None:
    options = Options.from_mapping(json.loads(given))
    assert options.key == key
    assert options.to_json() == as_json(changed)


@pytest.mark.parametrize(("pair", "key", "changed"), FROM_COMMAND_LINE)
def test_options_of_a_command_line_have_the_key_and_json_that_lakes_hold(
    pair: str, key: str, changed: dict[str, str]
) -> None:
    name, _, text = pair.partition("=")
    options = Options.from_mapping({name: value_of(name, text)})
    assert options.key == key
    assert options.to_json() == as_json(changed)


@pytest.mark.parametrize(("given", "key", "changed"), FROM_JSON)
def test_stored_json_gives_the_same_options(given: str, key: str, changed: dict[str, str]) -> None:
    stored = Options.from_mapping(json.loads(as_json(changed)))
    assert stored == Options.from_mapping(json.loads(given))
    assert stored.key == key


def test_language_of_a_run_or_a_manifest_counts_like_the_option() -> None:
    options = Options.from_mapping({"beam_size": 5, "temperature": 0})
    assert options.with_language("en").key == "7b52e0f0a4cc1601"
    assert options.with_language("en").to_json() == as_json(
        {"beam_size": "5", "language": '"en"', "temperature": "[0.0]"}
    )
    assert options.with_language("en").with_language(None).key == "8749ab8e03236e69"
