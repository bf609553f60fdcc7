"""What a verification found: plain values, for the command, for programs and for the reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# On unit vectors of a few hundred numbers a typical entry is 0.06, and random ones differ by 0.3 at most: a tolerance near
# that is no promise of equality.
TIGHT = 1e-3


@dataclass(frozen=True)
class Row:
    """One way of loading (surface) in one language.

    Attributes:
        surface: a name of `hub2hf.surfaces.SURFACES`.
        language: ISO 639 code, "traps", or "und" where a person's file does not say.
        sentences: how many were compared.
        other_ids: how many have other token ids than the graph's.
        difference: largest absolute difference of an entry of the unit embeddings.
        similarity: largest absolute difference of a cosine similarity with another sentence of the same chunk.
        tolerance: the largest `difference` that passes.
        reason: why the tolerance is what it is.
        worst: the sentence with the largest difference.
    """

    surface: str
    language: str
    sentences: int
    other_ids: int
    difference: float
    similarity: float
    tolerance: float
    reason: str
    worst: str

    @property
    def passed(self) -> bool:
        """Whether the difference is a number within the tolerance."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Failure:
    """One sentence outside its tolerance, and where it departs.

    Attributes:
        surface, language, text: which.
        difference: largest absolute difference of an entry of the unit embeddings.
        stage: the first stage that departs: "ids", one of the encoder, or "embedding"; empty when unknown.
        detail: for ids, the first differing piece and the characters behind it; else the difference at that stage.
        near: for ids, these characters alone, with one more on each side.
    """

    surface: str
    language: str
    text: str
    difference: float
    stage: str
    detail: str
    near: str = ""


@dataclass(frozen=True)
class Cause:
    """A likely cause of failures: `name` in a few words, `evidence` in a sentence, the sentences that show it."""

    name: str
    evidence: str
    sentences: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """The result of `verify`.

    Attributes:
        source: what was named as the source, or the recording.
        fingerprint: of the SavedModel.
        witness: what computed the expected values, with its version.
        candidate: the folder.
        versions: name → version of the libraries that loaded the candidate.
        rows: every surface in every language.
        failures: sentences outside their tolerance, the largest difference first; at most a few of each surface.
        causes: likely causes.
        seconds: wall-clock time in all.
        note: what became of the result in the candidate's folder, a sentence.
    """

    source: str
    fingerprint: str
    witness: str
    candidate: str
    versions: dict[str, str]
    rows: Sequence[Row]
    failures: Sequence[Failure]
    causes: Sequence[Cause]
    seconds: float
    note: str = ""

    @property
    def equivalent(self) -> bool:
        """Whether every surface passed in every language, and a tight tolerance was among them in each.

        A wide tolerance documents a known difference; on its own it proves nothing, and neither does nothing compared.
        """
        languages = {row.language for row in self.rows}
        proved = {row.language for row in self.rows if row.tolerance <= TIGHT}
        return bool(self.rows) and languages == proved and all(row.passed for row in self.rows)
