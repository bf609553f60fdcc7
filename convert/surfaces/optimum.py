"""Ways of loading the ONNX file through optimum: the class that gives all of its outputs, and the one that does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import Surface
from hub2hf.surfaces.onnxruntime import EMBEDDING, FOLDER, MODEL, has_model
from hub2hf.surfaces.padded import Inputs, Padded
from hub2hf.surfaces.transformers import quiet


class Ort(Padded):
    """A class of optimum's, and which output of it is taken."""

    def __init__(self, folder: Path, name: str, take: Callable[[Any], Any]) -> None:
        import optimum.onnxruntime
        from transformers import AutoTokenizer

        quiet()
        self.tokenizer, self.take = AutoTokenizer.from_pretrained(folder), take
        self.model = getattr(optimum.onnxruntime, name).from_pretrained(folder, subfolder=FOLDER.rstrip("/"))

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without padding."""
        return list(self.tokenizer(list(texts), truncation=True)["input_ids"])

    def run(self, inputs: Inputs) -> np.ndarray:
        """Return what is taken for the embeddings, float32 [texts, hidden]."""
        return np.asarray(self.take(self.model(**{name: inputs[name] for name in self.model.input_names})))


def custom_tasks(folder: Path, trusted: bool) -> Ort:
    """Load the class whose output has the embedding."""
    return Ort(folder, "ORTModelForCustomTasks", lambda outputs: outputs[EMBEDDING])


def feature_extraction(folder: Path, trusted: bool) -> Ort:
    """Load the class that gives the last hidden state alone, whose first token is what people then take."""
    return Ort(folder, "ORTModelForFeatureExtraction", lambda outputs: outputs.last_hidden_state[:, 0])


_of_optimum = partial(
    Surface,
    extra="runtimes",
    applies=has_model,
    by_name=True,
    own=(MODEL,),
    libraries=("optimum-onnx", "optimum", "onnxruntime", "transformers", "tokenizers"),
)
SURFACES = (
    _of_optimum(
        title="optimum",
        code='ORTModelForCustomTasks.from_pretrained("{id}", subfolder="onnx")(**inputs)["sentence_embedding"]',
        load=custom_tasks,
        exact=True,
    ),
    _of_optimum(
        title="optimum (feature extraction)",
        differs="ORTModelForFeatureExtraction gives the last hidden state alone, and its first token is not the embedding: "
        "take sentence_embedding of ORTModelForCustomTasks",
        code='ORTModelForFeatureExtraction.from_pretrained("{id}", subfolder="onnx")(**inputs).last_hidden_state[:, 0]',
        load=feature_extraction,
        exact=False,
    ),
)
