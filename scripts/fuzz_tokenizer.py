"""Compare the compiled tokenizer with TensorFlow, id by id, on as many odd texts as one sitting allows.

    python scripts/fuzz_tokenizer.py                       # everything, with each vocabulary
    python scripts/fuzz_tokenizer.py --sample 50           # one text in 50
    python scripts/fuzz_tokenizer.py --rules bert-uncased  # of those rules only: lealla, bert-cased, full-uncased, pieces, …
    python scripts/fuzz_tokenizer.py --saved-model FOLDER  # against that graph, with its own vocabulary
    python scripts/fuzz_tokenizer.py --javascript tokenizers  # JavaScript's file against that of Rust; or: transformers

Prints texts and differences for each family; exits with 1 on any difference. Where a SentencePiece model has two cuts that
are equally likely, TensorFlow's float32 sums decide: such texts are counted by themselves.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from builders import pieces as built
from builders.javascript import LIBRARIES, javascript_side
from builders.oracles import RULES, Ids, PieceSide, WrittenOut, graph_ids, graph_text
from fetch_vocabulary import fetch_vocabulary
from tokenizers import Tokenizer

from hub2hf.blueprint.asked.generated import characters as every_character
from hub2hf.blueprint.text import LowerCase, Pack, TextBlueprint
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.savedmodel.sentencepiece import SPACE, PieceModel
from hub2hf.tokenizer import read_model, read_vocabulary, tokenizer_files, write_javascript_files
from hub2hf.tokenizer.charsmaps import mapping_of
from hub2hf.unicode.codepoints import NOTHING, CodePoints, union
from hub2hf.unicode.folding import folded_characters, mark_classes
from hub2hf.unicode.tables import UNLISTED_SCRIPT, re2_class, scripts, whitespace

Family = tuple[str, Callable[[], Iterable[str]]]

SEED = 20240229
GENERATED, OF_PIECES = 200_000, 500_000
FEW = 11  # of the small families one text in so many, where not all are compared
BATCH = 4096
SHOWN = 10
LITERALS = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "##", "##a", "[unused1]", "<pad>", "¦", "|")
EMOJI = "☀⚖✍‼ℹ↔⌚Ⓜ▪〰㊗🀄🅰🆎🇮🇹🈁🌀😀👍👩🏽🚀🟠🤌🧿🩰🪐🫂🫖🛸🫠🪿"
NEIGHBOURS = ("{}", "a{}b", "1{}2", "{0}{0}", "日{}", "x{} 3", "é1 {}+ ")


class CompiledSide:
    """The folder's `tokenizer.json`, read by `tokenizers` alone."""

    def __init__(self, text: TextBlueprint, folder: Path) -> None:
        """Write the tokenizer files into `folder` and load them."""
        self.pack = text.pack
        tokenizer_files(text, len(pieces_of(text)), folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def __call__(self, texts: list[str]) -> Ids:
        """Ids, int32 [texts, max_length], padded as the graph pads."""
        return padded([encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)], self.pack)


def pieces_of(text: TextBlueprint) -> tuple[str, ...]:
    """The pieces of a text side, as a text has them."""
    return as_in_texts(read_model(text)) if text.by_pieces else read_vocabulary(text.vocabulary).pieces


def as_in_texts(model: PieceModel) -> tuple[str, ...]:
    """The pieces of a SentencePiece model with spaces."""
    return tuple(piece.text.replace(SPACE, " ") for piece in model.pieces)


def padded(rows: list[list[int]], pack: Pack) -> Ids:
    """Ids, int32 [texts, max_length], padded as the graph pads."""
    ids = np.full((len(rows), pack.max_length), pack.pad_id, np.int32)
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = found
    return ids


@contextmanager
def javascript_ids(text: TextBlueprint, library: str) -> Iterator[Callable[[list[str]], Ids]]:
    """What a JavaScript library makes of the file that is written for it, as `CompiledSide` gives it."""
    vocabulary = read_vocabulary(text.vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        write_javascript_files(text, vocabulary, Path(scratch))
        with javascript_side(library, Path(scratch)) as ids:
            yield lambda texts: padded(ids(texts), text.pack)


@cache
def members(codes: CodePoints) -> list[str]:
    """The characters of a set."""
    return [chr(code) for low, high in codes.ranges for code in range(low, high + 1)]


@cache
def characters() -> list[str]:
    """Every code point that Python, RE2 or ICU knows as assigned, private use, and every 97th of the rest."""
    unlisted = scripts()[UNLISTED_SCRIPT]
    found = []
    for code in itertools.chain(range(0xD800), range(0xE000, 0x110000)):
        known = unicodedata.category(chr(code)) != "Cn" or code % 97 == 0
        if known:
            found.append(chr(code))
    return sorted({*found, *members(~unlisted)} - {chr(code) for code in range(0xD800, 0xE000)})


@cache
def _anchors() -> dict[str, str]:
    """A character of the same script for each character."""
    own: dict[str, str] = {}
    for codes in scripts().values():
        own |= dict.fromkeys(members(codes), chr((codes - whitespace()).ranges[0][0]))
    return own


def single_characters(sample: int = 1, turn: int = 0) -> Iterator[str]:
    """Every character alone, between letters, digits and characters of its own script, doubled, and so on."""
    own = _anchors()
    for char in characters()[turn % sample :: sample]:
        for frame in NEIGHBOURS:
            yield frame.format(char)
        yield f"{own[char]}{char}{own[char]} {own[char]}"


@cache
def _pools() -> list[tuple[int, list[str]]]:
    """(weight, texts to draw from)."""
    table = {name: members(codes - whitespace()) for name, codes in scripts().items() if name != UNLISTED_SCRIPT}
    common = ["Latin", "Cyrillic", "Arabic", "Han", "Hiragana", "Katakana", "Hangul", "Devanagari", "Thai"]
    pools = [(3, table[name]) for name in [*common, "Common", "Inherited", "Greek", "Hebrew"]]
    pools += [(1, table[random.Random(name).choice(sorted(table))]) for name in map(str, range(40))]
    pools += [
        (20, [chr(code) for code in range(0x61, 0x7B)]),
        (6, list("0123456789.,;:!?-()'\"%$€|+=/«»、。")),
        (12, [*members(whitespace()), *" " * 40]),
        (3, [*EMOJI, "\ufe0f", "\u200d", "\u20e3"]),
        (2, [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]),
        (2, list("\u00ad\u200b\u200c\u200d\u200e\u061c\u180e\u2060\ufeff\U000e0041\ufff9\u08e2\u0600")),
        (1, [chr(code) for code in (*range(0xE000, 0xE020), 0xF0000, 0x10FFFD, 0xFFFE, 0x10FFFF, 0xFDD0)]),
        (1, ["\u0378", "\u0530", "\u2fff", "\U0001fbff", "\U000e0fff", "\U0003ffff", "\U0001f8ff"]),
        (3, list(LITERALS)),
        (2, list("äéñßøÅçığşßﬁªº²³µ\u0301\u0308\u0327")),
    ]
    return pools


def generated(count: int = GENERATED, pieces: tuple[str, ...] = (), turn: int = 0) -> Iterator[str]:
    """Seeded strings of runs drawn from all pools, some of them long, with vocabulary pieces among them."""
    source = random.Random(SEED + turn)
    pools = _pools()
    weights, choices = zip(*pools, strict=True)
    for _ in range(count):
        runs = []
        for pool in source.choices(choices, weights, k=source.choice((1, 2, 3, 5, 8, 13, 21))):
            length = source.choice((1, 1, 1, 2, 3, 5, 8)) if source.random() < 0.99 else source.randint(20, 120)
            runs.append("".join(source.choices(pool, k=length)))
            if pieces and source.random() < 0.2:
                runs.append(source.choice(pieces).removeprefix("##"))
        yield "".join(runs)


def byte_limit_words(limit: int, pieces: tuple[str, ...]) -> Iterator[str]:
    """Words around the limit in every script: one width of character, then mixed widths, alone and in a text.

    Where the vocabulary covers characters of that script and width, only those are drawn: a word with an
    uncoverable part is unknown at any length, so it would show nothing.
    """
    source = random.Random(SEED)
    known = set(pieces)
    for codes in scripts().values():
        by_width: dict[int, list[str]] = {}
        for char in members(codes - whitespace() - CodePoints.parse("D800-DFFF")):
            by_width.setdefault(len(char.encode()), []).append(char)
        for width, chars in by_width.items():
            by_width[width] = [char for char in chars if {char, "##" + char} <= known] or chars
        mixes = [[chars] for chars in by_width.values()] + [list(by_width.values())] * (8 * (len(by_width) > 1))
        for mix, size in itertools.product(mixes, range(limit - 2, limit + 3)):
            word = ""
            while len(word.encode()) < size:
                word += source.choice(source.choice(mix))
            yield from (word, f"a{word} {word}.", f"\u3000{word}日本{word}")
        letter = next(iter(by_width.values()))[0]
        for size in range(limit - 2, limit + 3):
            yield " ".join(letter * (size // len(letter.encode())))


def long_texts() -> Iterator[str]:
    """Past the packed length, and the empty string."""
    source = random.Random(SEED)
    yield from ("", " ", "\t", "\u1680", "\ufeff", "\u200b \u200b")
    for count in range(115, 140):
        yield from (
            "a " * count,
            "日" * count,
            "a" * count,
            "1 " * count,
            "😀" * count,
            "x." * count,
            "é́" * count,
        )
    texts = list(generated(400))
    for _ in range(1000):
        yield "".join(source.choices(texts, k=20))


def families(text: TextBlueprint, pieces: tuple[str, ...], sample: int, turn: int = 0) -> list[Family]:
    """Everything that is compared, by name; of the large families one text in `sample`, others at each `turn`.

    What is drawn of a SentencePiece model stays: how much of it float32's round-off decides is known of that.
    """
    few = min(sample, FEW)
    long: Family = ("long and empty", lambda: islice(long_texts(), turn % few, None, few))
    single: Family = ("characters", lambda: single_characters(sample, turn))
    if text.by_pieces:
        half = OF_PIECES // sample
        return [
            single,
            ("generated", lambda: generated(half, pieces)),
            ("pieces", lambda: drawn(half, SEED, read_model(text))),
            long,
        ]
    limit = text.wordpiece.max_bytes_per_word
    found: list[Family] = [
        single,
        ("generated", lambda: generated(GENERATED // sample, pieces, turn)),
        ("byte limit", lambda: islice(byte_limit_words(limit, pieces), turn % few, None, few)),
        long,
    ]
    if not any(isinstance(operation, LowerCase) for operation in text.operations):
        return found
    return [*found, ("sigmas", lambda: sigmas(sample, turn))]


# Characters that go wrong beside each other in normalizers; names of pieces that no text is cut into.
TOUCHY = "ae \u0301\u0323\u0345각한각é\u200b\u200d\ufeff\u00ad\x01\x02\x00▁ｶﾞﬁ①²\u3000\u0e33\u0bd7\u0bc6İß–(-."
NAMES = ("[CLS]", "[SEP]", "</s>", "<unk>", "<pad>", "<0x41>", "x</s></s>")


def drawn(count: int, seed: int, model: PieceModel) -> Iterator[str]:
    """Texts of a SentencePiece model: of its pieces and keys of its map, of touchy characters, of all, of one letter."""
    source, keys = random.Random(seed), [*mapping_of(model.charsmap, "model")] or ["é"]
    words, every = [*as_in_texts(model), *NAMES], every_character(every=8)
    sentences = [each.text for each in language_sentences()]
    kinds: tuple[Callable[[], str], ...] = (
        lambda: "".join(source.choices(words, k=source.randint(1, 9))),
        lambda: "".join(source.choices(TOUCHY, k=source.randint(1, 12))),
        lambda: "".join(source.choices(keys, k=source.randint(1, 4))),
        lambda: "".join(source.choices(every, k=source.randint(1, 8))),
        lambda: source.choice(sentences)[: source.randint(1, 60)],
        lambda: source.choice("aeil.-!0x") * source.randint(1, 60),  # cuts that are as likely
    )
    return (source.choice(kinds)() for _ in range(count))


def sigmas(sample: int = 1, turn: int = 0) -> Iterator[str]:
    """Capital sigmas, whose lower case depends on what stands around them, around every character."""
    for char in characters()[turn % sample :: sample]:
        yield f"\u03a3{char}\u03a3 a{char}\u03a3 \u03a3{char}a a\u03a3{char} a'{char}\u03a3.a a.{char}\u03a3'"


@cache
def young() -> dict[int, None]:
    """What hub2hf's tables know, and the Python that runs this does not: to delete by `str.translate`."""
    assigned = union(re2_class(name) or NOTHING for name in "LMNPSZC")
    known = {*members(assigned), *folded_characters(), *mark_classes()}
    return dict.fromkeys(ord(char) for char in known if unicodedata.category(char) == "Cn")


def compare(
    texts: Iterable[str], oracle: Callable[[list[str]], Ids], compiled: Callable[[list[str]], Ids]
) -> tuple[int, list[str]]:
    """How many texts there were, and those that differ."""
    count, different = 0, []
    waiting = iter(texts)
    told = young() if isinstance(oracle, WrittenOut) else {}
    while batch := [text.translate(told) for text in islice(waiting, BATCH)]:
        count += len(batch)
        wrong = (oracle(batch) != compiled(batch)).any(axis=1)
        different += [batch[index] for index in np.flatnonzero(wrong)]
    return count, different


def by_cause(
    different: list[str], oracle: Callable[[list[str]], Ids], compiled: Callable[[list[str]], Ids]
) -> tuple[list[str], list[str]]:
    """Texts that differ, and of SentencePiece models those apart that float32's round-off decides."""
    rounded = [t for t in different if isinstance(oracle, PieceSide) and oracle.rounds(t, compiled([t])[0])]
    return [text for text in different if text not in rounded], rounded


def loaders_differ(folder: Path, texts: list[str]) -> dict[str, int]:
    """In how many texts transformers gives other ids than the raw `tokenizer.json`, by the class that loads it."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    expected = [encoding.ids for encoding in raw.encode_batch(texts)]
    differences = {}
    loaders = {"AutoTokenizer": AutoTokenizer, "PreTrainedTokenizerFast": PreTrainedTokenizerFast}
    for name, loader in loaders.items():
        found = loader.from_pretrained(folder)(texts, truncation=True)["input_ids"]
        differences[name] = sum(a != b for a, b in zip(expected, found, strict=True))
    return differences


def small_vocabulary(folder: Path) -> Path:
    """Some thousand pieces: special tokens at their ids, a third of the characters in use, and pairs of them."""
    source = random.Random(SEED)
    texts = list(generated(3000))
    singles = sorted({char for text in texts for char in text if not unicodedata.category(char).startswith("C")})
    singles = sorted({*source.sample(singles, len(singles) // 3), *map(chr, range(0x21, 0x7F))})
    pairs = sorted({text[i : i + 2] for text in texts for i in range(0, len(text) - 1, 7)})
    pairs = [pair for pair in source.sample(pairs, 2000) if "\n" not in pair and "\r" not in pair]
    pieces = ["[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += [*singles, *("##" + char for char in singles), *pairs, *("##" + pair for pair in pairs[::2])]
    path = folder / "small.txt"
    path.write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8", newline="\n")
    return path


def alphabet_vocabulary(folder: Path, sample: int = 1) -> Path:
    """Every character (or one in `sample`) alone and as a suffix.

    Only the byte limit and unassigned characters leave a word unknown, so each wrong cut, join or deletion
    shows, where other vocabularies give `[UNK]` either way.
    """
    pieces = ["[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for char in characters()[::sample]:
        if char not in "\n\r" and ord(char) % 97:
            pieces += [char, "##" + char]
    path = folder / "alphabet.txt"
    path.write_text("\n".join(pieces) + "\n", encoding="utf-8", newline="\n")
    return path


def piece_model(name: str, folder: Path) -> Path:
    """A SentencePiece model of some kind."""
    path = folder / f"{name}.model"
    path.write_bytes(built.trained(built.MODELS[name]))
    return path


VOCABULARIES: dict[str, Callable[[Path], Path]] = {
    "small": small_vocabulary,
    "alphabet": alphabet_vocabulary,
    "full": lambda folder: fetch_vocabulary(),
}
MODELS: dict[str, Callable[[Path], Path]] = {name: partial(piece_model, name) for name in built.MODELS}
CUT_BY = {**dict.fromkeys(RULES, VOCABULARIES), "pieces": MODELS}  # rules → what cuts words, or texts, by name


def fuzz(name: str, text: TextBlueprint, oracle: Callable[[list[str]], Ids], sample: int) -> list[dict[str, object]]:
    """Compare all families for one vocabulary; prints and returns a row for each."""
    pieces = pieces_of(text)
    with tempfile.TemporaryDirectory() as scratch:
        rows = compared(name, text, oracle, CompiledSide(text, Path(scratch)), sample)
        for loader, wrong_count in loaders_differ(Path(scratch), list(generated(500, pieces))).items():
            rows.append({"vocabulary": name, "family": loader, "texts": 500, "differences": wrong_count})
            print(f"{name:21} {loader:24} 500 texts {wrong_count} differences", file=sys.stderr)
    return rows


def compared(
    name: str,
    text: TextBlueprint,
    oracle: Callable[[list[str]], Ids],
    compiled: Callable[[list[str]], Ids],
    sample: int,
) -> list[dict[str, object]]:
    """Compare two sides in all families; prints and returns a row for each."""
    rows: list[dict[str, object]] = []
    for family, texts in families(text, pieces_of(text), sample):
        start = time.monotonic()
        count, different = compare(texts(), oracle, compiled)
        different, rounded = by_cause(different, oracle, compiled)
        seconds = round(time.monotonic() - start, 1)
        row = {
            "vocabulary": name,
            "family": family,
            "texts": count,
            "differences": len(different),
            "rounded": len(rounded),
        }
        rows.append(row | {"seconds": seconds, "shown": different[:SHOWN]})
        print(
            f"{name:21} {family:16} {count:9,} texts {len(different):6,} differences"
            + (f", {len(rounded):,} rounded" if rounded else "")
            + f" {seconds:7.1f} s",
            file=sys.stderr,
        )
        for wrong in different[:SHOWN]:
            print("    " + " ".join(f"{ord(char):04X}" for char in wrong), ascii(wrong), file=sys.stderr)
    return rows


def fuzz_javascript(name: str, text: TextBlueprint, library: str, sample: int) -> list[dict[str, object]]:
    """Compare the file for JavaScript with that for Rust, which is itself compared with TensorFlow."""
    with tempfile.TemporaryDirectory() as scratch, javascript_ids(text, library) as ids:
        return compared(f"{name} {library}", text, CompiledSide(text, Path(scratch)), ids, sample)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1, metavar="N", help="compare one text in N only")
    parser.add_argument("--saved-model", type=Path, metavar="FOLDER", help="a SavedModel to run as the oracle")
    parser.add_argument("--vocabulary", choices=[*VOCABULARIES, *MODELS], action="append", help="default: each")
    parser.add_argument("--javascript", choices=LIBRARIES, help="compare what that library makes of the file for it")
    parser.add_argument("--rules", choices=RULES, action="append", help="default: each")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON on standard output")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.saved_model:
            text = graph_text(arguments.saved_model)
            rows += fuzz("graph", text, graph_ids(arguments.saved_model), arguments.sample)
        else:
            makers = {**VOCABULARIES, **MODELS}
            paths = cache(lambda name: makers[name](Path(scratch)))
            asked = ((rules, name) for rules in arguments.rules or RULES for name in CUT_BY[rules])
            for rules, name in asked:
                if name not in (arguments.vocabulary or makers) or (arguments.javascript and rules == "pieces"):
                    continue  # of pieces there is no file for JavaScript
                text, oracle = RULES[rules](paths(name))
                if arguments.javascript:
                    rows += fuzz_javascript(f"{rules} {name}", text, arguments.javascript, arguments.sample)
                else:
                    rows += fuzz(f"{rules} {name}", text, oracle, arguments.sample)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    return int(any(row["differences"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
