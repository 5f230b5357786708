"""The languages that Whisper knows, and the ways to write them.

The first two tables have the content of `whisper.tokenizer.LANGUAGES` and of the other names in
`whisper.tokenizer.TO_LANGUAGE_CODE`. They are repeated here because importing whisper imports
torch. A test compares them.
"""

from __future__ import annotations

# fmt: off
LANGUAGES: dict[str, str] = {
    "en": "english", "zh": "chinese", "de": "german", "es": "spanish", "ru": "russian",
    "ko": "korean", "fr": "french", "ja": "japanese", "pt": "portuguese", "tr": "turkish",
    "pl": "polish", "ca": "catalan", "nl": "dutch", "ar": "arabic", "sv": "swedish",
    "it": "italian", "id": "indonesian", "hi": "hindi", "fi": "finnish", "vi": "vietnamese",
    "he": "hebrew", "uk": "ukrainian", "el": "greek", "ms": "malay", "cs": "czech",
    "ro": "romanian", "da": "danish", "hu": "hungarian", "ta": "tamil", "no": "norwegian",
    "th": "thai", "ur": "urdu", "hr": "croatian", "bg": "bulgarian", "lt": "lithuanian",
    "la": "latin", "mi": "maori", "ml": "malayalam", "cy": "welsh", "sk": "slovak",
    "te": "telugu", "fa": "persian", "lv": "latvian", "bn": "bengali", "sr": "serbian",
    "az": "azerbaijani", "sl": "slovenian", "kn": "kannada", "et": "estonian",
    "mk": "macedonian", "br": "breton", "eu": "basque", "is": "icelandic", "hy": "armenian",
    "ne": "nepali", "mn": "mongolian", "bs": "bosnian", "kk": "kazakh", "sq": "albanian",
    "sw": "swahili", "gl": "galician", "mr": "marathi", "pa": "punjabi", "si": "sinhala",
    "km": "khmer", "sn": "shona", "yo": "yoruba", "so": "somali", "af": "afrikaans",
    "oc": "occitan", "ka": "georgian", "be": "belarusian", "tg": "tajik", "sd": "sindhi",
    "gu": "gujarati", "am": "amharic", "yi": "yiddish", "lo": "lao", "uz": "uzbek",
    "fo": "faroese", "ht": "haitian creole", "ps": "pashto", "tk": "turkmen", "nn": "nynorsk",
    "mt": "maltese", "sa": "sanskrit", "lb": "luxembourgish", "my": "myanmar", "bo": "tibetan",
    "tl": "tagalog", "mg": "malagasy", "as": "assamese", "tt": "tatar", "haw": "hawaiian",
    "ln": "lingala", "ha": "hausa", "ba": "bashkir", "jw": "javanese", "su": "sundanese",
    "yue": "cantonese",
}
"""Whisper's code → English name."""

OTHER_NAMES: dict[str, str] = {
    "burmese": "my", "valencian": "ca", "flemish": "nl", "haitian": "ht", "letzeburgesch": "lb",
    "pushto": "ps", "panjabi": "pa", "moldavian": "ro", "moldovan": "ro", "sinhalese": "si",
    "castilian": "es", "mandarin": "zh",
}
"""Further English names → Whisper's code."""
# fmt: on

OTHER_CODES: dict[str, str] = {
    "cmn": "zh",  # Mandarin in FLEURS and Common Voice
    "fil": "tl",  # Filipino is the standard form of Tagalog
    "in": "id",  # withdrawn from ISO 639-1, but used in old data
    "iw": "he",  # the same
    "jv": "jw",  # Whisper uses jw, ISO 639-1 uses jv
    "nb": "no",  # Whisper uses no for Bokmål, nn for Nynorsk
}
"""Language subtags of BCP 47 for which Whisper has another code → Whisper's code."""

_BY_NAME = {name: code for code, name in LANGUAGES.items()} | OTHER_NAMES


def language_code(text: str) -> str | None:
    """Whisper's code for a code, an English name or a BCP 47 tag, in any case; None if unknown.

    `en`, `English`, `en-US` and `en_us` all give `en`.
    """
    wanted = text.strip().lower()
    if wanted in LANGUAGES:
        return wanted
    if wanted in _BY_NAME:
        return _BY_NAME[wanted]
    subtag = wanted.replace("_", "-").partition("-")[0]
    return subtag if subtag in LANGUAGES else OTHER_CODES.get(subtag)
