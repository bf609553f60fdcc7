"""The sentence-transformers modules: transformer, CLS pooling, the pooler as stock `Dense` modules, L2 norm.

sentence-transformers makes an activation only from a `torch.*` class without arguments, unless the user trusts remote code.
`torch.nn.GELU()` is the erf form. The tanh form is written as a sum of scaled erf forms, which two stock `Dense` modules
compute: the first gives `scale * (W x + b)` for each scale, then GELU; the second adds them up with the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.blueprint.activations import ACTIVATIONS
from hub2hf.blueprint.encoder import EncoderBlueprint
from hub2hf.blueprint.text import Pack
from hub2hf.export.files import write_json
from hub2hf.export.weights import write_arrays
from hub2hf.savedmodel.values import Values
from hub2hf.state_dict import tensor_of

# gelu_tanh(x) = sum of coefficient * gelu_erf(scale * x), to 9e-7 for every x: printed by scripts/fit_gelu.py.
SCALES = (1.0, 0.6, 0.707401, 0.834028, 0.983321, 1.159337, 1.366861, 1.611532, 1.9)
COEFFICIENTS = (
    *(0.907759004, -0.003269063, 0.032620544, -0.192925768, 0.49052913),
    *(-0.377605575, 0.179405921, -0.041117395, 0.004471411),
)
IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True)
class Dense:
    """A `Dense` module: weight [outputs, inputs], bias [outputs] or None, and the class of its activation."""

    weight: np.ndarray
    bias: np.ndarray | None
    activation: str

    def write(self, folder: Path) -> None:
        """Write its configuration and weights into `folder`."""
        outputs, inputs = self.weight.shape
        config = {
            "in_features": inputs,
            "out_features": outputs,
            "bias": self.bias is not None,
            "activation_function": self.activation,
        }
        write_json(folder / "config.json", config)
        arrays = {"linear.weight": self.weight} | ({} if self.bias is None else {"linear.bias": self.bias})
        write_arrays(folder / "model.safetensors", arrays)


def dense_modules(weight: np.ndarray, bias: np.ndarray, activation: str) -> list[Dense]:
    """Return the pooler's dense layer and activation as stock modules.

    Args:
        weight: [hidden, hidden] as torch has it, floating.
        bias: [hidden].
        activation: a name of `ACTIVATIONS`.
    """
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    if activation != "gelu_tanh":
        return [Dense(weight, bias, ACTIVATIONS[activation].torch_class)]
    dtype, hidden = np.float32, len(bias)
    scales = np.asarray(SCALES)
    wide = (scales[:, np.newaxis, np.newaxis] * weight).reshape(-1, weight.shape[1]).astype(dtype)
    wide_bias = (scales[:, np.newaxis] * bias).reshape(-1).astype(dtype)
    added = np.concatenate([c * np.eye(hidden) for c in COEFFICIENTS], axis=1).astype(dtype)
    return [Dense(wide, wide_bias, ACTIVATIONS["gelu_erf"].torch_class), Dense(added, None, IDENTITY)]


def write_modules(work: Path, values: Values, encoder: EncoderBlueprint, pack: Pack) -> None:
    """Write `modules.json` and the folder of every module into `work`."""
    weight, bias = (
        tensor_of(item, values.read(item.variable)) for item in encoder.mapped if item.key.startswith("pooler.dense.")
    )
    folders = [("", "Transformer"), ("1_Pooling", "Pooling")]
    for dense in dense_modules(weight, bias, encoder.pooler_activation.value):
        folder = f"{len(folders)}_Dense"
        dense.write(work / folder)
        folders.append((folder, "Dense"))
    if encoder.normalised.value:
        folders.append((f"{len(folders)}_Normalize", "Normalize"))
    for path, content in _configurations(encoder, pack, folders).items():
        write_json(work / path, content)


def _configurations(encoder: EncoderBlueprint, pack: Pack, folders: list[tuple[str, str]]) -> dict[str, Any]:
    """Return path → JSON content of everything but the dense modules."""
    modes = (
        "cls_token",
        "mean_tokens",
        "max_tokens",
        "mean_sqrt_len_tokens",
        "weightedmean_tokens",
        "lasttoken",
    )
    return {
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(folders)
        ],
        "sentence_bert_config.json": {"max_seq_length": pack.max_length, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "model_type": "SentenceTransformer",
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
        "1_Pooling/config.json": {
            "word_embedding_dimension": encoder.hidden_size.value,
            **{f"pooling_mode_{mode}": mode == "cls_token" for mode in modes},
            "include_prompt": True,
        },
    }
