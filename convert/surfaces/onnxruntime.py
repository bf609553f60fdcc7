"""The way of loading through ONNX Runtime: our ONNX file with our tokenizer, and neither PyTorch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, unit

MODEL = "onnx/model.onnx"


class Session(Loaded):
    """A tokenizer and an ONNX file whose first output is the embedding."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))  # cuts at the length that it states
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text, as tokenizer_config.json says
        self.session = onnxruntime.InferenceSession(folder / MODEL, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        found = np.concatenate([self.run(padded([rows[i] for i in batch])) for batch in batches])
        return Embedded(rows, unit(found[np.argsort(order)]))

    def run(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Return the embeddings of what `padded` made as the graph gives them, float32 [texts, hidden]."""
        return np.asarray(self.session.run(["sentence_embedding"], inputs)[0])


def padded(rows: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """Return the ids of some texts as the model takes them, int64 [texts, longest] each."""
    lengths = np.array([len(row) for row in rows])
    mask = (np.arange(lengths.max()) < lengths[:, np.newaxis]).astype(np.int64)
    ids = np.zeros_like(mask)
    ids[mask == 1] = np.concatenate(rows)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def load(folder: Path, trusted: bool) -> Session:
    """Load a folder to which `hub2hf export FOLDER onnx` has added its file."""
    return Session(folder)


SURFACES = (
    Surface(
        name="onnx",
        label="`tokenizers` + `onnxruntime`",
        title="ONNX Runtime",
        code='InferenceSession(hf_hub_download("{id}", "onnx/model.onnx"))',
        load=load,
        exact=True,
        libraries=("onnxruntime", "tokenizers"),
        extra="onnx",
        applies=lambda files: MODEL in files,
        own=("onnx/",),
    ),
)
