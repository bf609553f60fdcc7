"""Hold a candidate folder against TensorFlow, sentence by sentence, and say where and why it departs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import CHUNK, Distinct, Sentence, chunked
from hub2hf.equivalence.tolerances import Tolerances
from hub2hf.equivalence.translations import translations_found
from hub2hf.errors import SourceError
from hub2hf.proof import EXACT, PARTLY, TRAPS, UNKNOWN, Cause, Conditions, Failure, Report, Row

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.equivalence.candidate import Candidate
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    from hub2hf.savedmodel.model import SavedModel

# Sentences of each surface whose stages are compared after a failure.
EXAMINED = 12
DRAWN = 48  # sentences, evenly from the first chunk, on which likely causes are tried besides those
AS_NEAR = 1e-5  # of two cosines; float32 round-off in one is 1e-7 to 1e-6

Done = Callable[[int], None]


@dataclass(frozen=True)
class _Compared:
    """One sentence on both sides; see `Row`."""

    difference: float
    similarity: float
    cosine: float
    other_neighbour: bool
    other_ids: bool
    hit: bool | None
    true_hit: bool | None


@dataclass
class _Tally:
    """What one surface came to in one language so far."""

    sentences: int = 0
    other_ids: int = 0
    difference: float = 0.0
    similarity: float = 0.0
    cosine: float = 1.0
    neighbours: int = 0
    searches: int = 0
    hits: int = 0
    true_hits: int = 0
    worst: str = ""

    def merge(self, other: _Tally) -> None:
        """Add what came of sentences after these."""
        if not self.sentences or _exceeds(other.difference, self.difference):
            self.difference, self.worst = other.difference, other.worst
        if _exceeds(other.similarity, self.similarity):
            self.similarity = other.similarity
        if not np.isnan(self.cosine) and not other.cosine >= self.cosine:
            self.cosine = other.cosine
        for name in ("sentences", "other_ids", "neighbours", "searches", "hits", "true_hits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add(self, text: str, one: _Compared) -> None:
        difference, similarity = one.difference, one.similarity
        if not self.sentences or _exceeds(difference, self.difference):
            self.difference, self.worst = difference, text
        if _exceeds(similarity, self.similarity):
            self.similarity = similarity
        self.sentences += 1
        if not np.isnan(self.cosine) and not one.cosine >= self.cosine:
            self.cosine = one.cosine
        self.other_ids += one.other_ids
        self.neighbours += one.other_neighbour
        self.searches += one.hit is not None
        self.hits += bool(one.hit)
        self.true_hits += bool(one.true_hit)


def _exceeds(a: float, b: float) -> bool:
    """Whether a is larger than b; what is not a number is larger than any number."""
    return not np.isnan(b) and not a <= b


def other_neighbours(expected: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return which of some sentences have a different nearest neighbour among the rest: bool [sentences].

    One that is as near in truth, up to round-off, is no other; with fewer than two others there is nothing to change.

    Args:
        expected, found: unit embeddings [sentences, hidden].
    """
    if len(expected) < 3:
        return np.zeros(len(expected), bool)
    true, seen = expected @ expected.T, found @ found.T
    for likeness in (true, seen):
        np.fill_diagonal(likeness, -np.inf)
    nearest = true[np.arange(len(true)), np.nan_to_num(seen, nan=-np.inf).argmax(axis=1)]
    return np.asarray(~(nearest >= true.max(axis=1) - AS_NEAR))


@dataclass
class _Examined:
    """Sentences that are not the same, the largest difference first, each as a recording of its own."""

    worst: list[tuple[float, Recording]] = field(default_factory=list)

    def add(self, *found: tuple[float, Recording]) -> None:
        self.worst += found
        self.worst.sort(key=lambda entry: (not np.isnan(entry[0]), -entry[0]))
        del self.worst[EXAMINED:]


@dataclass
class Held:
    """What came of some sentences, in all ways of loading: small, however many they are, and it can be sent to a process.

    Attributes:
        about: where the expected values come from, without sentences.
        unanswered: language → how many were not compared: a slim folder does not answer for every sentence.
        compared: the texts and languages that were.
        tallies: (surface, language) → what it came to.
        refused: surface that could not be loaded or run → why.
        drawn: some of them, on which likely causes are tried.
        examined: surface → those that are not the same.
    """

    about: Recording
    unanswered: Counter[str] = field(default_factory=Counter)
    compared: Distinct = field(default_factory=Distinct)
    tallies: dict[tuple[str, str], _Tally] = field(default_factory=dict)
    refused: dict[str, SourceError] = field(default_factory=dict)
    drawn: list[Recording] = field(default_factory=list)
    examined: dict[str, _Examined] = field(default_factory=dict)

    def merge(self, other: Held) -> None:
        """Add what came of the sentences after these: it is then as if all had been compared in one go."""
        self.unanswered += other.unanswered
        self.compared.merge(other.compared)
        for key, tally in other.tallies.items():
            self.tallies.setdefault(key, _Tally()).merge(tally)
        self.refused = other.refused | self.refused
        self.drawn = self.drawn or other.drawn
        for name, examined in other.examined.items():
            self.examined.setdefault(name, _Examined()).add(*examined.worst)


class Verification:
    """One candidate against one witness.

    Args:
        candidate: the folder, loaded in every way that is asked for.
        tolerances: what passes.
    """

    def __init__(self, candidate: Candidate, tolerances: Tolerances) -> None:
        self.candidate = candidate
        self.tolerances = tolerances
        self.found: Held | None = None
        self._refused: set[str] = set()
        # What differs in a folder of ours as it must needs no diagnosis.
        self.limits = candidate.limits
        asked = () if self.limits else candidate.held if candidate.ours else candidate.surfaces
        self._examined = [name for name in candidate.surfaces if name in asked]

    def add(self, part: Recording) -> None:
        """Compare one chunk of sentences, and add what came of it (SourceError: see `merge`)."""
        self.merge(self.hold(part, draw=self.found is None or not self.found.drawn))

    def merge(self, held: Held) -> None:
        """Add what came of a chunk.

        Raises:
            SourceError: all ways of loading have dropped out.
        """
        if self.found is None:
            self.found = Held(held.about)
        self.found.merge(held)
        if len(self.found.refused) == len(self.candidate.surfaces):
            raise next(iter(self.found.refused.values()))

    def hold(self, part: Recording, *, draw: bool) -> Held:
        """Compare one chunk of sentences in every way of loading; one that cannot be loaded or run drops out alone.

        Args:
            part: the chunk.
            draw: whether some are drawn of it, on which likely causes are tried.
        """
        recording = self.candidate.answered(part)
        every, answered = (Counter(sentence.language for sentence in each.sentences) for each in (part, recording))
        held = Held(part.part([]), every - answered)
        held.compared.add(recording.sentences)
        if draw:
            at = np.linspace(0, len(recording.sentences) - 1, min(DRAWN, len(recording.sentences)), dtype=int)
            held.drawn = [recording.part([i]) for i in at.tolist()]
        for name in self.candidate.surfaces if recording.sentences else ():
            if name not in self._refused:
                try:
                    self._compare(name, recording, held)
                except SourceError as error:
                    held.refused[name] = error
                    self._refused.add(name)
        return held

    def _compare(self, name: str, recording: Recording, held: Held) -> None:
        expected = recording.embeddings / np.linalg.norm(recording.embeddings, axis=-1, keepdims=True)
        found = self.candidate.embed(name, [sentence.text for sentence in recording.sentences])
        if found.embeddings.shape != expected.shape:
            raise SourceError(
                f"{self.candidate.folder} gives embeddings of {found.embeddings.shape[-1]} numbers, "
                f"the SavedModel of {expected.shape[-1]}.",
                "The candidate is not a port of this model.",
            )
        others = other_neighbours(expected, found.embeddings)
        distances = np.abs(found.embeddings - expected).max(axis=-1)
        similarity = np.abs(found.embeddings @ found.embeddings.T - expected @ expected.T).max(axis=-1)
        cosines = (found.embeddings * expected).sum(axis=-1)
        hits, true_hits = (
            translations_found(recording.sentences, each) if self.limits else {}
            for each in (found.embeddings, expected)
        )
        for i, sentence in enumerate(recording.sentences):
            one = _Compared(
                float(distances[i]),
                float(similarity[i]),
                float(cosines[i]),
                bool(others[i]),
                found.ids[i] != recording.ids[i],
                hits.get(i),
                true_hits.get(i),
            )
            held.tallies.setdefault((name, sentence.language), _Tally()).add(sentence.text, one)
            allowed = self.tolerances.of(name, sentence.language).tolerance
            if name in self._examined and (not one.difference <= allowed or (allowed <= EXACT and one.other_ids)):
                held.examined.setdefault(name, _Examined()).add((one.difference, recording.part([i])))

    def rows(self) -> list[Row]:
        """Return every way of loading, but those that dropped out, in every language.

        Languages of which a slim folder covers a part, and that it was not made for, come together, as `PARTLY`.
        """
        rows, tallies = [], dict[tuple[str, str], _Tally]()
        partly = self.total.unanswered.keys() - {TRAPS, UNKNOWN, *self.candidate.languages}
        for (surface, language), tally in self.total.tallies.items():
            tallies.setdefault((surface, PARTLY if language in partly else language), _Tally()).merge(tally)
        for (surface, language), tally in tallies.items():
            if surface in self.total.refused:
                continue
            allowed = self.tolerances.of(surface, language)
            rows.append(
                Row(
                    surface,
                    language,
                    tally.sentences,
                    tally.other_ids,
                    tally.difference,
                    tally.similarity,
                    allowed.tolerance,
                    allowed.reason if self.candidate.ours or allowed.tolerance > EXACT else "",
                    tally.worst,
                    tally.cosine,
                    tally.neighbours,
                    **self._losses(tally),
                )
            )
        return rows

    def _losses(self, tally: _Tally) -> dict[str, Any]:
        """Return what only rows of a lossy folder have."""
        if self.limits is None:
            return {}
        found: dict[str, Any] = {"least_cosine": self.limits.cosine, "may_lose": self.limits.may_lose(tally.searches)}
        return found | ({"hits": tally.hits, "true_hits": tally.true_hits} if tally.searches else {})

    @property
    def total(self) -> Held:
        """What came of all that was added."""
        assert self.found is not None
        return self.found

    def conditions(self, *, recorded: bool) -> dict[str, Conditions]:
        """Return under which each way was compared."""
        about, refused = self.total.about, self.total.refused
        return {
            name: Conditions(
                about.tensorflow,
                recorded,
                about.ids_from,
                versions,
                held=name in self.candidate.held,
                refused=refused[name].problem if name in refused else "",
            )
            for name, versions in self.candidate.versions.items()
        }

    def failures(self) -> list[Failure]:
        """Return the examined sentences with the first stage at which each departs."""
        if not self.total.examined:
            return []
        from hub2hf.equivalence.diagnose import departure  # it needs PyTorch, which comparing does not

        found = []
        for surface in self._departing:
            for difference, recording in self.total.examined[surface].worst:
                where = departure(self.candidate, surface, recording)
                language, text = recording.sentences[0]
                found.append(Failure(surface, language, text, difference, where.stage, where.detail, where.near))
        return found

    def causes(self, failures: Sequence[Failure], model: SavedModel | None, blueprint: Blueprint | None) -> list[Cause]:
        """Return the likely causes of `failures`."""
        if not failures:
            return []
        from hub2hf.equivalence.diagnose import likely_causes

        parts = {part.sentences[0]: part for part in self.total.drawn}
        for name in self._examined:
            if name in self.total.examined:
                parts |= {part.sentences[0]: part for _, part in self.total.examined[name].worst}
        return likely_causes(self.candidate, self._departing, list(parts.values()), model, blueprint)

    @property
    def _departing(self) -> list[str]:
        """The ways some of whose sentences are examined."""
        return [name for name in self._examined if name in self.total.examined and name not in self.total.refused]

    def report(self, witness: Witness, *, named: str, seconds: float) -> Report:
        """Return what came of all that was added.

        Args:
            witness: where the expected values came from.
            named: what the person called the source.
            seconds: that it took.

        Raises:
            SourceError: nothing was compared, or too little to prove anything.
        """
        if self.found is None:
            raise SourceError("There are no sentences to compare.", "Check the languages and the file of sentences.")
        if self.found.unanswered and not self.found.compared.languages:
            raise SourceError(
                f"{self.candidate.folder} is slim, and covers none of the {self.found.unanswered.total():,} sentences.",
                "Name a language that it was made for.",
            )
        self.found.compared.check()
        start, failures = time.monotonic(), self.failures()
        causes = self.causes(failures, witness.model, witness.blueprint)
        return Report(
            source=named,
            fingerprint=self.found.about.fingerprint,
            candidate=str(self.candidate.folder),
            conditions=self.conditions(recorded=witness.model is None),
            rows=self.rows(),
            failures=failures,
            causes=causes,
            seconds=seconds + time.monotonic() - start,
            unanswered=self.found.unanswered.total(),
        )


def verify(
    witness: Witness,
    candidate: Candidate,
    tolerances: Tolerances,
    *,
    named: str,
    progress: Done = lambda done: None,
) -> Report:
    """Hold `candidate` against `witness`, chunk by chunk.

    Args:
        witness: the recordings to compare with, and the SavedModel where it is at hand.
        candidate: the folder.
        tolerances: what passes.
        named: what the person called the source.
        progress: called with the number of sentences just compared.

    Raises:
        SourceError: there is nothing to compare, or no way of loading gives embeddings of this model's size.
    """
    start = time.monotonic()
    verification = Verification(candidate, tolerances)
    for part in witness.recordings:
        verification.add(part)
        progress(len(part.sentences))
    return verification.report(witness, named=named, seconds=time.monotonic() - start)


@dataclass(frozen=True)
class Witness:
    """Where the expected values come from.

    Attributes:
        recordings: chunks of sentences with what TensorFlow made of them.
        model, blueprint: the SavedModel, when TensorFlow runs it now.
    """

    recordings: Iterable[Recording]
    model: SavedModel | None = None
    blueprint: Blueprint | None = None

    @classmethod
    def live(cls, graph: ReferenceGraph, sentences: Iterable[Sentence]) -> Witness:
        """Return TensorFlow running `graph` on `sentences`, chunk by chunk."""
        return cls((graph.record(chunk) for chunk in chunked(sentences)), graph.model, graph.blueprint)

    @classmethod
    def recorded(cls, recording: Recording, languages: Collection[str] = ()) -> Witness:
        """Return `recording`, or its sentences in `languages`."""
        at = [i for i, sentence in enumerate(recording.sentences) if sentence.language in languages]
        return cls((recording.part(at) if languages else recording).chunks(CHUNK))
