"""The committed tables against TensorFlow: at the edges of every range, and at code points between."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from hub2hf.unicode.codepoints import LAST, CodePoints, union
from hub2hf.unicode.tables import _lines, re2_class, scripts, whitespace


def edges(*sets: CodePoints) -> list[str]:
    """Both sides of every edge, and every 997th code point."""
    codes = {code + step for each in sets for pair in each.ranges for code in pair for step in (-1, 0, 1)}
    codes |= set(range(0, LAST + 1, 997))
    return [chr(code) for code in sorted(codes) if 0 <= code <= LAST and not 0xD800 <= code <= 0xDFFF]


@pytest.mark.parametrize("kind", ["re2_category", "re2_script"])
def test_re2_classes(kind: str) -> None:
    for name in _lines()[kind]:
        codes = re2_class(name)
        assert codes is not None
        texts = edges(codes)
        found = tf.strings.regex_full_match(tf.constant([text.encode() for text in texts]), rf"\p{{{name}}}")
        wrong = [text for text, hit in zip(texts, found.numpy(), strict=True) if hit != (ord(text) in codes)]
        assert not wrong, name


@pytest.mark.parametrize("name", ["C", "L", "M", "N", "P", "S", "Z", "Any"])
def test_re2_groups_are_unions(name: str) -> None:
    codes = re2_class(name)
    assert codes is not None
    texts = edges(codes)
    found = tf.strings.regex_full_match(tf.constant([text.encode() for text in texts]), rf"\p{{{name}}}")
    assert found.numpy().tolist() == [ord(text) in codes for text in texts]


def words(texts: list[str]) -> list[int]:
    tokenizer = tf_text.UnicodeScriptTokenizer(keep_whitespace=False)
    lengths = tokenizer.tokenize(tf.constant([text.encode() for text in texts])).row_lengths()
    return [int(length) for length in np.asarray(lengths)]


def test_scripts_and_white_space() -> None:
    blank = whitespace()
    texts = edges(*scripts().values(), blank)
    assert [count == 0 for count in words(texts)] == [ord(text) in blank for text in texts]
    anchors = {name: chr((codes - blank).ranges[0][0]) for name, codes in scripts().items()}
    owner: dict[str, list[str]] = {name: [] for name in anchors}
    names_of = np.full(LAST + 1, "", object)
    for name, codes in scripts().items():
        for low, high in codes.ranges:
            names_of[low : high + 1] = name
    for text in texts:
        owner[names_of[ord(text)]].append(text)
    alike = [(name, text) for name, members in owner.items() for text in members]
    counts = words([anchors[name] + text + anchors[name] for name, text in alike])
    assert not [pair for pair, count in zip(alike, counts, strict=True) if count != 1]
    names = sorted(anchors)
    assert set(words([anchors[a] + anchors[b] for a in names for b in names if a < b])) == {2}


def test_scripts_are_a_partition() -> None:
    assert sum(map(len, scripts().values())) == LAST + 1 == len(union(scripts().values()))
