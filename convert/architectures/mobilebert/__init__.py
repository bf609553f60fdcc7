"""MobileBERT (Sun et al. 2020, arXiv:2004.02984): bottlenecks in each layer, and words that see their neighbours.

The first product takes the embeddings of the id before, the id itself and the id after. So the last token of a text sees
what follows it, which is padding: a graph pads every text to one length, and sees the embedding of [PAD] there; the class of
transformers sees [PAD], or zeros where a text is the longest of its batch. In the folder the embedding of [PAD] is therefore
zero: it is taken from every word embedding, and what that changes, which is the same for each position, is added to the
position embeddings. All that the class computes is then what the graph does, with padding or without.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hub2hf.analysis.flow import Flow
from hub2hf.analysis.read import Read
from hub2hf.architectures.activations import transformers_name
from hub2hf.architectures.base import Architecture, Recognised
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import dense_key
from hub2hf.architectures.mobilebert.names import FAMILIES
from hub2hf.architectures.mobilebert.recognised import RecognisedMobileBert
from hub2hf.architectures.mobilebert.reference import JOINED, TABLES, layer_key
from hub2hf.architectures.mobilebert.structure import BESIDE, Structure
from hub2hf.architectures.post_norm.architecture import pooled_by_one_layer
from hub2hf.savedmodel.values import Computed
from hub2hf.state_dict import COPY, Mapped, tensor_of

ReadVariable = Callable[[str], np.ndarray]


class MobileBert(Architecture):
    """`transformers.MobileBertModel`, of which all published models have gammas and betas without LayerNorm."""

    name, title, model_class, config_class = "mobilebert", "MobileBERT", "MobileBertModel", "MobileBertConfig"
    published = 2020
    families = FAMILIES
    token_types = TABLES["types"]
    sees_padding = True

    def recognise(self, flow: Flow) -> Recognised:
        """Return the encoder in a graph."""
        return RecognisedMobileBert(self, Structure(flow))

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for `transformers.MobileBertConfig`."""
        shapes = {item.key: item.shape for item in encoder.mapped}
        inside = shapes[f"{layer_key(0)}.bottleneck.input.dense.weight"][0]
        more = sum(key.startswith(f"{layer_key(0)}.ffn.") and key.endswith("output.dense.bias") for key in shapes)
        own = {
            "hidden_act": transformers_name(encoder.hidden_activation.value),
            "max_position_embeddings": encoder.positions.value,
            "type_vocab_size": encoder.type_vocab_size.value,
            "embedding_size": shapes[self.word_table][1],
            "trigram_input": True,
            "use_bottleneck": True,
            "intra_bottleneck_size": inside,
            "use_bottleneck_attention": False,
            "key_query_shared_bottleneck": True,
            "num_feedforward_networks": more + 1,
            "normalization_type": "no_norm",
            "classifier_activation": bool(encoder.dense),
        }
        return self.common_config(encoder, pad_id, own)

    def needs_model_class(self, encoder: EncoderBlueprint) -> bool:
        """Return whether `pooler_output` is other than the first token, or one dense layer with tanh on it."""
        first = encoder.pooler.value == "first" and not encoder.dense
        return not (first or self.stock_activation(encoder) == "tanh") or encoder.normalised.value

    def stock_activation(self, encoder: EncoderBlueprint) -> str | None:
        """Return "tanh", the only activation that its pooler can have, where the head is like it."""
        return "tanh" if pooled_by_one_layer(encoder) == "tanh" else None

    def dense_key(self, encoder: EncoderBlueprint, number: int) -> str:
        """Return the start of the keys of a dense layer: that of the pooler of the class, where the head is like it."""
        return dense_key(number) if self.stock_activation(encoder) is None else "pooler.dense"

    def packed(self, encoder: EncoderBlueprint, pad_id: int, length: int) -> EncoderBlueprint:
        """Return the encoder whose embedding of [PAD] is zero, and that has as many positions as texts are padded to."""
        items = {item.key: item for item in encoder.mapped}
        words, places, joined = (items[key] for key in (TABLES["words"], TABLES["positions"], f"{JOINED}.weight"))

        def tensor(item: Mapped, read: ReadVariable) -> np.ndarray:
            return np.asarray(tensor_of(item, read(item.variable)), np.float64)

        def of_words(read: ReadVariable) -> np.ndarray:
            table = tensor(words, read)
            return np.asarray(table - table[pad_id])

        def of_places(read: ReadVariable) -> np.ndarray:
            pad = tensor(words, read)[pad_id]
            after, own, before = (part @ pad for part in np.split(tensor(joined, read), BESIDE, axis=1))
            table = tensor(places, read)[:length] + (after + own + before)
            table[0] -= before  # nothing is before the first token, and nothing after the last that fits
            table[-1] -= after
            return np.asarray(table)

        made = {
            f"{words.variable}, less the row of [PAD]": (words, of_words, (words,), words.shape),
            f"{places.variable}, with what [PAD] adds": (
                places,
                of_places,
                (places, words, joined),
                (length, places.shape[1]),
            ),
        }
        changed, computed = dict(items), dict(encoder.made)
        for name, (item, value, of, shape) in made.items():
            variables = tuple(each.variable for each in of)
            computed[name] = Computed(item.variable, variables, np.dtype(np.float32), shape, value)
            changed[item.key] = Mapped(name, item.key, COPY, shape, named=item.named)
        positions = Read(length, f"texts are padded to {length} ids; {encoder.positions.evidence}")
        return replace(encoder, mapped=tuple(changed.values()), made=computed, positions=positions)


ARCHITECTURE = MobileBert()
