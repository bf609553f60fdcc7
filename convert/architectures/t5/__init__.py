"""T5's encoder (Raffel et al. 2019, arXiv:1910.10683), as sentence-T5 (Ni et al. 2021, arXiv:2108.08877) and GTR have it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from hub2hf.analysis.flow import Flow
from hub2hf.architectures.activations import transformers_name
from hub2hf.architectures.base import Architecture, Recognised
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.t5.names import FAMILIES
from hub2hf.architectures.t5.recognised import RecognisedT5
from hub2hf.architectures.t5.reference import ATTENTION, FEED_FORWARD, MAX_DISTANCE, RELATIVE, WORDS, block
from hub2hf.architectures.t5.structure import Structure
from hub2hf.errors import REPORT, MappingError


class T5(Architecture):
    """`transformers.T5EncoderModel`, which has no pooler: whatever follows the layers is of our model class."""

    name, title, model_class, config_class = "t5", "T5", "T5EncoderModel", "T5Config"
    published = 2019
    families = FAMILIES
    inputs = ("input_ids", "attention_mask")
    word_table = WORDS
    config_names = MappingProxyType(
        {
            "hidden_size": "d_model",
            "num_hidden_layers": "num_layers",
            "num_attention_heads": "num_heads",
            "intermediate_size": "d_ff",
            "layer_norm_eps": "layer_norm_epsilon",
        }
    )

    def recognise(self, flow: Flow) -> Recognised:
        """Return the encoder in a graph."""
        return RecognisedT5(self, Structure(flow))

    def config(self, encoder: EncoderBlueprint, pad_id: int) -> dict[str, Any]:
        """Return `config.json` for `transformers.T5Config`."""
        shapes = {item.key: item.shape for item in encoder.mapped}
        heads, gated = encoder.heads.value, f"{block(0)}.{FEED_FORWARD}.wi_1.weight" in shapes
        own = {
            "layer_norm_eps": encoder.layer_norm_epsilon.value,
            "d_kv": shapes[f"{block(0)}.{ATTENTION}.q.weight"][0] // heads,
            "feed_forward_proj": _activation(encoder.hidden_activation.value, gated=gated),
            "relative_attention_num_buckets": shapes[RELATIVE][0],
            "relative_attention_max_distance": MAX_DISTANCE,
            "is_encoder_decoder": False,
            "use_cache": False,
        }
        return self.common_config(encoder, pad_id, own)


def _activation(name: str, *, gated: bool) -> str:
    """Return an activation as `feed_forward_proj` has it, which takes "gated-gelu" for the tanh form.

    Raises:
        MappingError: it has no name there.
    """
    if not gated:
        return transformers_name(name)
    if name == "gelu_erf":
        raise MappingError("The gate is GELU in the form with erf, which T5Config has no name for.", REPORT)
    return "gated-gelu" if name == "gelu_tanh" else f"gated-{transformers_name(name)}"


ARCHITECTURE = T5()
