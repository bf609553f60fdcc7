"""Read the Unicode tables that TensorFlow itself uses, and write them as ranges.

TensorFlow's regex ops carry RE2's Unicode tables and TensorFlow Text carries its own copy of ICU. The two
follow different Unicode versions, and neither is Python's, Oniguruma's, or even the ICU inside
`tf.strings.unicode_script`. So every table is observed: each code point goes through the very op that a
graph would use.

    python scripts/build_unicode_tables.py           # rewrite convert/unicode/unicode_tables.txt
    python scripts/build_unicode_tables.py --check   # exit 1 if TensorFlow and the file differ
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_text as tf_text

TABLES = Path(__file__).parent.parent / "convert" / "unicode" / "unicode_tables.txt"

# RE2's two-letter general categories (re2/unicode_groups.cc, `unicode_groups`). The one-letter ones are
# their unions. Cs has no UTF-8 form, so no string tensor holds one; Cn is not a class RE2 knows.
CATEGORIES = "Cc Cf Co Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs"

# Every script name of Unicode 16 (PropertyValueAliases.txt, property sc); RE2 refuses those newer than it.
SCRIPT_NAMES = """
Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki
Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee
Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan
Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati
Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana
Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi
Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin Lepcha Limbu Linear_A
Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin
Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar
Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal
Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic
Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang
Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese
Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana
Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi
Zanabazar_Square
"""

Codes = npt.NDArray[np.int64]
CODES: Codes = np.array([*range(0xD800), *range(0xE000, 0x110000)])
TEXTS = [chr(code) for code in CODES]
_encoded = tf.constant([text.encode() for text in TEXTS])
_tokenizer = tf_text.UnicodeScriptTokenizer(keep_whitespace=False)
_count_words = tf.function(
    lambda texts: _tokenizer.tokenize(texts).row_lengths(), input_signature=[tf.TensorSpec([None], tf.string)]
)


def words(texts: Iterable[str]) -> Codes:
    """How many words `UnicodeScriptTokenizer` finds in each text."""
    return np.asarray(_count_words(tf.constant([text.encode() for text in texts])))


def re2_class(name: str) -> Codes:
    """The code points that `\\p{name}` matches; InvalidArgumentError when RE2 has no such class."""
    matches = tf.strings.regex_full_match(_encoded, rf"\p{{{name}}}")
    return np.asarray(CODES[np.asarray(matches)])


def _add(code: int, same: Codes, members: list[list[int]], tried: int) -> None:
    """Put a code point with the script it proved to share, or with a script met since the test, or apart."""
    if not len(same):
        text = chr(code)
        newer = range(tried, len(members))
        same = np.array([i for i in newer if words([chr(members[i][0]) + text])[0] == 1], int)
    if len(same):
        members[same[0]].append(code)
    else:
        members.append([code])


def icu_scripts(whitespace: set[int]) -> list[Codes]:
    """The partition of all code points by the script TensorFlow Text sees.

    Two characters have one script when the tokenizer leaves them one word. White space is dropped from
    words, so it is held between two characters of the script: `x␠x` is one word only if all three share it.
    """
    guess = tf.strings.unicode_script(tf.constant(CODES, tf.int32)).numpy()
    members: list[list[int]] = []
    left = np.ones(len(CODES), bool)
    for code in sorted(set(guess.tolist())):  # TensorFlow's own ICU is older, but nearly right, so quick
        candidates = np.flatnonzero(guess == code)
        anchor = next(TEXTS[i] for i in candidates if CODES[i] not in whitespace)
        same = candidates[words(anchor + TEXTS[i] + anchor for i in candidates) == 1]
        members.append(CODES[same].tolist())
        left[same] = False
    for chunk in np.array_split(np.flatnonzero(left), 8):  # then what it got wrong, against every script
        anchors = [next(chr(code) for code in group if code not in whitespace) for group in members]
        found = words(anchor + TEXTS[index] + anchor for index in chunk for anchor in anchors)
        for index, row in zip(chunk, found.reshape(len(chunk), -1), strict=True):
            _add(int(CODES[index]), np.flatnonzero(row == 1), members, len(anchors))
    return [np.sort(group) for group in members]


def script_labels(scripts: list[Codes], re2: dict[str, Codes]) -> list[str]:
    """A name for each ICU script: that of the RE2 script it shares most with, else its first code point."""
    owner = np.full(0x110000, len(re2))
    for number, codes in enumerate(re2.values()):
        owner[codes] = number
    labels = []
    for group in scripts:
        shared = np.bincount(owner[group], minlength=len(re2))[: len(re2)]
        if shared.any():
            labels.append(list(re2)[int(shared.argmax())])
        else:
            labels.append("Unknown" if len(group) > 100_000 else f"From_{group[0]:X}")
    if len(set(labels)) != len(labels):
        raise AssertionError("two ICU scripts would share a label")
    return labels


def ranges(codes: Iterable[int]) -> Iterator[str]:
    """`41-5A AA B5`: inclusive ranges in hexadecimal."""
    ordered = sorted(int(code) for code in codes)
    for _, group in itertools.groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
        run = [code for _, code in group]
        yield f"{run[0]:X}" if len(run) == 1 else f"{run[0]:X}-{run[-1]:X}"


def build() -> str:
    """The whole file, as text."""
    whitespace = CODES[words(TEXTS) == 0]
    re2 = {}
    for name in SCRIPT_NAMES.split():
        try:
            re2[name] = re2_class(name)
        except tf.errors.InvalidArgumentError:
            continue  # a script newer than this RE2
    scripts = icu_scripts(set(whitespace.tolist()))
    labels = script_labels(scripts, re2)
    sections = [("icu_whitespace", "", whitespace)]
    sections += [("icu_script", label, scripts[labels.index(label)]) for label in sorted(labels)]
    sections += [("re2_category", name, re2_class(name)) for name in CATEGORIES.split()]
    sections += [("re2_script", name, re2[name]) for name in sorted(re2)]
    lines = [
        "# Code points as TensorFlow's ops see them; written by scripts/build_unicode_tables.py, not by hand.",
        "# One table a line: kind, name, inclusive ranges in hexadecimal. Surrogates are in none.",
        "# icu_script Unknown is whatever no other icu_script line holds, so it is not listed.",
    ]
    for kind, name, codes in sections:
        if (kind, name) != ("icu_script", "Unknown"):
            lines.append(" ".join([kind, name or "-", *ranges(codes.tolist())]))
    return "\n".join(lines) + "\n"


def write_or_compare(path: Path, build: Callable[[], str], about: str | None) -> int:
    """Write what `build` gives to `path`, or compare it with what stands there, as the command line says."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    compare = parser.parse_args().check
    text = build()
    if compare:
        same = path.read_text(encoding="ascii") == text
        print("identical" if same else f"{path} differs from TensorFlow {tf.__version__}")
        return 0 if same else 1
    path.write_text(text, encoding="ascii")
    print(f"{path}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(write_or_compare(TABLES, build, __doc__))
