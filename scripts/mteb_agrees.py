"""Hold `hub2hf evaluate` against mteb: its own task Tatoeba, given local pairs, and its own loading of the folder.

    python scripts/mteb_agrees.py FOLDER [PAIRS] [--languages deu,jpn] [--sample 100]

PAIRS is as for `hub2hf evaluate`; by default each of the project's own sentences is paired with itself and a word more.
mteb embeds with sentence-transformers and searches with PyTorch, hub2hf with ONNX Runtime, where the folder has such a file,
and NumPy. The share of texts that find their translation must be the same number, both ways, in every language; exit 1 where
it is not. Pairs of which a side has the token ids of one before are left out: of two equal ones mteb calls one wrong, and
hub2hf neither.

What cannot be held against mteb: its F1 of such a task is that of the same nearest neighbours, as classes weighted by how
many there are; F1 of margin-based mining, which hub2hf has too, mteb does not compute. Its task BUCC has other pairs, the
same measure, and no local form: give its pairs as a TSV.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mteb
from datasets import Dataset
from mteb.models import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

import hub2hf
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.retrieval.pairs import read_pairs

Rows = list[tuple[str, str, str]]  # language, text, translation


def own_pairs() -> Iterator[tuple[str, str, str]]:
    """Yield the project's own sentences, each with itself and the code of its language, as one set."""
    for language, text in language_sentences():
        yield "own", text, f"{text} {language}"


def unlike(folder: str, rows: Rows) -> Rows:
    """Return pairs of which no side has ids that came before on that side of its language."""
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    seen: set[tuple[Any, ...]] = set()
    found = []
    for row in rows:
        ids = {(row[0], side, *tokenizer.encode(row[side]).ids) for side in (1, 2)}
        if not ids & seen:
            found.append(row)
        seen |= ids
    return found


def by_mteb(folder: str, rows: Rows) -> dict[str, tuple[float, float]]:
    """Return language → accuracy forward and backward, from mteb's task."""
    task: Any = mteb.get_task("Tatoeba")
    task.dataset, task.data_loaded = {}, True
    for language in dict.fromkeys(row[0] for row in rows):
        sides = [[row[side] for row in rows if row[0] == language] for side in (1, 2)]
        for way, (one, other) in (("there", sides), ("back", sides[::-1])):
            task.dataset[f"{language} {way}"] = {"test": Dataset.from_dict({"sentence1": one, "sentence2": other})}
    task.hf_subsets = list(task.dataset)
    model = SentenceTransformerEncoderWrapper(SentenceTransformer(folder, device="cpu", local_files_only=True))
    found = task.evaluate(model, "test", encode_kwargs={"batch_size": 16})
    accuracy = {name: scores["accuracy"] for name, scores in found.items()}
    return {
        name.removesuffix(" there"): (accuracy[name], accuracy[f"{name.removesuffix(' there')} back"])
        for name in accuracy
        if name.endswith(" there")
    }


def by_hub2hf(folder: str, rows: Rows) -> dict[str, tuple[float, float]]:
    """Return the same from `hub2hf.evaluate`."""
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "pairs.tsv"
        path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
        found = hub2hf.evaluate(folder, path)
    return {row.language: (row.own.forward, row.own.backward) for row in found.languages}


def main() -> None:
    """Measure twice, print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("pairs", nargs="?", type=Path)
    parser.add_argument("--languages", default="")
    parser.add_argument("--sample", type=int)
    asked = parser.parse_args()
    if asked.pairs:
        languages = [name for name in asked.languages.split(",") if name]
        data = read_pairs([asked.pairs], languages, asked.sample)
        told = [(one.language, *both) for one in data.pairs for both in zip(one.texts, one.translations, strict=True)]
    else:
        told = list(own_pairs())[: asked.sample]
    rows = unlike(asked.folder, [row for row in told if not any("\t" in cell for cell in row)])
    theirs, ours = by_mteb(asked.folder, rows), by_hub2hf(asked.folder, rows)
    print(f"mteb {mteb.__version__}, {len(rows):,} of {len(told):,} pairs\n")
    print("| language | pairs | → hub2hf | → mteb | ← hub2hf | ← mteb |\n|:--|--:|--:|--:|--:|--:|")
    other = []
    for language, both in ours.items():
        pairs = sum(row[0] == language for row in rows)
        cells = [f"{100 * share:.2f}" for way in zip(both, theirs[language], strict=True) for share in way]
        print(f"| {language} | {pairs} | {' | '.join(cells)} |")
        if any(round(pairs * a) != round(pairs * b) for a, b in zip(both, theirs[language], strict=True)):
            other.append(language)
    print(f"\nOther numbers: {', '.join(other) or 'in no language'}")
    sys.exit(1 if other else 0)


if __name__ == "__main__":
    main()
