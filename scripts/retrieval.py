"""Print how well translations are found by TensorFlow, by what the SavedModel converts to, and by slim folders of that.

    python scripts/retrieval.py SAVEDMODEL WORK PAIRS [--languages deu,jpn] [--keep de,ja,en]

PAIRS is a folder named as Tatoeba's in LASER. Bar: no search of an exact folder has another result than TensorFlow's, and
none of a slim folder another than the whole one's; exit 1 where one has. A slim folder is made for the languages of
`--keep`: name those that PAIRS has, with English.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import hub2hf
from hub2hf.retrieval.evaluate import Evaluation


def shown(what: str, found: Evaluation, folder: Path) -> int:
    """Print what was found, and return how many searches changed."""
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    print(f"\n{what}: {size / 1e6:,.0f} MB of weights, against {found.against}\n\n{found.to_markdown()}", flush=True)
    return sum(row.changed or 0 for row in found.languages)


def main() -> None:
    """Convert, make slim, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--languages", default="", help="of the pairs")
    parser.add_argument("--keep", default="", help="languages of the slim folder, by their codes on LEALLA's card")
    arguments = parser.parse_args()
    languages = [name for name in arguments.languages.split(",") if name]
    exact, slim = arguments.work / "exact", arguments.work / "slim"
    hub2hf.convert(arguments.model, exact, onnx=True, force=True)
    found = hub2hf.evaluate(exact, arguments.pairs, against=arguments.model, languages=languages)
    changed = shown("exact", found, exact)
    if arguments.keep:
        hub2hf.slim(exact, slim, languages=arguments.keep.split(","), force=True)
        found = hub2hf.evaluate(slim, arguments.pairs, against=exact, languages=languages)
        changed += shown(f"slim for {arguments.keep}", found, slim)
    print(f"{changed} searches changed")
    sys.exit(1 if changed else 0)


if __name__ == "__main__":
    main()
