"""The texts on which TensorFlow is the witness: sentences, traps and generated hard ones, the same in every Python."""

from __future__ import annotations

import json
import random
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "configs"

ALPHABETS = {
    "Latin": "abcdeghiknoprstuwzABDEGMSWéèüßñŁ",
    "Cyrillic": "абвгдежзиклмнопрстуяАБ",
    "Greek": "αβγδεικλμνοπρστω",
    "Han": "我喜欢每天早上带着狗在海滩散步子犬私一緒漢字貓",
    "Hiragana": "はいすでとのがきなか",
    "Katakana": "ワンチャイヌカタナ",
    "Hangul": "강아지개산책해변",
    "Thai": "สุนัขฉันชอบเดิน",
    "Arabic": "كلبجروشاطئحوالي",
    "Hebrew": "כלבגורחוף",
    "Devanagari": "कुत्तापिल्लेमुझे",
    "digits": "0123456789",
    "punctuation": "!?.,;:-()[]'\"%&/…—«»“”。、！？",
    "symbols": "+=<>$€£¥^`|~°±×÷§©",
    "emoji": "😀😁😂😍🙏🙂🚀🐶⚽☀☂♥",
    "modifiers": "\U0001f3fb\U0001f3ff\ufe0f\u200d\u20e3",
    "marks": "\u0301\u0308\u0327\u093c\u064e",
    "spaces": " \u00a0\u3000\t\n",
    "controls": "\u0001\u200b\u200d\u00ad\u2060\ufeff\u0085",
    "astral": "𠮷𪚥𝒳𐍈",
}


def _sentences(every: int) -> list[str]:
    lines = (CONFIGS / "sentences.tsv").read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [row[1] for row in rows if len(row) > 1][::every]


def _traps() -> list[str]:
    lines = (CONFIGS / "traps.tsv").read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [json.loads(row[1]) for row in rows]


def _mixed(draw: random.Random, count: int) -> list[str]:
    """Return texts of runs from alphabets in any order."""
    names = list(ALPHABETS)
    texts = []
    for _ in range(count):
        runs = []
        for _ in range(draw.randint(1, 14)):
            letters = ALPHABETS[draw.choice(names)]
            runs.append("".join(draw.choice(letters) for _ in range(draw.randint(1, 6))))
        texts.append(draw.choice(["", " "]).join(runs))
    return texts


def _long(draw: random.Random) -> list[str]:
    """Return texts far beyond the limit, with many different pieces; words at the edge of 100 bytes."""
    letters = "".join(
        ALPHABETS[name] for name in ("Latin", "Cyrillic", "Greek", "Han", "Hangul", "digits", "punctuation")
    )
    many = ["".join(draw.choice(letters) + draw.choice(["", " ", " "]) for _ in range(n)) for n in (130, 200, 300, 700)]
    ordered = ["".join(chr(0x4E00 + i) for i in range(start, start + 200)) for start in (0, 300)]
    around = [" ".join(draw.choice(ALPHABETS["Han"]) + "a" for _ in range(n)) for n in (62, 63, 64, 65)]
    exact = ["狗" * n for n in (125, 126, 127, 128, 129, 400)]
    words = ["a" * n for n in (99, 100, 101, 150)] + ["я" * n for n in (49, 50, 51)] + ["ั" * 33, "น" * 33, "น" * 34]
    words += ["dog " + "é" * 50 + "a cat", "!" * 101, "狗" * 34, "😀" * 26, "1" * 100, "1 " * 60, "は" * 34]
    return [*many, *ordered, *around, *exact, *words, "dog " * 200, ("我喜欢 dog. " * 40).strip(), "?!" * 80]


HARD = [
    "a", "Z", "é", "我", "は", "1", "!", "😀", " ", "", "\u0301", "\x09", "\u200d", "𠮷", "[CLS]",
    "[UNK] [SEP]", "##a", "a##b", "dog狗dog", "狗 狗狗", "!我!", "1我1", "😀😀", "a😀b", "😀a", "☀1", "1☀",
    "3.5☀", "☀☀!", "...", "!?1", "1!?", "$5", "5$", "€", "😀.", ".😀", "n. 286", "3,5%", "3 . 5",
    "x\u200dy", "👨\u200d👩\u200d👧", "❤\ufe0f", "1\ufe0f\u20e3", "🇩🇪", "👋🏽 hi", "a\xadb", "e\u0301e",
    "私は犬と一緒に。", "々〆", "「犬」", "カー", "한국어 狗", "dog\x0acat", "DOG dog Dog", "ﬁ Å ½ ①", "İi", "ＡＢ１２！",
    "0123456789", "犬は", "は犬", "犬は犬", "狗a狗", "a狗a", "  dog  cat  ", "dog cat dog cat", "cat dog",
    "the of and", "aaa bbb", "ab ba", "0 0 0", "的 我 是", "a b c d e f g h i j", "Hund. Hund, Hund!",
    "12.50€", "7:30", "(dog)", "\u3000狗\u3000", "\u2028a\u2029b", "a\x00b",
]  # fmt: skip


def texts(every: int = 4, mixed: int = 60) -> list[str]:
    """Return the texts, in an order that does not follow their length, none twice."""
    draw = random.Random(9)
    found = [*HARD, *_sentences(every), *_traps(), *_mixed(draw, mixed), *_long(draw)]
    found = list(dict.fromkeys(found))
    draw.shuffle(found)
    return found
