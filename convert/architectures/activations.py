"""The activations that a Hugging Face model can be given, and which of them a part of a graph computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hub2hf.analysis.read import SAME, Read
from hub2hf.errors import REPORT, GraphError
from hub2hf.interpreter.arrays import erf
from hub2hf.savedmodel.node import Node, TensorRef

Elementwise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes:
        function: in NumPy, float64 in and out.
        transformers_name: its name in `transformers.activations.ACT2FN`; None when the identity.
        torch_class: its class in `torch.nn` for a sentence-transformers module, which takes no arguments there.
    """

    function: Elementwise
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


def transformers_name(activation: str) -> str:
    """Return what `transformers.activations.ACT2FN` calls an activation, by its name here."""
    return ACTIVATIONS[activation].transformers_name or "linear"


# Of the numbers that an activation is tried on, one in so many is so many times as large: some are cut off far out.
FAR = (7, 20.0)
# A norm that is held above a floor, or has something added to it, is one of short rows, too, if that is small enough.
NEAR, ABOUT = 1e-3, 0.05  # how short they are, and how far from unit length what is made of them may be


def normalise(x: np.ndarray) -> np.ndarray:
    """Return x [batch, hidden] divided by its L2 norm."""
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def check_unit(found: np.ndarray, rows: np.ndarray, end: TensorRef) -> None:
    """See that short rows are brought to unit length.

    Raises:
        GraphError: they are not.
    """
    if not np.abs(found - normalise(rows)).max() < ABOUT:
        raise GraphError(f"Node '{end.node}' brings long rows to unit length, and not short ones.", REPORT)


def identify_activation(
    evaluate: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...], start: Node, end: TensorRef, *, last: bool
) -> tuple[Read[str], Read[bool]]:
    """Return which activation lies between the output of `start` and the tensor `end`, and whether an L2 norm follows.

    Args:
        evaluate: from a value for the output of `start`, of `shape`, to the value of `end` (any shape of that size; its
            numbers in any order where nothing may follow).
        last: whether an L2 norm over the last axis may follow the activation.

    Raises:
        GraphError: it is none that is known.
    """
    x = np.linspace(-6.0, 6.0, int(np.prod(shape))).reshape(shape)
    x = np.random.default_rng(0).permuted(x, axis=None)
    x.flat[:: FAR[0]] *= FAR[1]
    y = evaluate(x)
    where = f"'{start.name}' → '{end.node}'"

    def rows(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, shape[-1])

    def moved(values: np.ndarray) -> np.ndarray:
        return np.sort(values, axis=None)

    for seen in () if y.size != x.size else (rows,) if last else (rows, moved):
        found = seen(y)
        for name, activation in ACTIVATIONS.items():
            plain = seen(activation.function(x))
            for normal in (False, True) if last else (False,):
                if np.abs((normalise(plain) if normal else plain) - found).max() < SAME:
                    if normal:
                        check_unit(rows(evaluate(x * NEAR)), rows(activation.function(x * NEAR)), end)
                    return Read(name, f"nodes {where}"), Read(normal, f"nodes {where}")
    known = ", ".join(ACTIVATIONS)
    raise GraphError(f"The function computed by the nodes {where} is none of: {known}.", REPORT)
