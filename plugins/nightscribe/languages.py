"""The languages that Whisper knows, the ways to write them, and their regional varieties.

Everything that reads a language reads it here: manifests, data sets, files to score, rules of the
gate, the command line and the form of the DAG. A language is one of Whisper's codes. A variety is a
tag of BCP 47 that also has the region: `zh-TW`, `pt-BR`.

The first two tables have the content of `whisper.tokenizer.LANGUAGES` and of the other names in
`whisper.tokenizer.TO_LANGUAGE_CODE`. They are repeated here because importing whisper imports
torch. A test compares them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass
from functools import cache

__all__ = [
    "LANGUAGES",
    "NO_SPEECH",
    "OTHER_CODES",
    "OTHER_NAMES",
    "UNDETERMINED",
    "Language",
    "language_code",
    "nearest_language",
    "parse_language",
    "stated_language",
]

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

_MORE_NAMES: dict[str, str] = {
    "azeri": "az", "bangla": "bn", "belorussian": "be", "bokmal": "no", "bokmål": "no",
    "byelorussian": "be", "cambodian": "km", "central khmer": "km", "farsi": "fa",
    "filipino": "tl", "kiswahili": "sw", "mandarin chinese": "zh", "modern greek": "el",
    "modern hebrew": "he", "modern standard arabic": "ar", "māori": "mi",
    "norwegian bokmal": "no", "norwegian bokmål": "no", "norwegian nynorsk": "nn",
    "pilipino": "tl", "slovene": "sl", "standard arabic": "ar", "standard chinese": "zh",
    "standard malay": "ms",
}
"""English names that Whisper does not have → Whisper's code."""

OTHER_CODES: dict[str, str] = {
    # ISO 639-3
    "eng": "en", "zho": "zh", "deu": "de", "spa": "es", "rus": "ru", "kor": "ko", "fra": "fr",
    "jpn": "ja", "por": "pt", "tur": "tr", "pol": "pl", "cat": "ca", "nld": "nl", "ara": "ar",
    "swe": "sv", "ita": "it", "ind": "id", "hin": "hi", "fin": "fi", "vie": "vi", "heb": "he",
    "ukr": "uk", "ell": "el", "msa": "ms", "ces": "cs", "ron": "ro", "dan": "da", "hun": "hu",
    "tam": "ta", "nor": "no", "tha": "th", "urd": "ur", "hrv": "hr", "bul": "bg", "lit": "lt",
    "lat": "la", "mri": "mi", "mal": "ml", "cym": "cy", "slk": "sk", "tel": "te", "fas": "fa",
    "lav": "lv", "ben": "bn", "srp": "sr", "aze": "az", "slv": "sl", "kan": "kn", "est": "et",
    "mkd": "mk", "bre": "br", "eus": "eu", "isl": "is", "hye": "hy", "nep": "ne", "mon": "mn",
    "bos": "bs", "kaz": "kk", "sqi": "sq", "swa": "sw", "glg": "gl", "mar": "mr", "pan": "pa",
    "sin": "si", "khm": "km", "sna": "sn", "yor": "yo", "som": "so", "afr": "af", "oci": "oc",
    "kat": "ka", "bel": "be", "tgk": "tg", "snd": "sd", "guj": "gu", "amh": "am", "yid": "yi",
    "lao": "lo", "uzb": "uz", "fao": "fo", "hat": "ht", "pus": "ps", "tuk": "tk", "nno": "nn",
    "mlt": "mt", "san": "sa", "ltz": "lb", "mya": "my", "bod": "bo", "tgl": "tl", "mlg": "mg",
    "asm": "as", "tat": "tt", "lin": "ln", "hau": "ha", "bak": "ba", "jav": "jw", "sun": "su",
    # ISO 639-3 of the standard form, where the code above stands for several forms
    "als": "sq", "arb": "ar", "azj": "az", "cmn": "zh", "ekk": "et", "khk": "mn", "lvs": "lv",
    "npi": "ne", "pbt": "ps", "pes": "fa", "plt": "mg", "swh": "sw", "uzn": "uz", "ydd": "yi",
    "zsm": "ms",
    # ISO 639-2/B
    "alb": "sq", "arm": "hy", "baq": "eu", "bur": "my", "chi": "zh", "cze": "cs", "dut": "nl",
    "fre": "fr", "geo": "ka", "ger": "de", "gre": "el", "ice": "is", "mac": "mk", "mao": "mi",
    "may": "ms", "per": "fa", "rum": "ro", "slo": "sk", "tib": "bo", "wel": "cy",
    # withdrawn from ISO 639, but used in old data
    "in": "id", "iw": "he", "ji": "yi", "mo": "ro", "mol": "ro", "scc": "sr", "scr": "hr",
    # Whisper has jw and no; the standards have jv, and nb for what Whisper calls no
    "jv": "jw", "nb": "no", "nob": "no",
    # Filipino is the standard form of Tagalog
    "fil": "tl",
}
"""Codes that Whisper does not have → Whisper's code."""
# fmt: on

UNDETERMINED = "und"
"""ISO 639's code for a language that nobody has stated."""

NO_SPEECH = "zxx"
"""ISO 639's code for no linguistic content: nobody speaks in the recording. It is no language that
Whisper could be given."""

_BY_NAME = {name: code for code, name in LANGUAGES.items()} | OTHER_NAMES | _MORE_NAMES
_BY_CODE = {code: code for code in LANGUAGES} | OTHER_CODES

_IN_TAGS = {"jw": "jv"}
"""Whisper's code → that of BCP 47, where they differ."""

_CHINESE = {"cmn": "zh", "yue": "yue"}
"""Second subtag after `zh` that is itself a language of Whisper → its code."""

_NAMED_VARIETIES = {
    "american english": "en-US",
    "brazilian portuguese": "pt-BR",
    "british english": "en-GB",
    "chinese (simplified)": "zh-Hans",
    "chinese (traditional)": "zh-Hant",
    "european portuguese": "pt-PT",
    "simplified chinese": "zh-Hans",
    "traditional chinese": "zh-Hant",
}
"""English name → tag."""

_OTHER_SUBTAGS = {
    "bra": "br",
    "chn": "cn",
    "gbr": "gb",
    "hkg": "hk",
    "prt": "pt",
    "twn": "tw",
    "usa": "us",
    "chs": "hans",
    "cht": "hant",  # of Windows
    "uk": "gb",
}
"""What often stands in the place of a region or a script → what BCP 47 has there."""

# en-US, pt_BR, zh-Hant-TW, es_419, de-DE-1996; as locales of an operating system, en_US.UTF-8
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})"
    r"(?:-(?P<extended>[a-z]{3}))?"
    r"(?:-(?P<script>[a-z]{4}))?"
    r"(?:-(?P<region>[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"(?:[.@].*)?"
)
_NAME_AND_REGION = re.compile(r"(?P<name>.+?) ?\((?P<region>[a-z]{2}|[0-9]{3})\)")


@dataclass(frozen=True)
class Language:
    """A language as a person or a data set writes it.

    Attributes:
        code: Whisper's code
        variety: the language with its region, as a tag of BCP 47; None if no region is stated
    """

    code: str
    variety: str | None = None

    @property
    def tag(self) -> str:
        """The variety if there is one, else the code."""
        return self.variety or self.code


@cache
def parse_language(text: str) -> Language | None:
    """The language of a code, an English name or a tag, in any case; None if Whisper has no such.

    Codes are those of Whisper, ISO 639-1, ISO 639-2/B and ISO 639-3, and withdrawn ones. Tags are
    those of BCP 47, with `-` or `_`. Chinese without a region may have its script as the variety.

    >>> parse_language("English")
    Language(code='en', variety=None)
    >>> parse_language("cmn_hans_cn")
    Language(code='zh', variety='zh-CN')
    """
    wanted = _folded(text)
    if wanted in _BY_NAME:
        return Language(_BY_NAME[wanted])
    if (named := _NAME_AND_REGION.fullmatch(wanted)) and named["name"] in _BY_NAME:
        region = _OTHER_SUBTAGS.get(named["region"], named["region"])
        return _with_region(_BY_NAME[named["name"]], region)
    language, *subtags = _NAMED_VARIETIES.get(wanted, wanted).lower().replace("_", "-").split("-")
    subtags = [_OTHER_SUBTAGS.get(subtag, subtag) for subtag in subtags]
    tag = _TAG.fullmatch("-".join([language, *subtags]))
    if tag is None or tag["language"] not in _BY_CODE:
        return None
    code = _BY_CODE[tag["language"]]
    if tag["extended"] is not None:
        if code != "zh" or tag["extended"] not in _CHINESE:
            return None  # such as zh-nan, which is no Mandarin
        code = _CHINESE[tag["extended"]]
    if tag["region"] is None and code == "zh" and tag["script"] in ("hans", "hant"):
        return Language(code, f"zh-{tag['script'].title()}")
    return _with_region(code, tag["region"])


def language_code(text: str) -> str | None:
    """Whisper's code for a code, an English name or a tag, in any case; None if unknown.

    `en`, `eng`, `English`, `en-US` and `en_us` all give `en`.
    """
    language = parse_language(text)
    return None if language is None else language.code


def stated_language(text: str) -> Language | None:
    """What a manifest or a list may state of a recording: a language, or that nobody speaks in it.

    >>> stated_language("ZXX"), stated_language("de")
    (Language(code='zxx', variety=None), Language(code='de', variety=None))
    """
    return Language(NO_SPEECH) if _folded(text) == NO_SPEECH else parse_language(text)


def nearest_language(text: str) -> str:
    """What to say about a language that is unknown: the nearest one, if one is near."""
    wanted = _folded(text)
    if wanted == NO_SPEECH:
        return "a manifest says by it that nobody speaks in a recording"
    head = re.split(r"[-_(]", wanted)[0].strip() or wanted
    for part in (wanted, head):
        names = [*_BY_NAME] if len(part) > 3 else [*_BY_CODE]
        found = difflib.get_close_matches(part, names, n=1, cutoff=0.6)
        if found:
            code = _BY_NAME.get(found[0]) or _BY_CODE[found[0]]
            return f"the nearest that Whisper knows is {LANGUAGES[code].title()} ({code})"
    return "none that Whisper knows is near: give a code such as en, or a name such as Spanish"


def _with_region(code: str, region: str | None) -> Language:
    if region is None:
        return Language(code)
    return Language(code, f"{_IN_TAGS.get(code, code)}-{region.upper()}")


def _folded(text: str) -> str:
    """The text in lower case, without invisible characters and superfluous spaces."""
    visible = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join("".join(visible).lower().split())
