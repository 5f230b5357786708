"""Parallel sentences in six languages: templates that are filled from the lexicon."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.demo_model.lexicon import (
    ACTIONS,
    ADJECTIVES,
    CITIES,
    DRINKS,
    FOODS,
    GREETINGS,
    LANGUAGES,
    MEANS,
    NOUNS,
    NUMBERS,
    PASTIMES,
    PERSONS,
    PLACES,
    TIMES,
    TONGUES,
    VEHICLES,
    WEATHER,
    Adjective,
    Noun,
)

Sentence = dict[str, str]
"""Language → the same sentence in this language."""

HELD_OUT_SHARE = 0.08
"""Share of the sentences, chosen by a hash, that are not used for training."""


def _a_thing(adjective: Adjective, noun: Noun) -> dict[str, str]:
    """'a red boat', as the object of a sentence."""
    gender, singular, _ = noun.es
    es = f"{'un' if gender == 'm' else 'una'} {singular} {adjective.es[gender]}"
    gender, singular, _ = noun.de
    article, ending = {"m": ("einen", "en"), "f": ("eine", "e"), "n": ("ein", "es")}[gender]
    de = f"{article} {adjective.de}{ending} {singular}"
    gender, singular, _ = noun.fr
    before, forms = adjective.fr
    phrase = f"{forms[gender]} {singular}" if before else f"{singular} {forms[gender]}"
    fr = f"{'un' if gender == 'm' else 'une'} {phrase}"
    gender, _, accusative, _ = noun.ru
    form = adjective.ru_accusative_f if gender == "f" else adjective.ru[gender]
    return {
        "en": f"{'an' if adjective.en[0] in 'aeiou' else 'a'} {adjective.en} {noun.en[0]}",
        "es": es,
        "de": de,
        "fr": fr,
        "ru": f"{form} {accusative}",
        "zh": f"一{noun.zh[0]}{adjective.zh}{noun.zh[1]}",
    }


def _the_thing(adjective: Adjective, noun: Noun) -> dict[str, str]:
    """'the red boat', as the subject of a sentence."""
    gender, singular, _ = noun.es
    es = f"{'el' if gender == 'm' else 'la'} {singular} {adjective.es[gender]}"
    gender, singular, _ = noun.de
    de = f"{ {'m': 'der', 'f': 'die', 'n': 'das'}[gender] } {adjective.de}e {singular}"
    gender, singular, _ = noun.fr
    before, forms = adjective.fr
    phrase = f"{forms[gender]} {singular}" if before else f"{singular} {forms[gender]}"
    return {
        "en": f"the {adjective.en} {noun.en[0]}",
        "es": es,
        "de": de,
        "fr": f"{'le' if gender == 'm' else 'la'} {phrase}",
        "ru": f"{adjective.ru[noun.ru[0]]} {noun.ru[1]}",
        "zh": f"{adjective.zh}{noun.zh[1]}",
    }


def _does(pick: random.Random) -> Sentence:
    person, action, place = pick.choice(PERSONS), pick.choice(ACTIONS), pick.choice(PLACES)
    thing = _a_thing(pick.choice(ADJECTIVES), pick.choice(NOUNS))
    sentence = {
        language: f"{person[language]} {action[language]} {thing[language]} {place[language]}."
        for language in LANGUAGES
    }
    sentence["zh"] = f"{person['zh']}在{place['zh']}{action['zh']}{thing['zh']}。"
    return sentence


def _does_then(pick: random.Random) -> Sentence:
    person, action, time = pick.choice(PERSONS), pick.choice(ACTIONS), pick.choice(TIMES)
    thing = _a_thing(pick.choice(ADJECTIVES), pick.choice(NOUNS))
    sentence = {
        language: f"{time[language]} {person[language]} {action[language]} {thing[language]}."
        for language in LANGUAGES
    }
    sentence["de"] = f"{time['de']} {action['de']} {person['de']} {thing['de']}."
    sentence["zh"] = f"{time['zh']}{person['zh']}{action['zh']}{thing['zh']}。"
    return sentence


def _weather(pick: random.Random) -> Sentence:
    time, weather, city = pick.choice(TIMES), pick.choice(WEATHER), pick.choice(CITIES)
    return {
        "en": f"{time['en']} {weather['en']} in {city.en}.",
        "es": f"{time['es']} {weather['es']} en {city.es}.",
        "de": f"{time['de']} {weather['de']} in {city.de}.",
        "fr": f"{time['fr']} {weather['fr']} à {city.fr}.",
        "ru": f"{time['ru']} в {city.ru[2]} {weather['ru']}.",
        "zh": f"{time['zh']}{city.zh}{weather['zh']}。",
    }


def _departure(pick: random.Random) -> Sentence:
    vehicle, city, number = pick.choice(VEHICLES), pick.choice(CITIES), pick.choice(NUMBERS)
    return {
        "en": f"{vehicle['en']} to {city.en} leaves at {number['en']} o'clock.",
        "es": f"{vehicle['es']} a {city.es} sale a las {number['es']}.",
        "de": f"{vehicle['de']} nach {city.de} fährt um {number['de']} Uhr ab.",
        "fr": f"{vehicle['fr']} pour {city.fr} part à {number['fr']} heures.",
        "ru": f"{vehicle['ru']} в {city.ru[0]} отправляется в {number['ru']} часов.",
        "zh": f"去{city.zh}的{vehicle['zh']}{number['zh']}点出发。",
    }


def _arrival(pick: random.Random) -> Sentence:
    vehicle, city, number = pick.choice(VEHICLES), pick.choice(CITIES), pick.choice(NUMBERS)
    return {
        "en": f"{vehicle['en']} from {city.en} arrives at {number['en']} o'clock.",
        "es": f"{vehicle['es']} de {city.es} llega a las {number['es']}.",
        "de": f"{vehicle['de']} aus {city.de} kommt um {number['de']} Uhr an.",
        "fr": f"{vehicle['fr']} de {city.fr} arrive à {number['fr']} heures.",
        "ru": f"{vehicle['ru']} из {city.ru[1]} прибывает в {number['ru']} часов.",
        "zh": f"从{city.zh}来的{vehicle['zh']}{number['zh']}点到达。",
    }


def _count(pick: random.Random) -> Sentence:
    number, noun, place = pick.choice(NUMBERS), pick.choice(NOUNS), pick.choice(PLACES)
    return {
        "en": f"there are {number['en']} {noun.en[1]} {place['en']}.",
        "es": f"hay {number['es']} {noun.es[2]} {place['es']}.",
        "de": f"es gibt {number['de']} {noun.de[2]} {place['de']}.",
        "fr": f"il y a {number['fr']} {noun.fr[2]} {place['fr']}.",
        "ru": f"{place['ru']} есть {number['ru']} {noun.ru[3]}.",
        "zh": f"{place['zh']}有{number['zh']}{noun.zh[0]}{noun.zh[1]}。",
    }


def _where(pick: random.Random) -> Sentence:
    thing = _the_thing(pick.choice(ADJECTIVES), pick.choice(NOUNS))
    return {
        "en": f"where is {thing['en']}?",
        "es": f"¿dónde está {thing['es']}?",
        "de": f"wo ist {thing['de']}?",
        "fr": f"où est {thing['fr']} ?",
        "ru": f"где {thing['ru']}?",
        "zh": f"{thing['zh']}在哪里？",
    }


def _order(pick: random.Random) -> Sentence:
    drink, food = pick.choice(DRINKS), pick.choice(FOODS)
    return {
        "en": f"I would like {drink['en']} and {food['en']}, please.",
        "es": f"quisiera {drink['es']} y {food['es']}, por favor.",
        "de": f"ich möchte {drink['de']} und {food['de']}, bitte.",
        "fr": f"je voudrais {drink['fr']} et {food['fr']}, s'il vous plaît.",
        "ru": f"я хочу {drink['ru']} и {food['ru']}, пожалуйста.",
        "zh": f"请给我{drink['zh']}和{food['zh']}。",
    }


def _together(pick: random.Random) -> Sentence:
    (first, second), pastime = pick.sample(PERSONS, 2), pick.choice(PASTIMES)
    place = pick.choice(PLACES)
    conjunction = {"en": "and", "es": "y", "de": "und", "fr": "et", "ru": "и"}
    sentence = {
        language: f"{first[language]} {conjunction[language]} {second[language]} "
        f"{pastime[language]} {place[language]}."
        for language in conjunction
    }
    sentence["zh"] = f"{first['zh']}和{second['zh']}在{place['zh']}{pastime['zh']}。"
    return sentence


def _speaks(pick: random.Random) -> Sentence:
    person, (first, second) = pick.choice(PERSONS), pick.sample(TONGUES, 2)
    # "e", not "y", before the sound i: español e inglés.
    conjunction = "e" if second["es"].startswith("i") else "y"
    return {
        "en": f"{person['en']} speaks {first['en']} and {second['en']}.",
        "es": f"{person['es']} habla {first['es']} {conjunction} {second['es']}.",
        "de": f"{person['de']} spricht {first['de']} und {second['de']}.",
        "fr": f"{person['fr']} parle {first['fr']} et {second['fr']}.",
        "ru": f"{person['ru']} говорит {first['ru']} и {second['ru']}.",
        "zh": f"{person['zh']}说{first['zh']}和{second['zh']}。",
    }


def _travels(pick: random.Random) -> Sentence:
    person, time = pick.choice(PERSONS), pick.choice(TIMES)
    city, means = pick.choice(CITIES), pick.choice(MEANS)
    return {
        "en": f"{time['en']} {person['en']} travels to {city.en} {means['en']}.",
        "es": f"{time['es']} {person['es']} viaja a {city.es} {means['es']}.",
        "de": f"{time['de']} reist {person['de']} {means['de']} nach {city.de}.",
        "fr": f"{time['fr']} {person['fr']} va à {city.fr} {means['fr']}.",
        "ru": f"{time['ru']} {person['ru']} едет в {city.ru[0]} {means['ru']}.",
        "zh": f"{time['zh']}{person['zh']}{means['zh']}去{city.zh}。",
    }


def _news(pick: random.Random) -> Sentence:
    greeting, city = pick.choice(GREETINGS), pick.choice(CITIES)
    return {
        "en": f"{greeting['en']}, this is the news from {city.en}.",
        "es": f"{greeting['es']}, estas son las noticias de {city.es}.",
        "de": f"{greeting['de']}, hier sind die Nachrichten aus {city.de}.",
        "fr": f"{greeting['fr']}, voici les informations de {city.fr}.",
        "ru": f"{greeting['ru']}, это новости из {city.ru[1]}.",
        "zh": f"{greeting['zh']}，这里是{city.zh}新闻。",
    }


@dataclass(frozen=True)
class Template:
    fill: Callable[[random.Random], Sentence]
    weight: float
    """Relative frequency; templates with more possible sentences are more frequent."""


TEMPLATES = [
    Template(_does, 30),
    Template(_does_then, 22),
    Template(_together, 12),
    Template(_travels, 12),
    Template(_count, 10),
    Template(_speaks, 8),
    Template(_weather, 8),
    Template(_departure, 6),
    Template(_arrival, 6),
    Template(_where, 6),
    Template(_order, 3),
    Template(_news, 2),
]


def _as_written(text: str) -> str:
    """Capitalize the first letter, after a Spanish ¿."""
    start = 1 if text.startswith("¿") else 0
    return text[:start] + text[start].upper() + text[start + 1 :]


def is_held_out(sentence: Sentence) -> bool:
    """Whether a sentence is held out from training; depends only on a hash of its English text."""
    digest = hashlib.sha256(sentence["en"].encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def sentences(*, held_out: bool, seed: int) -> Iterator[Sentence]:
    """Endless random sentences, all or none held out. Consecutive ones have different templates."""
    pick = random.Random(seed)
    weights = [template.weight for template in TEMPLATES]
    previous = None
    while True:
        template = pick.choices(TEMPLATES, weights)[0]
        if template is previous:
            continue
        sentence = {k: _as_written(v) for k, v in template.fill(pick).items()}
        if is_held_out(sentence) == held_out:
            previous = template
            yield sentence


def vocabulary(language: str) -> set[str]:
    """All words (in Chinese, characters) of the grammar in a language, in lower case."""
    found: set[str] = set()
    for _, sentence in zip(range(20_000), sentences(held_out=False, seed=0), strict=False):
        text = "".join(c if c.isalnum() or c in "-'" else " " for c in sentence[language].lower())
        found.update(text.replace(" ", "") if language == "zh" else text.split())
    return found
