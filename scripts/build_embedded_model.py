"""Build `lealla-mini`, the SavedModel embedded in the package, and record what TensorFlow makes of the sentences.

Run: python scripts/build_embedded_model.py
The vocabulary is the project's own: the letters of many scripts, and the words of the sentences with their beginnings.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from builders import lealla as reference

from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import demo_sentences, language_sentences, trap_sentences
from hub2hf.equivalence.tensorflow_side import ReferenceGraph
from hub2hf.opened import Source

MODEL = Path(__file__).parents[1] / "convert" / "models" / "lealla-mini"
GOLDEN = MODEL.with_suffix(".golden.safetensors")
MAX_BYTES = 2_000_000

# Blocks of letters, marks, digits and signs (first, limit), after unicode.org/Public/UNIDATA/Blocks.txt.
BLOCKS = (
    *(
        (0x21, 0x7F),
        (0xA1, 0x180),
        (0x2B0, 0x370),
        (0x370, 0x400),
        (0x400, 0x460),
        (0x531, 0x590),
        (0x5D0, 0x5EB),
    ),
    *((0x60C, 0x700), (0x900, 0x980), (0x980, 0xA00), (0xE01, 0xE5C), (0xE81, 0xEE0), (0x1000, 0x104A)),
    *(
        (0x10D0, 0x1100),
        (0x1200, 0x1250),
        (0x1780, 0x17DA),
        (0x2010, 0x2030),
        (0x20A0, 0x20C0),
        (0x3001, 0x3100),
    ),
    *((0x4E00, 0x4E80), (0xAC00, 0xAC80), (0x1F600, 0x1F650)),
)


def vocabulary() -> Iterator[str]:
    """Yield the pieces in id order; the special ones have the ids of LEALLA's vocabulary."""
    special = ["[PAD]", *(f"[unused{i}]" for i in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = {
        chr(c) for first, limit in BLOCKS for c in range(first, limit) if unicodedata.category(chr(c))[0] in "LMNPS"
    }
    text = " ".join(sentence.text for sentence in demo_sentences())
    words = {word for word in text.split() if len(word.encode()) <= 100}
    letters |= {c for c in text if not c.isspace() and unicodedata.category(c)[0] != "C"}
    starts = {word[:n] for word in words for n in range(2, min(len(word), 6))} | words
    ends = {f"##{word[-n:]}" for word in words for n in range(2, min(len(word), 5))}
    pieces = [
        *sorted(letters),
        *(f"##{letter}" for letter in sorted(letters)),
        *sorted(starts),
        *sorted(ends),
    ]
    yield from dict.fromkeys([*special, *pieces])


def record() -> Recording:
    """Return what TensorFlow makes of all our sentences with the embedded model, without stages, to keep it small."""
    with ReferenceGraph(Source.find(MODEL)) as graph:
        return graph.record([*demo_sentences(), *language_sentences(), *trap_sentences()], stages=False)


def main() -> None:
    """Build, record and check the size."""
    shutil.rmtree(MODEL, ignore_errors=True)
    MODEL.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the graph keeps the path it is given: it must be the same at every build
        path = Path("vocab.txt")
        path.write_text("".join(f"{piece}\n" for piece in vocabulary()), encoding="utf-8")
        reference.build(MODEL, path, reference.SIZES["mini"])
    record().save(GOLDEN)
    size = sum(file.stat().st_size for file in (*MODEL.rglob("*"), GOLDEN) if file.is_file())
    print(f"{MODEL}: {size:,} bytes")
    if size > MAX_BYTES:
        sys.exit(f"lealla-mini must not be larger than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    main()
