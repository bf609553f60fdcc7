"""BERT with the pooler of the TensorFlow Hub module it was converted from; see hub2hf.json beside this file."""

from typing import Any

import torch
from transformers import BertConfig, BertModel
from transformers.activations import ACT2FN


class HubEncoderModel(BertModel):
    """A `BertModel` whose `pooler_output` [batch, hidden] is the embedding that the TensorFlow graph computes.

    `config.pooler_act` names the pooler's activation; `config.pooler_normalize` asks for unit length.
    """

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config, add_pooling_layer=add_pooling_layer)
        if self.pooler is not None:
            self.pooler.activation = ACT2FN[config.pooler_act]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Take what `BertModel.forward` takes and return what it returns."""
        outputs = super().forward(*args, **kwargs)
        pooled = outputs[1] if self.pooler is not None else None
        if pooled is None or not self.config.pooler_normalize:
            return outputs
        pooled = torch.nn.functional.normalize(pooled, p=2, dim=-1)
        if isinstance(outputs, tuple):
            return (outputs[0], pooled, *outputs[2:])
        outputs.pooler_output = pooled
        return outputs
