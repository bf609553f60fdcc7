"""The sentence-transformers modules: those of the architecture, pooling, dense layers as stock `Dense` modules, L2 norm.

sentence-transformers makes an activation only from a `torch.*` class without arguments, unless the user trusts remote code.
`torch.nn.GELU()` is the erf form. The tanh form is written as a sum of scaled erf forms, which two stock `Dense` modules
compute: the first gives `scale * (W x + b)` for each scale, then GELU; the second adds them up with the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.architectures import architecture_of
from hub2hf.architectures.activations import ACTIVATIONS
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.architectures.head import pooling_mode
from hub2hf.blueprint.text import Pack
from hub2hf.folder.files import write_json
from hub2hf.folder.weights import WEIGHTS, write_arrays
from hub2hf.savedmodel.values import Values
from hub2hf.state_dict import tensor_of

# gelu_tanh(x) = sum of coefficient * gelu_erf(scale * x), to GELU_APART for every x: printed by scripts/fit_gelu.py.
SCALES = (1.0, 0.6, 0.707401, 0.834028, 0.983321, 1.159337, 1.366861, 1.611532, 1.9)
COEFFICIENTS = (
    *(0.907759004, -0.003269063, 0.032620544, -0.192925768, 0.49052913),
    *(-0.377605575, 0.179405921, -0.041117395, 0.004471411),
)
GELU_APART = 9e-7
# What `sentence_transformers.models.Pooling` can do.
MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True)
class DenseModule:
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
        write_arrays(folder / WEIGHTS, arrays)


def dense_modules(weight: np.ndarray, bias: np.ndarray | None, activation: str) -> list[DenseModule]:
    """Return a dense layer and its activation as stock modules.

    Args:
        weight: [outputs, inputs] as torch has it, floating.
        bias: [outputs], if there is one.
        activation: a name of `ACTIVATIONS`.
    """
    weight, bias = weight.astype(np.float32), None if bias is None else bias.astype(np.float32)
    if activation != "gelu_tanh":
        return [DenseModule(weight, bias, ACTIVATIONS[activation].torch_class)]
    dtype, outputs = np.float32, len(weight)
    scales = np.asarray(SCALES)
    wide = (scales[:, np.newaxis, np.newaxis] * weight).reshape(-1, weight.shape[1]).astype(dtype)
    wide_bias = None if bias is None else (scales[:, np.newaxis] * bias).reshape(-1).astype(dtype)
    added = np.concatenate([c * np.eye(outputs) for c in COEFFICIENTS], axis=1).astype(dtype)
    return [DenseModule(wide, wide_bias, ACTIVATIONS["gelu_erf"].torch_class), DenseModule(added, None, IDENTITY)]


def write_modules(work: Path, values: Values, encoder: EncoderBlueprint, pack: Pack) -> None:
    """Write `modules.json` and the folder of every module into `work`."""
    architecture = architecture_of(encoder)
    items = {item.key: item for item in encoder.mapped}
    folders = architecture.modules()
    pooling = f"{len(folders)}_Pooling"
    folders.append((pooling, "Pooling"))
    for layer, keys in zip(encoder.dense, architecture.dense_keys(encoder), strict=True):
        weight, bias = (tensor_of(items[key], values.read(items[key].variable)) if key else None for key in keys)
        assert weight is not None
        for dense in dense_modules(weight, bias, layer.activation):
            folder = f"{len(folders)}_Dense"
            dense.write(work / folder)
            folders.append((folder, "Dense"))
    if encoder.normalised.value:
        folders.append((f"{len(folders)}_Normalize", "Normalize"))
    for path, content in _configurations(encoder, pack, folders, pooling).items():
        write_json(work / path, content)


def _configurations(
    encoder: EncoderBlueprint, pack: Pack, folders: list[tuple[str, str]], pooling: str
) -> dict[str, Any]:
    """Return path → JSON content of everything but the dense modules."""
    mode = pooling_mode(encoder)
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
        f"{pooling}/config.json": {
            "word_embedding_dimension": encoder.hidden_size.value,
            **{f"pooling_mode_{known}": known == mode for known in MODES},
            "include_prompt": True,
        },
    }
