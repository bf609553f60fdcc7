"""Libraries that run a folder's ONNX file with a tokenizer and a pooling of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, unit
from hub2hf.surfaces.onnxruntime import MODEL, has_model
from hub2hf.surfaces.sentence_transformers import Stock
from hub2hf.surfaces.transformers import quiet


class Fastembed(Loaded):
    """A custom model of fastembed, which takes the first output of the file as it is.

    Its tokenizer takes a text that spells a special token, such as [MASK], for that token unless it is told otherwise:
    `tokenizer.json` has no place for this, and fastembed does not read `tokenizer_config.json` for it.
    """

    def __init__(self, folder: Path) -> None:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        name = f"hub2hf/{folder.resolve()}"
        if name.lower() not in {str(known["model"]).lower() for known in TextEmbedding.list_supported_models()}:
            source, dim = ModelSource(hf=name), 1  # neither is looked at where the folder is given
            TextEmbedding.add_custom_model(
                name, pooling=PoolingType.DISABLED, normalization=False, sources=source, dim=dim
            )
        self.model: Any = TextEmbedding(name, specific_model_path=str(folder))
        self.model.model.tokenizer.encode_special_tokens = True

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        tokenizer: Tokenizer = self.model.model.tokenizer
        encodings = tokenizer.encode_batch(list(texts))
        ids = [[i for i, seen in zip(e.ids, e.attention_mask, strict=True) if seen] for e in encodings]
        return Embedded(ids, unit(np.array(list(self.model.embed(list(texts), batch_size=BATCH)), np.float32)))


def fastembed(folder: Path, trusted: bool) -> Fastembed:
    """Load a folder as a custom model of fastembed."""
    return Fastembed(folder)


def sentence_transformers_onnx(folder: Path, trusted: bool) -> Stock:
    """Load a folder as `SentenceTransformer` does with its ONNX backend."""
    quiet()
    return Stock(folder, backend="onnx", model_kwargs={"file_name": MODEL})


_by_name = partial(Surface, extra="runtimes", applies=has_model, by_name=True, own=(MODEL,))
SURFACES = (
    _by_name(
        title="sentence-transformers (ONNX)",
        code='SentenceTransformer("{id}", backend="onnx")',
        load=sentence_transformers_onnx,
        exact=True,
        libraries=("sentence-transformers", "transformers", "tokenizers", "optimum-onnx", "onnxruntime"),
    ),
    _by_name(
        title="fastembed",
        code="from fastembed import TextEmbedding; "
        "from fastembed.common.model_description import ModelSource, PoolingType; "
        'TextEmbedding.add_custom_model("{id}", pooling=PoolingType.DISABLED, normalization=False, '
        'sources=ModelSource(hf="{id}"), dim={dim}); model = TextEmbedding("{id}", specific_model_path="."); '
        "model.model.tokenizer.encode_special_tokens = True",
        load=fastembed,
        exact=True,
        libraries=("fastembed", "tokenizers", "onnxruntime"),
    ),
)
