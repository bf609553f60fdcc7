"""Hold a candidate folder against TensorFlow, sentence by sentence, and say where and why it departs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import CHUNK, Distinct, Sentence, chunked
from hub2hf.equivalence.tolerances import Tolerances
from hub2hf.errors import SourceError
from hub2hf.proof import Cause, Conditions, Failure, Report, Row

if TYPE_CHECKING:
    from hub2hf.blueprint import Blueprint
    from hub2hf.equivalence.candidate import Candidate
    from hub2hf.equivalence.tensorflow_side import ReferenceGraph
    from hub2hf.savedmodel import SavedModel

# Sentences of each surface whose stages are compared after a failure.
EXAMINED = 12

Progress = Callable[[int], None]


@dataclass
class _Tally:
    """What one surface came to in one language so far."""

    sentences: int = 0
    other_ids: int = 0
    difference: float = 0.0
    similarity: float = 0.0
    worst: str = ""

    def add(self, text: str, difference: float, similarity: float, *, other_ids: bool) -> None:
        if not self.sentences or _exceeds(difference, self.difference):
            self.difference, self.worst = difference, text
        if _exceeds(similarity, self.similarity):
            self.similarity = similarity
        self.sentences += 1
        self.other_ids += other_ids


def _exceeds(a: float, b: float) -> bool:
    """Whether a is larger than b; what is not a number is larger than any number."""
    return not np.isnan(b) and not a <= b


@dataclass
class _Examined:
    """Sentences outside their tolerance, the largest difference first, each as a recording of its own."""

    worst: list[tuple[float, Recording]] = field(default_factory=list)

    def add(self, difference: float, part: Recording) -> None:
        rank = np.inf if np.isnan(difference) else difference
        self.worst.append((rank, part))
        self.worst.sort(key=lambda entry: -entry[0])
        del self.worst[EXAMINED:]


class Verification:
    """One candidate against one witness.

    Args:
        candidate: the folder, loaded in every way that is asked for.
        tolerances: what passes.

    Raises:
        SourceError: a way of loading has no tolerance.
    """

    def __init__(self, candidate: Candidate, tolerances: Tolerances) -> None:
        tolerances.check(candidate.surfaces)
        self.candidate = candidate
        self.tolerances = tolerances
        self.tallies: dict[tuple[str, str], _Tally] = {}
        self.examined: dict[str, _Examined] = {name: _Examined() for name in candidate.surfaces}

    def add(self, recording: Recording) -> None:
        """Compare one chunk of sentences on every surface."""
        expected = recording.embeddings / np.linalg.norm(recording.embeddings, axis=-1, keepdims=True)
        texts = [sentence.text for sentence in recording.sentences]
        likeness = expected @ expected.T
        for name in self.candidate.surfaces:
            found = self.candidate.embed(name, texts)
            if found.embeddings.shape != expected.shape:
                raise SourceError(
                    f"{self.candidate.folder} gives embeddings of {found.embeddings.shape[-1]} numbers, "
                    f"the SavedModel of {expected.shape[-1]}.",
                    "The candidate is not a port of this model.",
                )
            distances = np.abs(found.embeddings - expected).max(axis=-1)
            similarity = np.abs(found.embeddings @ found.embeddings.T - likeness).max(axis=-1)
            for i, sentence in enumerate(recording.sentences):
                tally = self.tallies.setdefault((name, sentence.language), _Tally())
                other = found.ids[i] != recording.ids[i]
                tally.add(sentence.text, float(distances[i]), float(similarity[i]), other_ids=other)
                if not distances[i] <= self.tolerances.of(name, sentence.language).tolerance:
                    self.examined[name].add(float(distances[i]), recording.part([i]))

    def rows(self) -> list[Row]:
        """Return every surface in every language."""
        rows = []
        for (surface, language), tally in self.tallies.items():
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
                    allowed.reason,
                    tally.worst,
                )
            )
        return rows

    def failures(self) -> list[Failure]:
        """Return the examined sentences with the first stage at which each departs."""
        if not any(examined.worst for examined in self.examined.values()):
            return []
        from hub2hf.equivalence.diagnose import departure  # it needs PyTorch, which comparing does not

        found = []
        for surface, examined in self.examined.items():
            for difference, recording in examined.worst:
                where = departure(self.candidate, surface, recording)
                language, text = recording.sentences[0]
                found.append(Failure(surface, language, text, difference, where.stage, where.detail, where.near))
        return found

    def causes(self, failures: Sequence[Failure], model: SavedModel | None, blueprint: Blueprint | None) -> list[Cause]:
        """Return the likely causes of `failures`."""
        if not failures:
            return []
        from hub2hf.equivalence.diagnose import likely_causes

        parts = [part for examined in self.examined.values() for _, part in examined.worst]
        return likely_causes(self.candidate, failures, parts, model, blueprint)


def verify(
    witness: Witness,
    candidate: Candidate,
    tolerances: Tolerances,
    *,
    named: str,
    progress: Progress = lambda done: None,
) -> Report:
    """Hold `candidate` against `witness`, chunk by chunk.

    Args:
        witness: the recordings to compare with, and the SavedModel where it is at hand.
        candidate: the folder.
        tolerances: what passes.
        named: what the person called the source.
        progress: called with the number of sentences just compared.

    Raises:
        SourceError: there is nothing to compare, or the candidate cannot be a port of this model.
    """
    start = time.monotonic()
    verification = Verification(candidate, tolerances)
    about, compared = None, Distinct()
    for part in witness.recordings:
        verification.add(part)
        compared.add(part.sentences)
        about = part
        progress(len(part.sentences))
    if about is None:
        raise SourceError("There are no sentences to compare.", "Check the languages and the file of sentences.")
    compared.check()
    failures = verification.failures()
    return Report(
        source=named,
        fingerprint=about.fingerprint,
        candidate=str(candidate.folder),
        conditions={
            name: Conditions(about.tensorflow, witness.model is None, about.ids_from, versions)
            for name, versions in candidate.versions.items()
        },
        rows=verification.rows(),
        failures=failures,
        causes=verification.causes(failures, witness.model, witness.blueprint),
        seconds=time.monotonic() - start,
    )


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
