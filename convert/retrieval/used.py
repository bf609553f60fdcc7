"""Which pieces the texts of a corpus use, and how far that reaches: measured on texts that were held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from hub2hf.corpora.sentences import Corpus
from hub2hf.equivalence.sentences import Sentence, chunked, read_sentences
from hub2hf.errors import ExportError
from hub2hf.slimming.alphabet import letters
from hub2hf.slimming.asked import Used

TENTH: Final = 10  # one text in so many is held out


def used_pieces(folder: Path, corpus: str | Path, text: str = "text") -> Used:
    """Return the pieces that the texts of a corpus use.

    One text in ten, by its hash, is held out: how many of those have a piece that the other nine do not use, says how the
    folder fares on texts of that kind that nobody has seen yet. The pieces of both are kept.

    Args:
        folder: made by `convert`, or by `slim`.
        corpus: Parquet or JSON lines, as `embed` takes them, with its languages in a column `language` or `lang`; or a file
            of lines: text, or language, tab, text.
        text: the column of texts.

    Raises:
        ExportError: there are no texts in it, or the folder has no tokenizer.
        SourceError: it cannot be read.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ExportError(f"{folder} has no tokenizer.json.", "Name a folder that hub2hf convert or hub2hf slim made.")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True

    def sentences() -> Iterable[Sentence]:
        return Corpus.of(corpus, text) or read_sentences(Path(corpus))

    learnt: set[int] = set()
    texts: Counter[str] = Counter()
    for language, ids in _ids(sentences, tokenizer, held_out=False):
        learnt.update(ids)
        texts[language] += 1
    pieces, held, others = set(learnt), Counter[str](), Counter[str]()
    for language, ids in _ids(sentences, tokenizer, held_out=True):
        held[language] += 1
        others[language] += not learnt.issuperset(ids)
        pieces.update(ids)
    total = texts + held
    if not total:
        raise ExportError(f"{corpus} holds no texts.", "Name a corpus with texts in it.")
    facts = {
        "texts": total.total(),
        "held_out": {name: {"texts": held[name], "other_ids": others[name]} for name in sorted(held)},
    }
    named = tuple(name for name in total if name in letters())
    return Used(frozenset(pieces), f"the {len(pieces):,} pieces that {total.total():,} texts use", named, facts)


def _ids(
    sentences: Callable[[], Iterable[Sentence]], tokenizer: Tokenizer, *, held_out: bool
) -> Iterator[tuple[str, list[int]]]:
    for chunk in chunked(_part(sentences(), held_out=held_out)):
        encodings = tokenizer.encode_batch_fast([sentence.text for sentence in chunk])
        for sentence, encoding in zip(chunk, encodings, strict=True):
            yield sentence.language, encoding.ids


def _part(sentences: Iterable[Sentence], *, held_out: bool) -> Iterator[Sentence]:
    for sentence in sentences:
        if (hashlib.sha256(sentence.text.encode("utf-8", "surrogatepass")).digest()[0] % TENTH == 0) == held_out:
            yield sentence
