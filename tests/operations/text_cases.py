"""Cases of operations on texts and code points."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import DTYPES, SHAPES, Case, array_of, types_of, values


def malformed() -> Iterator[Case]:
    rng = np.random.default_rng(1)
    alphabet = np.frombuffer(b"\xff\xe2\x82\xac\xf0\x9f\x98\x80ab\x01\xc3\xa9\xed\xa0\x80\xf4\x90\xc0", np.uint8)
    for _ in range(40):
        texts = [bytes(rng.choice(alphabet, rng.integers(0, 9)).tolist()) for _ in range(3)]
        for errors in ("replace", "ignore", "strict"):
            for controls in (True, False):
                attrs = {
                    "input_encoding": "UTF-8",
                    "errors": errors,
                    "replace_control_characters": controls,
                    "replacement_char": 63,
                }
                for some in (texts, texts[:1]):
                    yield from (Case(op, [some], attrs) for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets"))
                for to in ("UTF-8", "UTF-16-BE"):
                    yield Case("UnicodeTranscode", [texts], attrs | {"output_encoding": to})
        for unit in ("BYTE", "UTF8_CHAR"):
            yield Case("StringLength", [texts], {"unit": unit})
            for at in (-2, -1, 0, 1):
                yield from (
                    Case("Substr", [some, np.int32(at), np.int32(size)], {"unit": unit})
                    for size in (-1, 0, 1, 2, 9)
                    for some in (texts, texts[:1])
                )
        for encoding in ("", "utf-8"):
            yield from (Case(op, [texts], {"encoding": encoding}) for op in ("StringLower", "StringUpper"))
        yield Case("StringStrip", [texts])


def characters() -> Iterator[Case]:
    every = "".join(map(chr, [*range(0x20, 0x500), *range(0x1E00, 0x2200), 0x3A3])).encode()
    for text in (every, "ΑΣ ΑΣΑ Σ ΑΣ.Α ΑΣ' Σ".encode(), "İSTANBUL ŉ ﬁ ß".encode(), b" \t\n\x0b\x0c\r a\x85 "):
        yield from (Case(op, [[text]], {"encoding": "utf-8"}) for op in ("StringLower", "StringUpper"))
        yield Case("StringStrip", [[text]])
    for encoding in ("UTF-16-BE", "UTF-32-BE", "US-ASCII"):
        text = "ab犬😀".encode(encoding.replace("US-ASCII", "utf-8")) if encoding != "US-ASCII" else b"ab"
        for op in ("UnicodeDecode", "UnicodeDecodeWithOffsets"):
            yield Case(op, [[text, b""]], {"input_encoding": encoding})
        yield Case("UnicodeTranscode", [[text]], {"input_encoding": encoding, "output_encoding": "UTF-8"})
    points = np.array([65, -1, 0x110000, 0xD800, 0xDFFF, 0xFFFE, 233, 0x1F600], np.int32)
    for errors in ("replace", "ignore", "strict"):
        for to in ("UTF-8", "UTF-16-BE", "UTF-32-BE"):
            for splits in ([0, 3, 3, 8], [0, 8], [0, 4], [1, 8], [0, 9], [0, 5, 3, 8]):
                yield Case("UnicodeEncode", [points, np.array(splits)], {"output_encoding": to, "errors": errors})
    yield Case("UnicodeScript", [np.arange(-2, 0x110003, dtype=np.int32)])
    yield Case("UnicodeScript", [np.array([[65, 0x4E00]], np.int32)])
    yield Case(
        "WhitespaceTokenizeWithOffsets",
        [np.array([32, 32, 97, 0x3000, 98, 99, 0x85, 100], np.int32), np.array([0, 5, 5, 8])],
    )
    yield Case("WhitespaceTokenizeWithOffsets", [np.array([97], np.int32), np.array([0, 0, 1], np.int32)])


def joins_and_splits() -> Iterator[Case]:
    for shape in ((), (3,), (2, 3), (0,)):
        x = values(tf.string, shape)
        yield Case("StringJoin", [[x, x]], {"separator": "-"})
        yield from (Case("StringJoin", [[x, values(tf.string, other)]]) for other in ((), (2,)))
    for skip in (True, False):
        for by in ("", ",", ",;", " "):
            yield Case("StringSplit", [array_of([" a b ", "a,,b;", "", "  ", "a, b"]), by], {"skip_empty": skip})
    for most in (-1, 0, 1, 2, 3):
        for by in ("", ",", ", ", " "):
            yield Case("StringSplitV2", [array_of([" a b ", "a,,b", "", "  ", "a, b", "я я"]), by], {"maxsplit": most})
        yield Case("StringSplitV2", [values(tf.string, (0,)), ""], {"maxsplit": most})
    for shape in SHAPES:
        for axes in ([], [0], [1], [-1], [1, 0], [0, 1], [5], [0, 0], [2, 0]):
            yield from (
                Case(
                    "ReduceJoin",
                    [values(tf.string, shape), np.array(axes, np.int32)],
                    {"separator": "-", "keep_dims": k},
                )
                for k in (True, False)
            )
        for rank in range(len(shape) + 1):
            for low in (-1, 0):
                yield from (
                    Case(
                        "UnsortedSegmentJoin",
                        [values(tf.string, shape), values(tf.int32, shape[:rank], low=low, high=2), np.int32(count)],
                        {"separator": "-"},
                    )
                    for count in (0, 3, 4)
                )
    for column in (["", "a", "", "b", ""], ["", "", "b", "", ""], ["", "", "", "", ""]):
        attrs = {"separator": "-"}
        yield Case("UnsortedSegmentJoin", [array_of(column), np.array([0, 0, 1, 0, 1], np.int32), np.int32(2)], attrs)
    for splits in ([0, 1, 1, 6], [0, 6], [0, 2]):
        for widths in ([2], [1, 3], [7], []):
            for pad in (-1, 0, 1, 5):
                for short in (True, False):
                    attrs = {
                        "separator": "_",
                        "ngram_widths": widths,
                        "left_pad": "<",
                        "right_pad": ">",
                        "pad_width": pad,
                        "preserve_short_sequences": short,
                    }
                    yield Case("StringNGrams", [values(tf.string, (6,)), np.array(splits)], attrs)
    for pad in (True, False):
        yield Case("EncodeBase64", [[b"a", b"ab", b"abc", b"\xff\xfe", b""]], {"pad": pad})
    for text in (b"YQ", b"YQ==", b"YWI=", b"Y", b"Y-_k", b"Y+/k", b"YQ=", b"a\n", b"YR", b"====", b""):
        yield Case("DecodeBase64", [[text]])


def numerals() -> Iterator[Case]:
    for dtype in types_of("AsString"):
        x = values(dtype, (4,), low=-300, high=300)
        for precision in (-1, 0, 3):
            for width in (-1, 0, 9):
                for fill in ("", "0", "-", " ", "+"):
                    for form in ({}, {"scientific": True}, {"shortest": True}):
                        yield Case("AsString", [x], {"precision": precision, "width": width, "fill": fill} | form)
        yield Case("AsString", [x], {"scientific": True, "shortest": True})
    for text in (
        b"1",
        " 2 ",
        "-3",
        "+4",
        "1.5",
        "1e3",
        ".5",
        "5.",
        "nan",
        "inf",
        "-Inf",
        "0x10",
        "",
        "a",
        "1_0",
        "999999999999",
        "1e40",
        "1e-50",
        "infinity",
        "\x001",
        "1\x00",
        " 1\n",
        "1,0",
    ):
        yield from (
            Case("StringToNumber", [[text]], {"out_type": kind}) for kind in types_of("StringToNumber", "out_type")
        )
    for size in (*range(0, 70), 100, 127, 128, 129, 200, 1000):
        text = bytes(np.random.default_rng(size).integers(0, 256, size, np.uint8).tolist())
        for op, attrs in (
            ("StringToHashBucketFast", {}),
            ("StringToHashBucket", {}),
            ("StringToHashBucketStrong", {"key": [123, -456]}),
        ):
            yield Case(op, [[text]], {"num_buckets": 2**31 - 1, **attrs})
    yield Case("StringToHashBucketFast", [["a", "b"]], {"num_buckets": 1})
    for dtype in types_of("Fingerprint"):
        yield from (
            Case("Fingerprint", [values(dtype, shape), b"farmhash64"]) for shape in ((), (0,), (3,), (2, 3), (2, 1, 3))
        )
    for dtype in (kind for kind in DTYPES if not kind.is_complex):
        for most in (-1, 1, 3):
            shapes = [(), (3,), (2, 3), (2, 1, 3)] + ([] if dtype in (tf.bool, tf.string) else [(0,)])
            yield from (
                Case(
                    "StringFormat",
                    [[values(dtype, shape)]],
                    {"template": "a{}b", "placeholder": "{}", "summarize": most},
                )
                for shape in shapes
            )
    yield Case(
        "StringFormat", [[np.int32(1), np.asarray("a\n", object)]], {"template": "{} and {}", "placeholder": "{}"}
    )
    yield Case("StringFormat", [[np.int32(1)]], {"template": "{} and {}", "placeholder": "{}"})


def splitters() -> Iterator[Case]:
    for config in (b"\x00>\x00\x00\x01", b""):
        yield Case("TFText>WhitespaceTokenizeWithOffsetsV2", [array_of([" a b\tc ", "", "é x"]), config])
    yield Case("TFText>ByteSplitWithOffsets", [array_of(["ab", "", "é"])])
    for starts, ends in (([0, 1, 1], [2, 3, 2]), ([0, 1, 1], [2, 9, 2]), ([0, 3, 1], [2, 1, 2])):
        yield Case(
            "TFText>ByteSplitByOffsets",
            [array_of(["abcd", "éx"]), np.array(starts, np.int32), np.array(ends, np.int32), np.array([0, 2, 3])],
        )
    for forced in (True, False):
        for labels in (
            [0, 1, 0, 0, 1, 0, 0, 1],
            [0, 1, 0, 1, 1, 0, 0, 1],
            [1, 1, 1, 1, 1, 1, 1, 1],
            [0, 1, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 0],
        ):
            yield Case(
                "SplitMergeTokenizeWithOffsets",
                [array_of(["ab cd", "犬x "]), np.array(labels, np.int32), np.array([0, 5, 8], np.int32)],
                {"force_split_at_break_character": forced},
            )
    for width in (1, 2, 5):
        for levels in ([[0, 1, 4, 6]], [[0, 2, 3], [0, 1, 4, 6]]):
            attrs = {"width": width, "axis": -1, "string_separator": "-", "RAGGED_RANK": len(levels)}
            yield Case(
                "TFText>NgramsStringJoin", [values(tf.string, (6,)), [np.array(level) for level in levels]], attrs
            )
    for shape in SHAPES[:4]:
        yield Case(
            "TFText>Utf8Binarize",
            [values(tf.string, shape)],
            {"word_length": 3, "bits_per_char": 9, "replacement_char": 65533},
        )
    yield Case(
        "TFText>Utf8Binarize",
        [[b"\xffa", b"abcdef"]],
        {"word_length": 3, "bits_per_char": 17, "replacement_char": 65533},
    )
    for budget in (0, 3, 5, 9):
        yield Case(
            "TFText>RoundRobinGenerateMasks",
            [np.int32(budget), [np.arange(5), np.arange(6)], [np.array([0, 4, 4, 5]), np.array([0, 1, 3, 6])]],
        )


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for part in (malformed, characters, joins_and_splits, numerals, splitters):
        yield from part()
