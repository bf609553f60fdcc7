"""Where a candidate departs from the graph, and the likely cause: each is tried, and named only when it explains."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hub2hf.architectures import ARCHITECTURES, Architecture, architecture_of
from hub2hf.architectures.activations import ACTIVATIONS, normalise
from hub2hf.architectures.words import words_of
from hub2hf.equivalence.candidate import Candidate
from hub2hf.equivalence.recording import EMBEDDING, Recording
from hub2hf.proof import Cause, Failure
from hub2hf.slimming.scope import WORD_TABLE
from hub2hf.state_dict import tensor_of
from hub2hf.surfaces import ENCODER
from hub2hf.surfaces.transformers import Pooled

if TYPE_CHECKING:
    from hub2hf.blueprint import Blueprint
    from hub2hf.savedmodel import SavedModel

# Stages are of the size of 1; float32 round-off in them is about 3e-6, the erf form of GELU moves them by 1e-3.
DEPARTED = 1e-4
IDS = "ids"  # the stage before all others


@dataclass(frozen=True)
class Departure:
    """Where a candidate departs on one sentence.

    Attributes:
        stage: the first stage that departs.
        detail: what is seen of it there, for people.
        near: of ids, the characters behind the first piece that is another.
    """

    stage: str
    detail: str = ""
    near: str = ""


def departure(candidate: Candidate, surface: str, recording: Recording) -> Departure:
    """Return where `surface` departs on the one sentence of `recording`."""
    text = recording.sentences[0].text
    found = candidate.embed(surface, [text]).ids[0]
    if found != recording.ids[0]:
        return _first_difference(candidate, surface, text, recording.ids[0], found)
    loaded = candidate.load(surface)
    if not isinstance(loaded, Pooled):
        return Departure(EMBEDDING)
    stages = loaded.stages([text])
    for name, expected in recording.stages.items():
        if name != EMBEDDING and name in stages:
            apart = float(np.abs(stages[name] - expected).max())
            if not apart <= DEPARTED:
                return Departure(name, f"the first token differs by {apart:.1e} there, and by less before")
    return Departure(EMBEDDING, "every layer agrees; the pooler does not")


def _first_difference(
    candidate: Candidate, surface: str, text: str, expected: list[int], found: list[int]
) -> Departure:
    at = next((i for i, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return Departure(IDS, f"{len(found)} pieces in place of {len(expected)}")
    tokenizer = getattr(candidate.load(surface), "tokenizer", candidate.bert.tokenizer)
    own = candidate.scope.own_ids if candidate.scope is not None else {}
    wanted, got = (tokenizer.convert_ids_to_tokens(own.get(number, number)) for number in (expected[at], found[at]))
    start, end = _span(tokenizer, text, at)
    near = text[start:end]
    told = f"piece {at} is {got!r} ({found[at]}) in place of {wanted!r} ({expected[at]}), from {near!r}"
    return Departure(IDS, told, near)


def _span(tokenizer: Any, text: str, at: int) -> tuple[int, int]:
    """Return the characters behind piece number `at`, with one more on each side."""
    offsets = tokenizer(text, return_offsets_mapping=True, truncation=True)["offset_mapping"]
    start, end = offsets[min(at, len(offsets) - 2)]
    return max(start - 1, 0), max(end, start) + 1


SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]")
Rule = Callable[[str, str], bool]


def _has(categories: str) -> Rule:
    return lambda text, near: any(unicodedata.category(c) in categories.split() for c in near)


# What a text rule of the graph does, and how to tell from a sentence and the characters at its first difference that a
# candidate lacks it; the first that holds is named.
RULES: tuple[tuple[str, Rule], ...] = (
    ("literal special tokens are plain text", lambda text, near: any(token in text for token in SPECIAL)),
    ("control and format characters are deleted (ZWNJ, soft hyphen, …)", _has("Cc Cf")),
    ("a word of too many UTF-8 bytes is unknown", lambda text, near: any(len(w.encode()) > 100 for w in text.split())),
    ("combining marks are a script of their own", _has("Mn Mc Me")),
    ("hiragana, katakana and Han are three scripts", lambda text, near: any(_is_kana(c) for c in near)),
    ("emoji and signs", _has("So Sk Sm Sc")),
    ("no case folding, no accent stripping", lambda text, near: near not in (near.lower(), _decomposed(near))),
    ("punctuation and digits join across spaces, and split by script only", _has("Po Pd Ps Pe Pi Pf Pc Nd No Nl Zs")),
)


def _is_kana(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("HIRAGANA", "KATAKANA"))


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def likely_causes(
    candidate: Candidate,
    failures: Sequence[Failure],
    parts: Sequence[Recording],
    model: SavedModel | None,
    blueprint: Blueprint | None,
) -> list[Cause]:
    """Return the likely causes of `failures`.

    Args:
        parts: a recording of one sentence for each examined failure, with its stages.
        model, blueprint: the SavedModel, where it is at hand: its tensors are compared one by one.
    """
    causes = list(_tokenizer_causes(candidate, failures))
    if model is not None and blueprint is not None:
        causes += _tensor_causes(candidate, model, blueprint)
    same_ids = [part for part in parts if candidate.embed(ENCODER, [part.sentences[0].text]).ids[0] == part.ids[0]]
    if same_ids:
        causes += _stage_causes(candidate.bert, same_ids, blueprint)
    return causes


def _tokenizer_causes(candidate: Candidate, failures: Sequence[Failure]) -> Iterator[Cause]:
    shown: dict[str, list[str]] = {}
    for failure in failures:
        if failure.stage == IDS:
            name = next((name for name, rule in RULES if rule(failure.text, failure.near)), "another text rule")
            shown.setdefault(name, []).append(failure.text)
    for name, texts in shown.items():
        yield Cause(f"tokenizer rule: {name}", f"{candidate.folder.name} gives other ids than the graph", texts[:3])


def _tensor_causes(candidate: Candidate, model: SavedModel, blueprint: Blueprint) -> Iterator[Cause]:
    """Compare the state dict with the checkpoint, tensor by tensor."""
    tensors, wrong = candidate.tensors, []
    types = architecture_of(blueprint.encoder).token_types
    values = blueprint.encoder.values(model)
    for item in blueprint.encoder.mapped:
        value = values.read(item.variable)
        expected = tensor_of(item, value)
        found = tensors.get(item.key)
        if candidate.scope is not None and item.key == WORD_TABLE:
            expected = expected[list(candidate.scope.original_ids)]
        if item.key == types and found is not None:
            yield from _token_type_cause(found, value.reshape(item.shape)[item.row], model, blueprint)
        elif found is None or not np.array_equal(found, expected.astype(np.float32)):
            wrong.append(item.key)
    if wrong:
        names = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        yield Cause("weights", f"{len(wrong)} of {len(tensors)} tensors are not those of the SavedModel: {names}")


def _token_type_cause(
    found: np.ndarray, expected: np.ndarray, model: SavedModel, blueprint: Blueprint
) -> Iterator[Cause]:
    if np.array_equal(found[0], expected):
        return
    for name in blueprint.encoder.unused:
        variable = model.checkpoint.variables[name]
        if variable.shape == found.shape and np.array_equal(model.checkpoint.read(name), found):
            yield Cause(
                "token-type row", f"the token types are those of '{name}', which reaches no output of the graph"
            )
            return
    yield Cause("token-type row", "row 0 of the token types, which is added to every token, is not the graph's")


def _stage_causes(loaded: Pooled, parts: Sequence[Recording], blueprint: Blueprint | None) -> Iterator[Cause]:
    """Change one thing of the candidate at a time, and name what brings its first departing stage to the graph's."""
    texts = [part.sentences[0].text for part in parts]
    expected = {name: np.concatenate([part.stages[name] for part in parts]) for name in parts[0].stages}

    def apart(stage: str) -> float:
        return float(np.abs(loaded.stages(texts)[stage] - expected[stage]).max())

    names = [name for name in expected if name != EMBEDDING]
    if not names:
        return
    first = next((name for name in names if not apart(name) <= DEPARTED), None)
    known = ARCHITECTURES.get(loaded.model.config.model_type)
    if first is None:
        yield from _pooler_cause(known, loaded.model, expected[names[-1]], expected[EMBEDDING], blueprint, texts[:3])
        return
    for change in known.changes(loaded.model) if known else ():
        with _set(change.attributes):
            if apart(first) <= DEPARTED:
                evidence = f"with {change.instead} the stage that departs first agrees with the graph"
                yield Cause(change.cause, evidence, texts[:3])


def _pooler_cause(
    known: Architecture | None,
    model: Any,
    first: np.ndarray,
    expected: np.ndarray,
    blueprint: Blueprint | None,
    texts: list[str],
) -> Iterator[Cause]:
    """Every layer agrees: blame the pooler.

    Args:
        known, model: the candidate's architecture, and the candidate.
        first, expected: the first token after the last layer, and the embedding, of the graph.
    """
    stock = known.stock_pooler(model) if known else None
    if blueprint is not None and architecture_of(blueprint.encoder).stock_activation(blueprint.encoder) is None:
        yield Cause("pooler", f"the graph's is: {words_of(blueprint.encoder).head}; the candidate has another", texts)
        return
    if stock is None:
        return
    dense, own, computes = stock(first)
    wanted = normalise(expected)
    for name, activation in ACTIVATIONS.items():
        pooled = activation.function(dense)
        if np.abs(normalise(pooled) - wanted).max() < DEPARTED / 10 and np.abs(pooled - computes).max() > DEPARTED:
            yield Cause("pooler", f"the graph's pooler is {name}, the candidate's is {own}", texts)
            return


@contextmanager
def _set(changes: Sequence[tuple[Any, str, Any]]) -> Iterator[None]:
    """Set attributes for the time of the context."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
