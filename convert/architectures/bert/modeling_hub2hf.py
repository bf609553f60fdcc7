"""BERT with the pooler of the TensorFlow Hub module it was converted from; see hub2hf.json beside this file."""

from typing import Any

import torch
from transformers import BertConfig, BertModel
from transformers.activations import ACT2FN

# The name of a tensor without numbers, which no stock class expects: its report on loading, which libraries print
# unasked, then says what its `pooler_output` is not, and what to do.
NOTICE = "AutoModel_needs_trust_remote_code__SentenceTransformer_does_not"

# From states [batch, length, hidden] and the mask [batch, length, 1], 1.0 for each token, to one row a text.
POOLINGS = {
    "first": lambda states, mask: states[:, 0],
    "mean": lambda states, mask: (states * mask).sum(1) / mask.sum(1),
    "max": lambda states, mask: states.masked_fill(mask == 0, -torch.inf).max(1).values,
    "mean_sqrt": lambda states, mask: (states * mask).sum(1) / mask.sum(1).sqrt(),
}


class HubEncoderModel(BertModel):
    """A `BertModel` whose `pooler_output` [batch, size] is the embedding that the TensorFlow graph computes.

    `config.pooler_act` names the activation of the pooler that `BertModel` has. Where the embedding is made otherwise,
    `config.hub_head` says how: a pooling, then dense layers. `config.pooler_normalize` asks for unit length.
    """

    _keys_to_ignore_on_load_missing = [NOTICE]  # noqa: RUF012  # the form that transformers has for it

    def __init__(self, config: BertConfig, add_pooling_layer: bool = True) -> None:
        head = getattr(config, "hub_head", None)
        if head is None:
            super().__init__(config, add_pooling_layer=add_pooling_layer)
        else:
            super().__init__(config)
            self.pooler: torch.nn.Module | None = None
        self.register_buffer(NOTICE, torch.zeros(0))  # so that what is saved again has it, too
        self.hub_pooling: str | None = None
        if head is None:
            if self.pooler is not None:
                self.pooler.activation = ACT2FN[config.pooler_act]
        elif add_pooling_layer:
            self.hub_pooling, layers = head["pooling"], head["dense"]
            self.head = torch.nn.ModuleList(
                torch.nn.Linear(each["in_features"], each["out_features"], bias=each["bias"]) for each in layers
            )
            self.head_activations = [ACT2FN[each["activation"]] for each in layers]
            self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Take what `BertModel.forward` takes and return what it returns."""
        wanted = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        outputs = super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            return_dict=True,
            **{name: value for name, value in wanted.items() if value is not None},
            **kwargs,
        )
        pooled = getattr(outputs, "pooler_output", None)
        if self.hub_pooling is not None:
            pooled = self._pooled(POOLINGS[self.hub_pooling], outputs.last_hidden_state, attention_mask)
        if pooled is not None and self.config.pooler_normalize:
            pooled = torch.nn.functional.normalize(pooled, p=2, dim=-1)
        outputs["pooler_output"] = pooled
        if return_dict is None:
            return_dict = self.config.return_dict and not getattr(self.config, "torchscript", False)
        return outputs if return_dict else outputs.to_tuple()

    def _pooled(self, pooling: Any, states: torch.Tensor, attention_mask: torch.Tensor | None) -> Any:
        if attention_mask is None:
            attention_mask = torch.ones(states.shape[:2], device=states.device)
        x = pooling(states, attention_mask.unsqueeze(-1).to(states.dtype))
        for layer, activation in zip(self.head, self.head_activations, strict=True):
            x = activation(layer(x))
        return x


HubEncoderModel.register_for_auto_class("AutoModel")  # `save_pretrained` brings this file along
