"""hub2hf: a text encoder published as a TensorFlow SavedModel becomes an exact Hugging Face folder.

Example:
    >>> import hub2hf
    >>> hub2hf.inspect("lealla-mini").encoder.layers.value
    3
    >>> hub2hf.convert("lealla-mini", "out").out
    PosixPath('out')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hub2hf.errors import Hub2HFError

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.corpora.embed import Embeddings, embed
    from hub2hf.corpora.golden import StoredReport, verify_vectors
    from hub2hf.opened import Source
    from hub2hf.proof import Report
    from hub2hf.retrieval.evaluate import Evaluation, evaluate
    from hub2hf.retrieval.mine import Mined, mine
    from hub2hf.retrieval.slim import slim
    from hub2hf.slimming.asked import Slim
    from hub2hf.verbs.card import card, integrity
    from hub2hf.verbs.convert import Conversion, convert
    from hub2hf.verbs.export import export
    from hub2hf.verbs.fetch import fetch
    from hub2hf.verbs.inspect import diagnose, facts, graph_only, inspect
    from hub2hf.verbs.push import push
    from hub2hf.verbs.record import record
    from hub2hf.verbs.verify import verify

# Where each name is; it is here when it is first used: the command must answer at once, to the Tab key as well as to Ctrl-C.
_WHERE = {
    "Blueprint": "hub2hf.blueprint.blueprint",
    "Conversion": "hub2hf.verbs.convert",
    "Embeddings": "hub2hf.corpora.embed",
    "Evaluation": "hub2hf.retrieval.evaluate",
    "Mined": "hub2hf.retrieval.mine",
    "Report": "hub2hf.proof",
    "Slim": "hub2hf.slimming.asked",
    "Source": "hub2hf.opened",
    "StoredReport": "hub2hf.corpora.golden",
    "card": "hub2hf.verbs.card",
    "convert": "hub2hf.verbs.convert",
    "diagnose": "hub2hf.verbs.inspect",
    "embed": "hub2hf.corpora.embed",
    "evaluate": "hub2hf.retrieval.evaluate",
    "export": "hub2hf.verbs.export",
    "facts": "hub2hf.verbs.inspect",
    "fetch": "hub2hf.verbs.fetch",
    "graph_only": "hub2hf.verbs.inspect",
    "inspect": "hub2hf.verbs.inspect",
    "integrity": "hub2hf.verbs.card",
    "mine": "hub2hf.retrieval.mine",
    "push": "hub2hf.verbs.push",
    "record": "hub2hf.verbs.record",
    "slim": "hub2hf.retrieval.slim",
    "verify": "hub2hf.verbs.verify",
    "verify_vectors": "hub2hf.corpora.golden",
}

__all__ = [
    "Blueprint",
    "Conversion",
    "Embeddings",
    "Evaluation",
    "Hub2HFError",
    "Mined",
    "Report",
    "Slim",
    "Source",
    "StoredReport",
    "card",
    "convert",
    "diagnose",
    "embed",
    "evaluate",
    "export",
    "facts",
    "fetch",
    "graph_only",
    "inspect",
    "integrity",
    "mine",
    "push",
    "record",
    "slim",
    "verify",
    "verify_vectors",
]


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module 'hub2hf' has no attribute '{name}'")
        found = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return found
