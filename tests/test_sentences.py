"""The sentences and traps of configs against languages, scripts and signs listed here, not read from the code."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[1] / "configs"

# The languages of the LEALLA-large model card, in its order.
# fmt: off
CARD = [
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "bo", "bs", "ca", "ceb", "co", "cs", "cy", "da", "de",
    "el", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "haw", "he",
    "hi", "hmn", "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv", "ka", "kk", "km", "kn", "ko",
    "ku", "ky", "la", "lb", "lo", "lt", "lv", "mg", "mi", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne",
    "nl", "no", "ny", "or", "pa", "pl", "pt", "ro", "ru", "rw", "si", "sk", "sl", "sm", "sn", "so", "sq",
    "sr", "st", "su", "sv", "sw", "ta", "te", "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz",
    "vi", "wo", "xh", "yi", "yo", "zh", "zu",
]
# fmt: on

# First words of the Unicode names of the letters; every language that is not named is written in Latin.
SCRIPTS = {
    "am": "ETHIOPIC",
    **dict.fromkeys(("ar", "fa", "ug", "ur"), "ARABIC"),
    **dict.fromkeys(("as", "bn"), "BENGALI"),
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "tt", "uk"), "CYRILLIC"),
    "bo": "TIBETAN",
    "el": "GREEK",
    "gu": "GUJARATI",
    **dict.fromkeys(("he", "yi"), "HEBREW"),
    **dict.fromkeys(("hi", "mr", "ne"), "DEVANAGARI"),
    "hy": "ARMENIAN",
    "ja": "CJK HIRAGANA KATAKANA",
    "ka": "GEORGIAN",
    "km": "KHMER",
    "kn": "KANNADA",
    "ko": "HANGUL",
    "lo": "LAO",
    "ml": "MALAYALAM",
    "my": "MYANMAR",
    "or": "ORIYA",
    "pa": "GURMUKHI",
    "si": "SINHALA",
    "ta": "TAMIL",
    "te": "TELUGU",
    "th": "THAI",
    "zh": "CJK",
}

# Where languages share a script: letters that this one has, and letters that only its neighbours have.
SIGNATURES = {
    "as": ("ৰ", "র"),
    "az": ("ə", "ýň"),
    "be": ("ўі", "їєщи"),
    "bg": ("ъ", "ыэјії"),
    "bn": ("র", "ৰৱ"),
    "cs": ("ěšň", "äĺľôŕ"),
    "da": ("øå", "äöð"),
    "eo": ("ĉĝŭ", "qwxy"),
    "fa": ("پگچ\u200c", "يكےٹۇ"),
    "ar": ("ةي", "پچگکی"),
    "ha": ("ɗƙ", "ạịọụẹ"),
    "haw": ("ʻā", "bcdfgjqrstvxyz"),
    "ig": ("ịọụ", "ẹɗƙ"),
    "is": ("ðþ", "åøäő"),
    "kk": ("ңқғ", "җҷҳ"),
    "ku": ("êîûç", "ğıə"),
    "ky": ("өү", "қғәҷ"),
    "lv": ("āīļ", "ąęėų"),
    "lt": ("ąčš", "āīļ"),
    "mi": ("āī", "bcdfjlqsvxyz"),
    "mk": ("ј", "ъыйђћ"),
    "mn": ("өү", "қғәңҗ"),
    "mt": ("ġħ", "ğş"),
    "pl": ("łęąż", "ěř"),
    "ro": ("ăâțș", "ţşãõ"),
    "ru": ("ыщ", "іїўјқ"),
    "sk": ("ňáí", "ěřů"),
    "sr": ("јћ", "йъыщюя"),
    "sw": ("w", "xq"),
    "tg": ("ҳҷӯӣ", "ңөүә"),
    "tk": ("ýňä", "ğıə"),
    "tr": ("ğış", "əýň"),
    "tt": ("әөң", "қғҷҳ"),
    "ug": ("ەۇۈېڭ", "ٹڈےک"),
    "uk": ("їіє", "ыэўё"),
    "ur": ("ےٹ", "يكۇە"),
    "uz": ("‘", "əýşğ"),
    "vi": ("ơưđạ", "wzjf"),
    "yo": ("ẹọ", "ịụɗƙ"),
    "zh": ("们饭爱", "們飯愛邊"),
}
WITHOUT_SPACES = {"bo", "ja", "km", "lo", "my", "th", "zh"}

JOINERS = "\u200c\u200d"  # ZWNJ and ZWJ, which some languages write
NUMBER = re.compile(r"\d[^\w\s]\d")  # 3,5 12.50 7:30, in the digits of any script


def rows(name: str) -> list[list[str]]:
    content = (CONFIGS / name).read_bytes().decode("utf-8")
    assert content.endswith("\n")
    assert "\r" not in content
    return [line.split("\t") for line in content.split("\n")[:-1] if not line.startswith("# ")]


SENTENCES = rows("sentences.tsv")
BY_LANGUAGE = {language: [text for other, text in SENTENCES if other == language] for language in CARD}
TRAPS: dict[str, str] = {name: json.loads(text) for name, text in rows("traps.tsv")}


def is_long(language: str, text: str) -> bool:
    return len(text) >= 60 if language in WITHOUT_SPACES else len(text.split()) >= 20


@pytest.mark.parametrize("name", ["sentences.tsv", "traps.tsv"])
def test_the_file_says_how_it_was_made_and_is_in_normal_form(name: str) -> None:
    content = (CONFIGS / name).read_text(encoding="utf-8")
    header = content[: content.index("\n", content.rindex("\n# ") + 1)]
    assert all(line.startswith("# ") for line in header.splitlines())
    assert "not taken from any corpus" in header
    assert unicodedata.is_normalized("NFC", content)
    assert all(len(row) == 2 and row[0].strip() == row[0] and row[1].strip() == row[1] for row in rows(name))


def test_the_languages_are_those_of_the_card_in_its_order() -> None:
    assert len(CARD) == len(set(CARD)) == 109
    assert list(dict.fromkeys(language for language, _ in SENTENCES)) == CARD
    languages = [language for language, _ in SENTENCES]
    assert languages == sorted(languages, key=CARD.index)


@pytest.mark.parametrize("language", CARD)
def test_a_language_has_a_word_a_short_sentence_one_with_numbers_and_a_long_one(language: str) -> None:
    texts = BY_LANGUAGE[language]
    assert len(set(texts)) == len(texts) >= 4
    word, short, numbers, long = texts[:4]
    assert not any(unicodedata.category(character)[0] in "ZPSNC" for character in word)
    assert len(word) < len(short) < len(long)
    assert not is_long(language, short)
    assert language in WITHOUT_SPACES or " " in short
    assert NUMBER.search(numbers)
    assert is_long(language, long)


@pytest.mark.parametrize("language", CARD)
def test_a_language_is_written_in_its_script(language: str) -> None:
    letters = [c for text in BY_LANGUAGE[language] for c in text if unicodedata.category(c).startswith("L")]
    found = Counter(re.split("[ -]", unicodedata.name(letter))[0] for letter in letters)
    expected = SCRIPTS.get(language, "LATIN").split()
    assert set(expected) <= set(found)
    assert sum(found[script] for script in expected) >= 0.9 * len(letters), found


@pytest.mark.parametrize("language", SIGNATURES)
def test_a_language_has_its_own_letters_and_not_its_neighbours(language: str) -> None:
    own, foreign = (unicodedata.normalize("NFC", letters) for letters in SIGNATURES[language])
    text = " ".join(BY_LANGUAGE[language]).lower()
    assert not [letter for letter in own if letter not in text]
    assert not [letter for letter in foreign if letter in text]


def test_no_sentence_has_controls_or_odd_spaces() -> None:
    for language, text in SENTENCES:
        for character in text:
            visible = not unicodedata.category(character).startswith(("C", "Z")) or character == " "
            assert visible or character in JOINERS, (language, text, hex(ord(character)))
        assert "  " not in text
        assert "\ufffd" not in text


def test_languages_share_single_words_only() -> None:
    times = Counter(text for _, text in SENTENCES if " " in text or len(text) > 12)
    assert not [text for text, count in times.items() if count > 1]


def test_traps_have_unique_names_and_no_hidden_characters() -> None:
    table = rows("traps.tsv")
    assert len(table) == len(TRAPS) >= 50
    assert len(set(TRAPS.values())) == len(TRAPS)
    for name, text in table:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert isinstance(TRAPS[name], str)
        # Seen in the file: no control, mark, unassigned or private code point, no space but U+0020.
        assert not [c for c in text if unicodedata.category(c)[0] in "CMZ" and c != " "], name


def test_traps_have_the_bytes_that_their_names_promise() -> None:
    promises = {name: int(found[1]) for name in TRAPS if (found := re.search(r"(\d+)-bytes", name))}
    assert set(promises.values()) >= {100, 101}
    for name, promised in promises.items():
        kept = [c for c in TRAPS[name] if not c.isspace() and unicodedata.category(c) not in {"Cc", "Cf"}]
        assert len("".join(kept).encode()) == promised, name
    for width, letters in enumerate(("one", "two", "three", "four"), start=1):
        words = [TRAPS[name] for name in promises if f"{letters}-byte-" in name]
        assert min(len(word.encode()) for word in words) <= 100 < max(len(word.encode()) for word in words)
        assert all(Counter(len(c.encode()) for c in word).most_common(1)[0][0] == width for word in words)
    for size in (100, 101):
        mixed = TRAPS[f"word-{size}-bytes-mixed-width-letters"]
        assert {len(character.encode()) for character in mixed} == {1, 2, 3}


def test_traps_have_the_pieces_that_their_names_promise() -> None:
    for name in ("pieces-over-128-latin", "pieces-over-128-thai"):
        assert len(TRAPS[name].split()) > 128  # a word is at least one piece
    assert len(TRAPS["pieces-over-512-latin"].split()) > 512
    for name, size in (("pieces-126-han", 126), ("pieces-127-han", 127), ("pieces-over-128-han", 129)):
        assert all(unicodedata.name(character).startswith("CJK") for character in TRAPS[name])
        assert len(TRAPS[name]) == size or (size == 129 and len(TRAPS[name]) >= size)


def test_traps_hold_what_breaks_ports() -> None:
    everything = "".join(TRAPS.values())
    assert TRAPS["empty"] == ""
    assert all(not TRAPS[name].strip() for name in ("only-spaces", "only-wide-white-space", "only-tabs-and-newlines"))
    wanted = "\t\n\x00\u00ad\u200b\u200c\u200d\u200e\u200f\u202e\u2067\u2060\ufeff"  # deleted, neighbours glued
    wanted += "\u00a0\u1680\u2003\u2028\u3000"  # white space
    wanted += "\u0301\u0308\u3099\ufe0f\u20e3\U0001f3fd\U0001f1e9"  # marks, emoji parts
    wanted += "\ufffd\ue000\u0378\ufdd0\uffff\U0010ffff"
    wanted += "ｶｶかＤ犬𐐔𐌷𒌨Ⅷ²€∑٣३๓"
    assert not [hex(ord(character)) for character in wanted if character not in everything]
    for sign in ("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "##x", "n. 286"):
        assert any(sign in text for text in TRAPS.values())
    categories = {unicodedata.category(character) for character in everything}
    assert categories >= {
        "Cc",
        "Cf",
        "Co",
        "Cn",
        "Mn",
        "Mc",
        "Me",
        "Zs",
        "Zl",
        "Zp",
        "Nl",
        "No",
        "Nd",
        "Sc",
        "Sm",
        "So",
    }
