"""The way of loading through ONNX Runtime: our ONNX file with our tokenizer, and neither PyTorch nor transformers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import Surface
from hub2hf.surfaces.padded import Inputs, WithTokenizer

FOLDER = "onnx/"
MODEL = f"{FOLDER}model.onnx"
EMBEDDING = "sentence_embedding"


def has_model(files: Collection[str]) -> bool:
    """Whether `hub2hf export FOLDER onnx` has added its file."""
    return MODEL in files


def opened(model: Path | bytes, options: Any = None) -> Any:
    """Return an ONNX file, or what such a file holds, as everyone opens it."""
    import onnxruntime

    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Session(WithTokenizer):
    """A tokenizer and an ONNX file whose first output is the embedding.

    Args:
        folder: has both.
        model: opens the file.
    """

    def __init__(self, folder: Path, model: Callable[[Path], Any] = opened) -> None:
        super().__init__(folder)
        self.session = model(folder / MODEL)
        self.takes = [each.name for each in self.session.get_inputs()]

    def run(self, inputs: Inputs) -> np.ndarray:
        """Return the embeddings of what `padded` made as the graph gives them, float32 [texts, hidden]."""
        return np.asarray(self.session.run([EMBEDDING], {name: inputs[name] for name in self.takes})[0])


def load(folder: Path, trusted: bool) -> Session:
    """Load a folder to which `hub2hf export FOLDER onnx` has added its file."""
    return Session(folder)


SURFACES = (
    Surface(
        title="ONNX Runtime",
        code='InferenceSession("onnx/model.onnx").run(["sentence_embedding"], inputs)',
        load=load,
        exact=True,
        libraries=("onnxruntime", "tokenizers"),
        extra="onnx",
        applies=has_model,
        own=(MODEL,),
    ),
)
