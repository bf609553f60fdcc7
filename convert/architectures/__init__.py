"""The architectures that are known, each a value `ARCHITECTURE` in a file, or a folder, of its own, found by its name."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from hub2hf.analysis.flow import Flow
from hub2hf.architectures.base import MODEL_FILE, NOTICE, Architecture, Recognised, Unlike
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.errors import MappingError


def _declared() -> Iterator[Architecture]:
    for module in pkgutil.iter_modules(__path__):
        known = getattr(import_module(f"{__name__}.{module.name}"), "ARCHITECTURE", None)
        if known is not None:
            yield known


ARCHITECTURES: dict[str, Architecture] = {
    known.name: known for known in sorted(_declared(), key=lambda known: known.published)
}

# SHA-256 of the model classes that earlier versions shipped: folders of theirs are still ours. 0.1.0:
SHIPPED = frozenset({"9e7fa03a23afba1432f61163e04b536a6767be3a13e2640c5dad857d1467011a"})


def recognise(flow: Flow) -> Recognised:
    """Return the encoder in a graph, of the first architecture that it is one of.

    Raises:
        MappingError: it is of none; says what each of them misses.
    """
    missed: list[tuple[Architecture, MappingError]] = []
    for known in ARCHITECTURES.values():
        try:
            return known.recognise(flow)
        except MappingError as error:
            missed.append((known, error))
    missed = [miss for miss in missed if not isinstance(miss[1], Unlike)] or missed[:1]
    if len({error.problem for _, error in missed}) == 1:
        raise missed[0][1]
    told = " ".join(f"{known.title}: {error.problem}" for known, error in missed)
    raise MappingError(f"The encoder is of no architecture that is known. {told}", missed[0][1].next_step)


def architecture_of(encoder: EncoderBlueprint) -> Architecture:
    """Return the architecture of an encoder that was read."""
    return ARCHITECTURES[encoder.architecture]


def architecture_of_facts(facts: Mapping[str, Any]) -> Architecture:
    """Return the architecture of an encoder as `hub2hf.json` has it; version 0.1.0 knew BERT alone.

    Args:
        facts: "encoder" of the blueprint there.
    """
    return ARCHITECTURES[facts.get("architecture", "bert")]


def ships_own_class(code: bytes) -> bool:
    """Return whether `code` is a model class of this package, byte for byte, of this version or an earlier one."""
    own = (known.model_code() for known in ARCHITECTURES.values())
    return code in own or hashlib.sha256(code).hexdigest() in SHIPPED


__all__ = [
    "ARCHITECTURES",
    "MODEL_FILE",
    "NOTICE",
    "Architecture",
    "architecture_of",
    "architecture_of_facts",
    "recognise",
    "ships_own_class",
]
