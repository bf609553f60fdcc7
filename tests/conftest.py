"""Reference SavedModels, built once a session by TensorFlow, each in another form."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import pytest

from convert.sources import resolve

EMBEDDED = resolve("lealla-mini")
VOCABULARY = EMBEDDED / "assets" / "vocab.txt"

# What each reference differs in from SIZES["mini"] of scripts/build_reference_model.py.
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
    "bare": {"cut_patterns": (), "delete_pattern": "", "max_length": 32, "pooler": "gelu_erf", "layers": 1},
}


@dataclass(frozen=True)
class Reference:
    """A SavedModel and the options it was built with."""

    folder: Path
    options: Any


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Reference]:
    """Return a function from option values to a reference SavedModel."""
    import build_reference_model as reference

    def make(**changes: Any) -> Reference:
        options = replace(reference.SIZES["mini"], **changes)
        folder = tmp_path_factory.mktemp("reference") / "model"
        reference.build(folder, VOCABULARY, options)
        return Reference(folder, options)

    return make


@pytest.fixture(scope="session")
def reference(build: Callable[..., Reference]) -> Callable[[str], Reference]:
    """Return a function from a name of VARIANTS to its reference, built at the first call."""
    return cache(lambda name: build(**VARIANTS[name]))


@pytest.fixture(params=list(VARIANTS))
def variant(request: pytest.FixtureRequest, reference: Callable[[str], Reference]) -> Reference:
    """Each reference in turn."""
    return reference(request.param)
