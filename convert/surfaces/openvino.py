"""Ways of loading through OpenVINO: our ONNX file, sentence-transformers' backend, and OpenVINO's own tokenizers.

On a processor with bfloat16 units OpenVINO computes in bfloat16 unless it is told otherwise; `PRECISION` tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.surfaces.base import Surface
from hub2hf.surfaces.onnxruntime import EMBEDDING, MODEL, has_model
from hub2hf.surfaces.padded import Inputs, WithTokenizer
from hub2hf.surfaces.sentence_transformers import Stock, described
from hub2hf.surfaces.transformers import quiet

PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
TOLD = 'dict(INFERENCE_PRECISION_HINT="f32")'


class Compiled(WithTokenizer):
    """Our ONNX file in OpenVINO, beside the folder's own tokenizer."""

    def __init__(self, folder: Path) -> None:
        import openvino

        super().__init__(folder)
        self.model: Any = openvino.Core().compile_model(folder / MODEL, "CPU", PRECISION)

    def run(self, inputs: Inputs) -> np.ndarray:
        """Return the embeddings of what `padded` made as the graph gives them, float32 [texts, hidden]."""
        taken = {each.any_name: inputs[each.any_name] for each in self.model.inputs}
        return np.asarray(self.model(taken)[EMBEDDING])


class WithItsTokenizer(Compiled):
    """The same with the tokenizer that OpenVINO makes of the folder's."""

    def __init__(self, folder: Path) -> None:
        from openvino import Core
        from openvino_tokenizers import convert_tokenizer
        from transformers import AutoTokenizer

        super().__init__(folder)
        quiet()
        known = AutoTokenizer.from_pretrained(folder)
        made = convert_tokenizer(known, truncation=True, max_length=known.model_max_length)
        self.compiled: Any = Core().compile_model(made, "CPU")

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without padding."""
        return [self.compiled([text])["input_ids"][0].tolist() for text in texts]


def openvino(folder: Path, trusted: bool) -> Compiled:
    """Load the ONNX file in OpenVINO."""
    return Compiled(folder)


def own_tokenizer(folder: Path, trusted: bool) -> WithItsTokenizer:
    """Load the same with OpenVINO's tokenizer."""
    return WithItsTokenizer(folder)


def backend(folder: Path, trusted: bool) -> Stock:
    """Load a folder as `SentenceTransformer` does with its OpenVINO backend, told to compute in float32."""
    quiet()
    return Stock(folder, backend="openvino", model_kwargs={"ov_config": PRECISION})


def backend_untold(folder: Path, trusted: bool) -> Stock:
    """Load the same, with the precision that OpenVINO takes by itself."""
    quiet()
    return Stock(folder, backend="openvino")


_runtimes = partial(Surface, extra="runtimes", by_name=True)
_of_onnx = partial(_runtimes, applies=has_model, own=(MODEL,))
_of_sentence_transformers = partial(
    _runtimes,
    applies=described,
    libraries=("sentence-transformers", "transformers", "tokenizers", "optimum-intel", "openvino", "torch"),
)
SURFACES = (
    _of_onnx(
        title="OpenVINO",
        code=f'Core().compile_model("onnx/model.onnx", "CPU", {TOLD})',
        load=openvino,
        exact=True,
        libraries=("openvino", "tokenizers"),
    ),
    _of_sentence_transformers(
        title="sentence-transformers (OpenVINO)",
        code=f'SentenceTransformer("{{id}}", backend="openvino", model_kwargs=dict(ov_config={TOLD}))',
        load=backend,
        exact=True,
    ),
    _of_sentence_transformers(
        title="sentence-transformers (OpenVINO default)",
        differs="on a processor with bfloat16 units OpenVINO computes in bfloat16 unless it is told otherwise: 5e-3 there",
        code='SentenceTransformer("{id}", backend="openvino")',
        load=backend_untold,
        exact=False,
    ),
    _of_onnx(
        title="OpenVINO Tokenizers",
        differs="OpenVINO Tokenizers silently gives different token ids from tokenizer.json's: give OpenVINO the ids of "
        "tokenizers",
        code='convert_tokenizer(AutoTokenizer.from_pretrained("{id}"), truncation=True, max_length={length})',
        load=own_tokenizer,
        exact=False,
        libraries=("openvino", "openvino-tokenizers", "transformers", "tokenizers"),
    ),
)
