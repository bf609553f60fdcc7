"""The reference SavedModels of the tests, and the embedded one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub2hf.sources import recording_of, resolve

ROOT = Path(__file__).parents[1]

EMBEDDED = resolve("lealla-mini")
GOLDEN = recording_of("lealla-mini")
VOCABULARY = EMBEDDED / "assets" / "vocab.txt"

# What each reference differs in from SIZES["mini"] of scripts/builders/lealla.py.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "foreign": {
        "activation": "gelu_erf",
        "pooler": "tanh",
        "epsilon": 1e-6,
        "max_length": 64,
        "scope": "towers/text/bert",
        "layers": 2,
        "hidden": 48,
        "heads": 6,
        "intermediate": 80,
        "seed": 2,
    },
    "einsum": {
        "attention": "einsum",
        "layer_norm": "plain",
        "token_types": "row",
        "cut_select": "gather",
        "resource_variables": False,
        "heads": 2,
    },
    "sliced": {"slices": 3, "shards": 2, "token_types": "gather", "batched_text": True, "tags": ()},
    "relu": {
        "activation": "relu",
        "pooler": "none",
        "normalise": False,
        "heads": 8,
        "max_bytes_per_word": 40,
        "delete_pattern": r"\p{Cc}",
    },
    "mean": {"pooling": "mean", "dense_layers": 0, "layers": 2},
    "max": {
        "pooling": "max",
        "dense_layers": 2,
        "dense_bias": False,
        "pooler": "tanh",
        "normalise": False,
        "layers": 1,
    },
    "stock": {"pooler": "tanh", "normalise": False, "layers": 1},  # a pooler that BertModel has
    "bare": {"cut_patterns": (), "delete_pattern": "", "max_length": 32, "pooler": "gelu_erf", "layers": 1},
}


@dataclass(frozen=True)
class Reference:
    """A SavedModel and the options it was built with."""

    folder: Path
    options: Any


# What each TF2 reference differs in from SIZES["mini"] of scripts/builders/bert_tf2.py. `beside`: with a preprocessor.
TF2_VARIANTS: dict[str, dict[str, Any]] = {
    "cased": {},
    "uncased": {
        "lower_case": True,
        "names": "layers",
        "attention": "reshape",
        "trimmer": "waterfall",
        "default": "normalised",
        "max_length": 64,
        "seed": 3,
    },
    "listed": {
        "inputs": "list",
        "names": "layers",
        "activation": "gelu_erf",
        "layer_norm": "plain",
        "epsilon": 1e-6,
        "lower_case": None,
        "own_vocabulary": False,
        "heads": 2,
    },
    "unsigned": {
        "names": "none",
        "layer_norm": "fused",
        "epsilon": 1e-3,
        "activation": "relu",
        "pooler": "none",
        "mlm": True,
        "types": 3,
        "scope": "module/bert/",
        "positions": 40,
        "max_length": 40,
        "lower_case": True,
    },
}


@dataclass(frozen=True)
class Pair:
    """An encoder of ids, its preprocessor, and the options both were built with."""

    encoder: Path
    preprocessor: Path
    options: Any
