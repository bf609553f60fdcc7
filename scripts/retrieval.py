"""Print how well translations are found by TensorFlow, and by what the SavedModel converts to, whole, slim and coarse.

    python scripts/retrieval.py SAVEDMODEL WORK PAIRS [--languages deu,jpn] [--keep de,ja,en] [--sample 100]

PAIRS is a folder named as Tatoeba's in LASER. Bars: no search of an exact folder has another result than TensorFlow's, and
none of a slim folder another than the whole one's; float16 and int8 rows lose at most one pair in any language, and int8 the
larger of two pairs and one in a hundred. Exit 1 where one is missed. A slim folder is made for the languages of `--keep`:
name those that PAIRS has, with English. TensorFlow takes most of the time; `--sample-tensorflow` gives it fewer pairs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import hub2hf
from hub2hf.proof.limits import Limits
from hub2hf.retrieval.evaluate import Evaluation, side_by_side
from hub2hf.retrieval.pairs import read_pairs
from hub2hf.retrieval.slim import COARSE, INT8

FORMS: dict[str, tuple[dict[str, Any], Limits]] = {
    "float16": ({"dtype": "float16"}, COARSE),
    "rows": ({"embeddings": "int8"}, COARSE),
    "int8": ({"int8": True}, INT8),
}
SAME = Limits(pairs=0, share=0.0, cosine=1.0)


def megabytes(folder: Path) -> float:
    """Return how many megabytes the weights have that ONNX Runtime loads."""
    return sum(path.stat().st_size for path in (folder / "onnx").iterdir()) / 1e6


def beyond(found: Evaluation, limits: Limits, *, unchanged: bool) -> list[str]:
    """Return the languages that miss the bar."""
    return [
        row.language
        for row in found.languages
        if max(row.lost) > limits.may_lose(row.pairs) or (unchanged and row.changed)
    ]


def table(names: list[str], found: list[Evaluation]) -> None:
    """Print accuracies in every language side by side, both ways, and how many pairs each loses."""
    print(f"\n| language | pairs | 95 % | whole | {' | '.join(names)} |\n|:--|--:|--:|--:|{'--:|' * len(names)}")
    for rows in zip(*(one.languages for one in found), strict=True):
        whole = rows[0].other
        assert whole is not None
        low, high = rows[0].interval
        cells = [
            f"{100 * r.own.forward:.1f} {100 * r.own.backward:.1f} ({-r.lost[0]:+d} {-r.lost[1]:+d}; {r.changed})"
            for r in rows
        ]
        head = f"| {rows[0].language} | {rows[0].pairs:,} | {100 * low:.1f}-{100 * high:.1f} "
        print(f"{head}| {100 * whole.forward:.1f} {100 * whole.backward:.1f} | {' | '.join(cells)} |")
    print("\nIn brackets: searches won or lost to the whole folder, both ways; searches with another result.")


def main() -> None:
    """Convert, make the other forms, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--languages", default="", help="of the pairs")
    parser.add_argument("--keep", default="", help="languages of the slim folder, by their codes on LEALLA's card")
    parser.add_argument("--sample", type=int, help="only so many pairs of each language")
    parser.add_argument("--sample-tensorflow", type=int, help="only so many for TensorFlow")
    arguments = parser.parse_args()
    languages = [name for name in arguments.languages.split(",") if name]
    exact = arguments.work / "exact"
    hub2hf.convert(arguments.model, exact, onnx=True, force=True)
    folders, limits = {}, {}
    if arguments.keep:
        folders["slim"], limits["slim"] = arguments.work / "slim", SAME
        hub2hf.slim(exact, folders["slim"], languages=arguments.keep.split(","), force=True)
    for name, (asked, allowed) in FORMS.items():
        folders[name], limits[name] = arguments.work / name, allowed
        made = hub2hf.slim(exact, folders[name], **asked, beyond_limits=True, force=True)
        assert made.lossy is not None
        speed = made.lossy["speed"]
        ratio = speed["here"] / speed["whole"]
        print(f"{name}: {megabytes(folders[name]):,.0f} MB of {megabytes(exact):,.0f}; speed {ratio:.2f}")
    data = read_pairs([arguments.pairs], languages, arguments.sample)
    found = side_by_side([str(folder) for folder in folders.values()], data, str(exact))
    table(list(folders), found)
    missed = {
        name: beyond(one, limits[name], unchanged=name == "slim") for name, one in zip(folders, found, strict=True)
    }
    few = read_pairs([arguments.pairs], languages, arguments.sample_tensorflow or arguments.sample)
    (live,) = side_by_side([str(exact)], few, str(arguments.model))
    print(f"\nthe whole folder against TensorFlow\n\n{live.to_markdown()}")
    missed["exact"] = beyond(live, SAME, unchanged=True)
    for name, names in missed.items():
        print(f"{name}: {', '.join(names) or 'no language'} beyond its bar")
    sys.exit(1 if any(missed.values()) else 0)


if __name__ == "__main__":
    main()
