"""The activations that a Hugging Face model can be given, as functions to hold the graph's against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hub2hf.interpreter.arrays import erf

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes:
        function: in NumPy, float64 in and out.
        transformers_name: its name in `transformers.activations.ACT2FN`; None when the identity.
        torch_class: its class in `torch.nn` for a sentence-transformers module, which takes no arguments there.
    """

    function: Function
    transformers_name: str | None
    torch_class: str


# Hendrycks and Gimpel 2016 (arXiv:1606.08415) give GELU with erf and its tanh approximation.
ACTIVATIONS: dict[str, Activation] = {
    "gelu_tanh": Activation(
        lambda x: 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x * x * x))),
        "gelu_pytorch_tanh",
        "torch.nn.modules.activation.GELU",
    ),
    "gelu_erf": Activation(
        lambda x: 0.5 * x * (1.0 + erf(x / np.sqrt(2.0))), "gelu", "torch.nn.modules.activation.GELU"
    ),
    "relu": Activation(lambda x: np.maximum(x, 0.0), "relu", "torch.nn.modules.activation.ReLU"),
    "tanh": Activation(np.tanh, "tanh", "torch.nn.modules.activation.Tanh"),
    "none": Activation(lambda x: x, None, "torch.nn.modules.linear.Identity"),
}
