"""The zoo in the TensorFlow of the years of publication.

`python old_tensorflow.py build FOLDER`, run by an old Python with an old TensorFlow, writes the SavedModels and what that
TensorFlow made of the texts. `python old_tensorflow.py compare FOLDER…`, run by the project's Python, converts and compares
them and prints a table; it exits with 1 if one is WRONG, if more than 2 % of those that compute the facts page are refused,
or if fewer than 50 of them could be built.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np

REFUSABLE = 0.02
FEWEST = 50
# What a version does not have is no fault of an implementation; any other error is.
ABSENT = (AttributeError, TypeError, NotImplementedError, ValueError)


def build(folder: Path, wanted: list[str]) -> None:
    """Write into `folder` for each model its SavedModel and witness, or the reason why this version cannot write it."""
    import tensorflow as tf
    import zoo
    import zoo_models
    import zoo_texts

    folder.mkdir(parents=True, exist_ok=True)
    # Characters that came later have another script there than today: a Python as old does not know them either.
    texts = [
        text
        for text in zoo_texts.texts(every=8, mixed=40)
        if all(unicodedata.category(character) != "Cn" for character in text)
    ]
    if (folder / "texts.json").exists():
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    for name, model in zoo.OLD.items():
        place = folder / name
        if (place / "kind").exists() or (wanted and not any(name.startswith(word) for word in wanted)):
            continue
        shutil.rmtree(str(place), ignore_errors=True)
        place.mkdir()
        try:
            witness = zoo_models.write(place / "model", model, texts)
        except ABSENT as error:
            (place / "absent").write_text(f"{type(error).__name__}: {error}"[:300], encoding="utf-8")
        except tf.errors.OpError as error:
            (place / "absent").write_text(f"{type(error).__name__}: {error}"[:300], encoding="utf-8")
        else:
            np.savez(str(place / "witness.npz"), **vars(witness))
        (place / "kind").write_text("wrong" if name in zoo.WRONG else "right")
        print(f"{tf.__version__} {name}{' absent' if (place / 'absent').exists() else ''}", flush=True)


def compare(folder: Path, wanted: list[str]) -> bool:
    """Print the table of one version; return whether all is as it must be."""
    import judging
    from zoo_witness import NAMED, load

    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    counts = {"right": 0, "refused": 0, "wrong": 0, "absent": 0}
    for place in sorted(path.parent for path in folder.glob("*/kind")):
        if wanted and not any(place.name.startswith(word) for word in wanted):
            continue
        kind = (place / "kind").read_text()
        if (place / "absent").exists():
            counts["absent"] += 1
            print(
                f"{place.name:32} {folder.name:5} absent   {(place / 'absent').read_text(encoding='utf-8')[:160]!r}",
                flush=True,
            )
            continue
        found, why = judging.verdict(
            place / "model", place / "out", load(place / "witness.npz"), texts, NAMED.get(place.name, "")
        )
        shutil.rmtree(place / "out", ignore_errors=True)
        counts["right"] += kind == "right"
        counts["refused"] += kind == "right" and found == judging.REFUSED
        counts["wrong"] += found == judging.WRONG
        print(f"{place.name:32} {folder.name:5} {found:8} {why[:500]}", flush=True)
    print(
        f"TensorFlow {folder.name}: {counts['right']} of the facts page, {counts['refused']} of these refused; "
        f"WRONG: {counts['wrong']}; not to be had in this version: {counts['absent']}"
    )
    enough = bool(wanted) or counts["right"] >= FEWEST
    return enough and not counts["wrong"] and counts["refused"] <= REFUSABLE * counts["right"]


def main(arguments: list[str]) -> int:
    """Build or compare; words that are no folders are beginnings of names."""
    todo, *rest = arguments
    folders = [Path(word) for word in rest if "/" in word]
    wanted = [word for word in rest if "/" not in word]
    if todo == "build":
        build(folders[0], wanted)
        return 0
    good = [compare(folder, wanted) for folder in folders]  # a list: every version is compared, whatever the first said
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
