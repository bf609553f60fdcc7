"""BERT (Devlin et al. 2018, arXiv:1810.04805): LayerNorm after each part, learned positions, two token types."""

from __future__ import annotations

from typing import Any

import numpy as np

from hub2hf.architectures.base import StockPooler
from hub2hf.architectures.bert.names import FAMILIES
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import dense_key
from hub2hf.architectures.post_norm.architecture import PostNorm, pooled_by_one_layer
from hub2hf.architectures.post_norm.structure import Structure


class Bert(PostNorm):
    """`transformers.BertModel`."""

    name, title, model_class, config_class = "bert", "BERT", "BertModel", "BertConfig"
    published = 2018
    families = FAMILIES

    def misfit(self, structure: Structure) -> str:
        """Return what `BertModel` cannot have."""
        if structure.projection is not None:
            return "The embeddings are projected before the first layer, which BertModel cannot."
        if structure.shared:
            return "All layers have the same weights; those of BertModel have their own."
        return ""

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer: that of the pooler of `BertModel`, where the head is like it."""
        return dense_key(number) if self.stock_activation(encoder) is None else "pooler.dense"

    def stock_activation(self, encoder: EncoderBlueprint) -> str | None:
        """Return the activation of the one dense layer on the first token, which the pooler of `BertModel` has, too."""
        return pooled_by_one_layer(encoder)

    def inner_activations(self, model: Any) -> list[tuple[Any, str]]:
        """Return where the activation of each layer is."""
        return [(layer.intermediate, "intermediate_act_fn") for layer in model.encoder.layer]

    def stock_pooler(self, model: Any) -> StockPooler:
        """Return the pooler of a loaded `BertModel`."""

        def pooled(first: np.ndarray) -> tuple[np.ndarray, str, np.ndarray]:
            import torch

            dense, activation = model.pooler.dense, model.pooler.activation
            made = first.astype(np.float64) @ dense.weight.detach().numpy().T + dense.bias.detach().numpy()
            return made, type(activation).__name__, activation(torch.from_numpy(made)).numpy()

        return pooled


ARCHITECTURE = Bert()
