"""The vocabulary of the demo model, in its six languages.

Every entry is one meaning. It lists all forms that a template needs (gender, case, measure word),
so that no template must inflect. Each sentence has exactly one English translation: there are no
synonyms, no pronouns (he and she sound alike in Chinese), and no tenses that some language does not
distinguish.
"""

from typing import NamedTuple

LANGUAGES = ("en", "es", "de", "fr", "ru", "zh")

Entry = dict[str, str]


def _entries(*rows: str) -> list[Entry]:
    """One entry per row: its forms in the order of LANGUAGES, separated by `|`."""
    return [dict(zip(LANGUAGES, row.split("|"), strict=True)) for row in rows]


class Noun(NamedTuple):
    """A thing: gender, singular, plural, and the cases that the templates need."""

    en: tuple[str, str]  # singular, plural
    es: tuple[str, str, str]  # gender, singular, plural
    de: tuple[str, str, str]
    fr: tuple[str, str, str]
    ru: tuple[str, str, str, str]  # gender, nominative, accusative, genitive plural
    zh: tuple[str, str]  # measure word, noun


NOUNS = [
    Noun(
        ("boat", "boats"),
        ("m", "barco", "barcos"),
        ("n", "Boot", "Boote"),
        ("m", "bateau", "bateaux"),
        ("f", "лодка", "лодку", "лодок"),
        ("条", "船"),
    ),
    Noun(
        ("lamp", "lamps"),
        ("f", "lámpara", "lámparas"),
        ("f", "Lampe", "Lampen"),
        ("f", "lampe", "lampes"),
        ("f", "лампа", "лампу", "ламп"),
        ("盏", "灯"),
    ),
    Noun(
        ("book", "books"),
        ("m", "libro", "libros"),
        ("n", "Buch", "Bücher"),
        ("m", "livre", "livres"),
        ("f", "книга", "книгу", "книг"),
        ("本", "书"),
    ),
    Noun(
        ("window", "windows"),
        ("f", "ventana", "ventanas"),
        ("n", "Fenster", "Fenster"),
        ("f", "fenêtre", "fenêtres"),
        ("n", "окно", "окно", "окон"),
        ("扇", "窗户"),
    ),
    Noun(
        ("bicycle", "bicycles"),
        ("f", "bicicleta", "bicicletas"),
        ("n", "Fahrrad", "Fahrräder"),
        ("m", "vélo", "vélos"),
        ("m", "велосипед", "велосипед", "велосипедов"),
        ("辆", "自行车"),
    ),
    Noun(
        ("letter", "letters"),
        ("f", "carta", "cartas"),
        ("m", "Brief", "Briefe"),
        ("f", "lettre", "lettres"),
        ("n", "письмо", "письмо", "писем"),
        ("封", "信"),
    ),
    Noun(
        ("table", "tables"),
        ("f", "mesa", "mesas"),
        ("m", "Tisch", "Tische"),
        ("f", "table", "tables"),
        ("m", "стол", "стол", "столов"),
        ("张", "桌子"),
    ),
    Noun(
        ("mirror", "mirrors"),
        ("m", "espejo", "espejos"),
        ("m", "Spiegel", "Spiegel"),
        ("m", "miroir", "miroirs"),
        ("n", "зеркало", "зеркало", "зеркал"),
        ("面", "镜子"),
    ),
    Noun(
        ("umbrella", "umbrellas"),
        ("m", "paraguas", "paraguas"),
        ("m", "Regenschirm", "Regenschirme"),
        ("m", "parapluie", "parapluies"),
        ("m", "зонтик", "зонтик", "зонтиков"),
        ("把", "雨伞"),
    ),
    Noun(
        ("camera", "cameras"),
        ("f", "cámara", "cámaras"),
        ("f", "Kamera", "Kameras"),
        ("f", "caméra", "caméras"),
        ("f", "камера", "камеру", "камер"),
        ("台", "相机"),
    ),
    Noun(
        ("hat", "hats"),
        ("m", "sombrero", "sombreros"),
        ("m", "Hut", "Hüte"),
        ("m", "chapeau", "chapeaux"),
        ("f", "шляпа", "шляпу", "шляп"),
        ("顶", "帽子"),
    ),
]


class Adjective(NamedTuple):
    """A quality, by gender if it agrees; in French, with its place before or after the noun."""

    en: str
    es: dict[str, str]
    de: str  # the stem: endings are regular
    fr: tuple[bool, dict[str, str]]
    ru: dict[str, str]  # nominative
    ru_accusative_f: str
    zh: str


ADJECTIVES = [
    Adjective(
        "red",
        {"m": "rojo", "f": "roja"},
        "rot",
        (False, {"m": "rouge", "f": "rouge"}),
        {"m": "красный", "f": "красная", "n": "красное"},
        "красную",
        "红色的",
    ),
    Adjective(
        "old",
        {"m": "viejo", "f": "vieja"},
        "alt",
        (True, {"m": "vieux", "f": "vieille"}),
        {"m": "старый", "f": "старая", "n": "старое"},
        "старую",
        "旧",
    ),
    Adjective(
        "new",
        {"m": "nuevo", "f": "nueva"},
        "neu",
        (True, {"m": "nouveau", "f": "nouvelle"}),
        {"m": "новый", "f": "новая", "n": "новое"},
        "новую",
        "新",
    ),
    Adjective(
        "small",
        {"m": "pequeño", "f": "pequeña"},
        "klein",
        (True, {"m": "petit", "f": "petite"}),
        {"m": "маленький", "f": "маленькая", "n": "маленькое"},
        "маленькую",
        "小",
    ),
    Adjective(
        "green",
        {"m": "verde", "f": "verde"},
        "grün",
        (False, {"m": "vert", "f": "verte"}),
        {"m": "зелёный", "f": "зелёная", "n": "зелёное"},
        "зелёную",
        "绿色的",
    ),
    Adjective(
        "beautiful",
        {"m": "bonito", "f": "bonita"},
        "schön",
        (True, {"m": "beau", "f": "belle"}),
        {"m": "красивый", "f": "красивая", "n": "красивое"},
        "красивую",
        "漂亮的",
    ),
]

PERSONS = _entries(
    "Anna|Ana|Anna|Anne|Анна|安娜",
    "Peter|Pedro|Peter|Pierre|Пётр|彼得",
    "the teacher|la maestra|die Lehrerin|la maîtresse|учительница|老师",
    "the doctor|el médico|der Arzt|le médecin|врач|医生",
    "the captain|el capitán|der Kapitän|le capitaine|капитан|船长",
    "my brother|mi hermano|mein Bruder|mon frère|мой брат|我哥哥",
    "my sister|mi hermana|meine Schwester|ma sœur|моя сестра|我姐姐",
    "the farmer|el granjero|der Bauer|le fermier|фермер|农民",
    "the girl|la niña|das Mädchen|la fille|девочка|女孩",
    "the driver|el conductor|der Fahrer|le chauffeur|водитель|司机",
)

ACTIONS = _entries(  # with an object
    "buys|compra|kauft|achète|покупает|买",
    "finds|encuentra|findet|trouve|находит|找到",
    "draws|dibuja|zeichnet|dessine|рисует|画",
    "brings|trae|bringt|apporte|приносит|带来",
    "is looking for|busca|sucht|cherche|ищет|寻找",
    "repairs|repara|repariert|répare|ремонтирует|修理",
)

PASTIMES = _entries(  # of several persons
    "sing|cantan|singen|chantent|поют|唱歌",
    "work|trabajan|arbeiten|travaillent|работают|工作",
    "play|juegan|spielen|jouent|играют|玩耍",
    "wait|esperan|warten|attendent|ждут|等待",
    "dance|bailan|tanzen|dansent|танцуют|跳舞",
)

PLACES = _entries(  # the Chinese ones without 在
    "in the garden|en el jardín|im Garten|dans le jardin|в саду|花园里",
    "in the kitchen|en la cocina|in der Küche|dans la cuisine|на кухне|厨房里",
    "at the station|en la estación|am Bahnhof|à la gare|на вокзале|车站",
    "at school|en la escuela|in der Schule|à l'école|в школе|学校",
    "at the harbor|en el puerto|am Hafen|au port|в порту|港口",
    "at the market|en el mercado|auf dem Markt|au marché|на рынке|市场",
)

TIMES = _entries(
    "today|hoy|heute|aujourd'hui|сегодня|今天",
    "tomorrow|mañana|morgen|demain|завтра|明天",
    "on Monday|el lunes|am Montag|lundi|в понедельник|星期一",
    "on Friday|el viernes|am Freitag|vendredi|в пятницу|星期五",
    "on Sunday|el domingo|am Sonntag|dimanche|в воскресенье|星期天",
    "every day|todos los días|jeden Tag|chaque jour|каждый день|每天",
    "in the evening|por la noche|am Abend|le soir|вечером|晚上",
)

WEATHER = _entries(
    "it is raining|llueve|regnet es|il pleut|идёт дождь|下雨",
    "it is snowing|nieva|schneit es|il neige|идёт снег|下雪",
    "it is cold|hace frío|ist es kalt|il fait froid|холодно|很冷",
    "it is hot|hace calor|ist es heiß|il fait chaud|жарко|很热",
    "the sun is shining|brilla el sol|scheint die Sonne|le soleil brille|светит солнце|出太阳",
)


class City(NamedTuple):
    """A city's name; in Russian its nominative, genitive and locative."""

    en: str
    es: str
    de: str
    fr: str
    ru: tuple[str, str, str]
    zh: str


CITIES = [
    City("London", "Londres", "London", "Londres", ("Лондон", "Лондона", "Лондоне"), "伦敦"),
    City("Paris", "París", "Paris", "Paris", ("Париж", "Парижа", "Париже"), "巴黎"),
    City("Berlin", "Berlín", "Berlin", "Berlin", ("Берлин", "Берлина", "Берлине"), "柏林"),
    City("Madrid", "Madrid", "Madrid", "Madrid", ("Мадрид", "Мадрида", "Мадриде"), "马德里"),
    City("Vienna", "Viena", "Wien", "Vienne", ("Вену", "Вены", "Вене"), "维也纳"),
    City("Beijing", "Pekín", "Peking", "Pékin", ("Пекин", "Пекина", "Пекине"), "北京"),
]

VEHICLES = _entries(  # that run to a timetable
    "the train|el tren|der Zug|le train|поезд|火车",
    "the bus|el autobús|der Bus|le bus|автобус|公共汽车",
    "the plane|el avión|das Flugzeug|l'avion|самолёт|飞机",
)

MEANS = _entries(  # of travelling
    "by train|en tren|mit dem Zug|en train|на поезде|坐火车",
    "by bus|en autobús|mit dem Bus|en bus|на автобусе|坐公共汽车",
    "by car|en coche|mit dem Auto|en voiture|на машине|开车",
)

NUMBERS = _entries(
    "five|cinco|fünf|cinq|пять|五",
    "six|seis|sechs|six|шесть|六",
    "seven|siete|sieben|sept|семь|七",
    "eight|ocho|acht|huit|восемь|八",
    "nine|nueve|neun|neuf|девять|九",
    "ten|diez|zehn|dix|десять|十",
)

DRINKS = _entries(
    "tea|té|Tee|du thé|чай|茶",
    "coffee|café|Kaffee|du café|кофе|咖啡",
    "milk|leche|Milch|du lait|молоко|牛奶",
    "water|agua|Wasser|de l'eau|воду|水",
)

FOODS = _entries(
    "bread|pan|Brot|du pain|хлеб|面包",
    "soup|sopa|Suppe|de la soupe|суп|汤",
    "fish|pescado|Fisch|du poisson|рыбу|鱼",
    "cheese|queso|Käse|du fromage|сыр|奶酪",
    "rice|arroz|Reis|du riz|рис|米饭",
)

TONGUES = _entries(  # to speak
    "English|inglés|Englisch|anglais|по-английски|英语",
    "Spanish|español|Spanisch|espagnol|по-испански|西班牙语",
    "German|alemán|Deutsch|allemand|по-немецки|德语",
    "French|francés|Französisch|français|по-французски|法语",
    "Russian|ruso|Russisch|russe|по-русски|俄语",
    "Chinese|chino|Chinesisch|chinois|по-китайски|汉语",
)

GREETINGS = _entries(
    "good morning|buenos días|guten Morgen|bonjour|доброе утро|早上好",
    "good evening|buenas tardes|guten Abend|bonsoir|добрый вечер|晚上好",
)
