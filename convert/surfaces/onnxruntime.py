"""The way of loading through ONNX Runtime: our ONNX file with our tokenizer, and neither PyTorch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
        found = np.concatenate([self._run([rows[i] for i in batch]) for batch in batches])
        return Embedded(rows, unit(found[np.argsort(order)]))

    def _run(self, rows: list[list[int]]) -> Any:
        lengths = np.array([len(row) for row in rows])
        mask = (np.arange(lengths.max()) < lengths[:, np.newaxis]).astype(np.int64)
        ids = np.zeros_like(mask)
        ids[mask == 1] = np.concatenate(rows)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self.session.run(["sentence_embedding"], inputs)[0]


def load(folder: Path, trusted: bool) -> Session:
    """Load a folder to which `hub2hf export FOLDER onnx` has added its file."""
    return Session(folder)


SURFACES = (
    Surface(
        name="onnx",
        label="`tokenizers` + `onnxruntime`",
        code='InferenceSession(hf_hub_download("{id}", "onnx/model.onnx"))',
        load=load,
        exact=True,
        libraries=("onnxruntime", "tokenizers"),
        extra="onnx",
        applies=lambda files: MODEL in files,
        own=("onnx/",),
    ),
)
