"""Where a candidate departs from the graph, and the likely causes: each is tried, and named only when it explains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hub2hf.architectures import ARCHITECTURES, architecture_of
from hub2hf.architectures.activations import ACTIVATIONS, normalise
from hub2hf.architectures.head import EMBEDDING
from hub2hf.architectures.words import words_of
from hub2hf.equivalence.candidate import Candidate
from hub2hf.equivalence.recording import Recording, join
from hub2hf.equivalence.text_rules import IDS, OtherIds, other_ids
from hub2hf.errors import SourceError
from hub2hf.proof import Cause
from hub2hf.proof.text import number
from hub2hf.state_dict import tensor_of
from hub2hf.surfaces import title
from hub2hf.surfaces.transformers import Pooled

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.savedmodel.model import SavedModel

# Stages are of the size of 1; float32 round-off in them is about 3e-6, the erf form of GELU moves them by 1e-3.
DEPARTED = 1e-4
TRIED = 16  # sentences on which what may be wrong in the encoder is tried out
SHOWN = 3  # sentences of a cause


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
    loaded, text = candidate.load(surface), recording.sentences[0].text
    try:
        found, why = candidate.embed(surface, [text]).ids[0], ""
    except SourceError as error:
        if not isinstance(loaded, Pooled):
            return Departure("", error.problem)
        found, why = loaded.ids([text])[0], error.problem
    if found != recording.ids[0]:
        own = replace(recording, ids=[candidate.own(recording.ids[0])])
        ids = other_ids(loaded if isinstance(loaded, Pooled) else candidate.bert, own, candidate.own(found))
        return Departure(ids.stage, "; ".join(filter(None, [ids.detail, why])), ids.near)
    if why or not isinstance(loaded, Pooled):
        return Departure("" if why else EMBEDDING, why)
    stages = loaded.stages([text])
    for name, expected in recording.stages.items():
        if name != EMBEDDING and name in stages:
            apart = float(np.abs(stages[name] - expected).max())
            if not apart <= DEPARTED:
                return Departure(name, f"the first token differs by {number(apart)} there, and by less before")
    return Departure(EMBEDDING, "every layer agrees; the pooler does not")


def likely_causes(
    candidate: Candidate,
    surfaces: Sequence[str],
    parts: Sequence[Recording],
    model: SavedModel | None,
    blueprint: Blueprint | None,
) -> list[Cause]:
    """Return the likely causes of what differs, the one with the largest share first.

    Args:
        surfaces: the ways of loading that differ.
        parts: recordings, with their stages, of the sentences to try on.
        model, blueprint: the SavedModel, where it is at hand: its tensors are compared one by one.
    """
    found: dict[str, Cause] = {}
    seen: list[tuple[list[list[int]], np.ndarray]] = []
    ways = [(name, loaded) for name in surfaces if isinstance(loaded := candidate.load(name), Pooled)]
    for name, loaded in ways or [(surfaces[0], candidate.bert)]:
        diagnosis = Examination(candidate, title(name), loaded, join(parts), model, blueprint)
        before = (diagnosis.ids, diagnosis.apart())
        if any(before[0] == ids and np.allclose(before[1], apart, equal_nan=True) for ids, apart in seen):
            continue  # the same folder by another name
        seen.append(before)
        for cause in diagnosis.causes():
            if cause.name not in found or (found[cause.name].share or 0) < (cause.share or 0):
                found[cause.name] = cause
    return sorted(found.values(), key=lambda cause: -1.0 if cause.share is None else -cause.share)


class Examination:
    """What is wrong with a folder, loaded in one way, on some sentences.

    Args:
        candidate: the folder.
        name: what the way of loading is called.
        loaded: the folder, loaded in that way.
        recording: the sentences with what the graph makes of them.
        model, blueprint: the SavedModel, where it is at hand.

    Attributes:
        ids: what the folder makes of the sentences.
    """

    def __init__(
        self,
        candidate: Candidate,
        name: str,
        loaded: Pooled,
        recording: Recording,
        model: SavedModel | None,
        blueprint: Blueprint | None,
    ) -> None:
        self.candidate, self.name, self.loaded = candidate, name, loaded
        self.recording = replace(recording, ids=[candidate.own(row) for row in recording.ids])
        self.model, self.blueprint = model, blueprint
        self.texts = [sentence.text for sentence in recording.sentences]
        self.ids = loaded.ids(self.texts)
        self.known = ARCHITECTURES.get(loaded.model.config.model_type)
        self.layers = [name for name in recording.stages if name != EMBEDDING]
        self.expected = normalise(recording.embeddings)

    def causes(self) -> Iterator[Cause]:
        """Yield each cause with its share."""
        before = self.mean()
        for cause, mended in list(self._found()):  # all are found, and nothing is mended any more, before one alone is
            if mended is None or not before > 0:
                yield cause
                continue
            after = mended()
            change = f"{'larger, ' if after > before else ''}{number(after)} in place of {number(before)}"
            told = f"{cause.evidence}; with this alone mended, the mean difference is {change}"
            yield replace(cause, evidence=told, share=1.0 - after / before)

    def _found(self) -> Iterator[tuple[Cause, Callable[[], float] | None]]:
        """Yield each cause, and what gives the mean difference with it alone mended."""
        yield from self._text_causes()
        with ExitStack() as mended:  # one after the other: each stage is asked of a model that is right before it
            for cause, changes in self._encoder_causes(mended):
                yield cause, partial(self._mean_with, changes)
            yield from self._pooler_cause()

    def apart(self, ids: Sequence[list[int]] | None = None) -> np.ndarray:
        """Return how far the folder is off on each sentence, given its own ids or others: [sentences]."""
        found = self.loaded.run(self._short(self.ids if ids is None else ids), stages=False)
        if EMBEDDING not in found:
            return np.full(len(self.texts), np.nan)
        return np.asarray(np.abs(normalise(found[EMBEDDING]) - self.expected).max(-1))

    def mean(self, ids: Sequence[list[int]] | None = None) -> float:
        """Return the mean of `apart`."""
        return float(self.apart(ids).mean())

    def _short(self, rows: Sequence[list[int]]) -> list[list[int]]:
        """Return rows of ids without what cannot be run: more pieces than positions, ids beyond the embeddings."""
        config = self.loaded.model.config
        most = getattr(config, "max_position_embeddings", None)
        return [[min(i, config.vocab_size - 1) for i in row[:most]] for row in rows]

    def _mean_with(self, changes: Changes) -> float:
        """Return the mean difference with `changes` made."""
        with _set(changes):
            return self.mean()

    def _text_causes(self) -> Iterator[tuple[Cause, Callable[[], float]]]:
        """Yield the text rules that show in the ids, each mended by giving its sentences the ids of the graph."""
        at: dict[str, list[tuple[int, OtherIds]]] = {}
        for i, (found, expected) in enumerate(zip(self.ids, self.recording.ids, strict=True)):
            if found != expected:
                one = other_ids(self.loaded, self.recording.part([i]), found)
                at.setdefault(one.rule, []).append((i, one))
        for rule, places in at.items():
            numbers = {i for i, _ in places}
            mended = [self.recording.ids[i] if i in numbers else row for i, row in enumerate(self.ids)]
            texts = [self.texts[i] for i, _ in places[:SHOWN]]
            what = "other ids than the graph" if places[0][1].stage == IDS else "more or fewer pieces than the graph"
            evidence = f"{self.name} has {what} in {len(places)} of {len(self.ids)} sentences: {places[0][1].detail}"
            yield Cause(rule, evidence, texts), partial(self.mean, mended)

    def _encoder_causes(self, mended: ExitStack) -> Iterator[tuple[Cause, Changes]]:
        """Yield what is wrong up to the last layer, and mend it for what follows."""
        for cause, changes in self._tensor_causes():
            mended.enter_context(_set(changes))
            yield cause, changes
        tried = self.recording.part(range(min(TRIED, len(self.texts))))
        ids, texts = self._short(tried.ids), self.texts[:SHOWN]

        def departing() -> str | None:
            found = self.loaded.run(ids, stages=True)
            apart = ((name, np.abs(found[name] - tried.stages[name]).max()) for name in self.layers if name in found)
            return next((name for name, difference in apart if not difference <= DEPARTED), None)

        first = departing()
        while first is not None:
            for change in self.known.changes(self.loaded.model) if self.known else ():
                with _set(change.attributes):
                    later = departing()
                if later != first and (later is None or self.layers.index(later) > self.layers.index(first)):
                    mended.enter_context(_set(change.attributes))
                    told = f"with {change.instead}, '{first}', which departs first, agrees with the graph"
                    yield Cause(change.cause, told, texts), change.attributes
                    first = later
                    break
            else:
                return

    def _tensor_causes(self) -> Iterator[tuple[Cause, Changes]]:
        """Compare the state dict with the checkpoint, tensor by tensor."""
        if self.model is None or self.blueprint is None:
            return
        encoder = self.blueprint.encoder
        parameters = dict(self.loaded.model.named_parameters())
        architecture, values = architecture_of(encoder), encoder.values(self.model)
        wrong: dict[str, Changes] = {}
        for item in encoder.mapped:
            value = values.read(item.variable)
            parameter = parameters.get(item.key)
            found = None if parameter is None else parameter.detach().float().numpy()
            if item.key == architecture.token_types and found is not None:
                row = value.reshape(item.shape)[item.row]
                if not np.array_equal(found[0], row):
                    whole = np.concatenate([row[np.newaxis], found[1:]])
                    yield Cause("token-type row", self._types(found)), _instead(parameter, whole)
                continue
            expected = tensor_of(item, value).astype(np.float32)
            if self.candidate.scope is not None and item.key == architecture.word_table:
                expected = expected[list(self.candidate.scope.original_ids)]
            if found is None or not np.array_equal(found, expected):
                wrong[item.key] = _instead(parameter, expected) if found is not None else ()
        if wrong:
            names = ", ".join([*wrong][:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            told = f"{len(wrong)} of {len(parameters)} tensors are not those of the SavedModel: {names}"
            yield Cause("weights", told), [one for changes in wrong.values() for one in changes]

    def _types(self, found: np.ndarray) -> str:
        """Return whose the token types are."""
        assert self.model is not None
        assert self.blueprint is not None
        checkpoint = self.model.checkpoint
        for name in self.blueprint.encoder.unused:
            if checkpoint.variables[name].shape == found.shape and np.array_equal(checkpoint.read(name), found):
                return f"the token types are those of '{name}', which reaches no output of the graph"
        return "row 0 of the token types, which is added to every token, is not the graph's"

    def _pooler_cause(self) -> Iterator[tuple[Cause, Callable[[], float] | None]]:
        """Give the candidate's pooler the last layer of the graph: what it makes of that is its own fault."""
        texts, encoder = self.texts[:SHOWN], self.blueprint.encoder if self.blueprint else None
        if encoder is not None and architecture_of(encoder).stock_activation(encoder) is None:
            if not self.mean(self.recording.ids) <= DEPARTED:
                yield (
                    Cause("pooler", f"the graph's is: {words_of(encoder).head}; the candidate has another", texts),
                    None,
                )
            return
        stock = (
            self.known.stock_pooler(self.loaded.model)
            if self.known and getattr(self.loaded.model, "pooler", None)
            else None
        )
        if stock is None:
            return
        # Where the recording has no stages: what the candidate makes of the graph's ids, in the hope that its layers agree.
        last = self.recording.stages[self.layers[-1]] if self.layers else self._last_layer(self.recording.ids)
        dense, own, computes = stock(last)
        if not np.abs(normalise(computes) - self.expected).max() > DEPARTED:
            return
        for name, activation in ACTIVATIONS.items():
            if np.abs(normalise(activation.function(dense)) - self.expected).max() < DEPARTED / 10:
                told = f"the graph's pooler is {name}, the candidate's is {own}"
                yield Cause("pooler", told, texts), partial(self._mean_pooled, activation.function)
                return
        if self.layers:
            told = f"of the graph's last layer its {own} makes another embedding than the graph does"
            yield Cause("pooler", told, texts), None

    def _last_layer(self, rows: Sequence[list[int]]) -> np.ndarray:
        """Return the first token after the candidate's last layer, [rows, hidden]."""
        stages = self.loaded.run(self._short(rows), stages=True)
        return stages[[name for name in stages if name != EMBEDDING][-1]]

    def _mean_pooled(self, activation: Callable[[np.ndarray], np.ndarray]) -> float:
        """Return the mean difference with this activation in the pooler."""
        assert self.known is not None
        stock = self.known.stock_pooler(self.loaded.model)
        assert stock is not None
        made = activation(stock(self._last_layer(self.ids))[0])
        return float(np.abs(normalise(made) - self.expected).max(-1).mean())


# (owner, name of its attribute, value) of what is to be other.
Changes = Sequence[tuple[Any, str, Any]]


def _instead(parameter: Any, value: np.ndarray) -> Changes:
    """Return the change of a parameter of PyTorch to `value`; none where it is of another shape."""
    import torch

    if tuple(parameter.shape) != value.shape:
        return ()
    return [(parameter, "data", torch.from_numpy(np.ascontiguousarray(value)).to(parameter.dtype))]


@contextmanager
def _set(changes: Changes) -> Iterator[None]:
    """Set attributes for the time of the context."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
