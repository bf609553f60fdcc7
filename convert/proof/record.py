"""What a verification found, and what that is worth: the one record that everything about it is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# On unit vectors of a few hundred numbers a typical entry is 0.06, and random ones differ by 0.3 at most: a tolerance near
# that is no promise of equality.
TIGHT = 1e-3
# What float32 round-off comes to at most in the models that are known, with a margin (configs/tolerances.toml has what was
# measured): who adds in another order than TensorFlow cannot come closer, and nothing but round-off stays so close.
EXACT = 2e-6

TRAPS = "traps"  # stands in the place of a language: texts that ports get wrong
UNKNOWN = "und"  # undetermined, ISO 639-2


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

    @property
    def exact(self) -> bool:
        """Whether it passed, with the ids of the graph and no more than round-off between the embeddings."""
        return self.passed and self.difference <= EXACT and not self.other_ids


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
class Conditions:
    """Under which one way of loading was compared.

    Attributes:
        tensorflow: the version that computed the expected values.
        recorded: whether it did so before, for a recording, and not beside the comparison.
        ids_from: what made the expected ids, where TensorFlow did not.
        versions: name → version of the libraries that loaded the folder.
        files: name → SHA-256 of the files that this way reads; empty where no manifest vouches for them.
    """

    tensorflow: str
    recorded: bool = False
    ids_from: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """One way of loading, over all languages.

    Attributes:
        surface: its name.
        difference: the largest difference; NaN where one is no number.
        other_ids: sentences with other token ids than the graph's.
        passed: whether it is within its tolerance everywhere.
        exact: whether it is exact everywhere.
        reason: why its tolerance is what it is.
    """

    surface: str
    difference: float
    other_ids: int
    passed: bool
    exact: bool
    reason: str


@dataclass(frozen=True)
class Worth:
    """What rows are worth.

    Attributes:
        equivalent: whether every way passed in every language, and a tight tolerance was among them in each. A wide one
            documents a known difference; on its own it proves nothing, and neither does nothing compared.
        ways: every way of loading, in the order of the rows.
        covered: (surface, language) of what was compared.
        exact: those of them that are exact.
    """

    equivalent: bool
    ways: Sequence[Way]
    covered: frozenset[tuple[str, str]]
    exact: frozenset[tuple[str, str]]


def worth(rows: Sequence[Row]) -> Worth:
    """Return what `rows` are worth; report, card, push and exit code all ask here."""
    languages = {row.language for row in rows}
    proved = {row.language for row in rows if row.tolerance <= TIGHT}
    return Worth(
        equivalent=bool(rows) and languages == proved and all(row.passed for row in rows),
        ways=[_way(name, rows) for name in dict.fromkeys(row.surface for row in rows)],
        covered=frozenset((row.surface, row.language) for row in rows),
        exact=frozenset((row.surface, row.language) for row in rows if row.exact),
    )


def _way(surface: str, rows: Sequence[Row]) -> Way:
    own = [row for row in rows if row.surface == surface]
    return Way(
        surface,
        max((row.difference for row in own), key=lambda value: (math.isnan(value), value)),
        sum(row.other_ids for row in own),
        all(row.passed for row in own),
        all(row.exact for row in own),
        own[0].reason,
    )


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found of one folder and one SavedModel, perhaps in several runs.

    Attributes:
        fingerprint: of the SavedModel.
        rows: every way of loading in every language.
        failures: sentences outside their tolerance, the largest difference first; at most a few of each surface.
        causes: likely causes of them.
        conditions: surface → under which it was compared.
        picture: the heat map, a PNG; None where there is none.
    """

    fingerprint: str
    rows: Sequence[Row]
    failures: Sequence[Failure] = ()
    causes: Sequence[Cause] = ()
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    picture: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def worth(self) -> Worth:
        """What it is worth."""
        return worth(self.rows)

    @property
    def equivalent(self) -> bool:
        """Whether it says that the folder is equivalent to the SavedModel; see `Worth`."""
        return self.worth.equivalent

    @property
    def languages(self) -> set[str]:
        """The languages, and "traps"."""
        return {row.language for row in self.rows}

    @property
    def witness(self) -> str:
        """What computed the expected values, in words."""
        told = (
            f"TensorFlow {one.tensorflow}{', recorded' if one.recorded else ''}"
            + (f", ids from {one.ids_from}" if one.ids_from else "")
            for one in self.conditions.values()
        )
        return "; ".join(dict.fromkeys(told))

    @property
    def versions(self) -> dict[str, str]:
        """Name → version of the libraries that loaded the folder."""
        return {name: version for one in self.conditions.values() for name, version in one.versions.items()}


@dataclass(frozen=True, kw_only=True)
class Report(Proof):
    """The result of `verify`: a proof, and what of the run is nobody's business but the person's who ran it.

    Attributes:
        source: what was named as the source, or the recording.
        candidate: the folder.
        seconds: wall-clock time in all.
        note: what became of the result in the candidate's folder, a sentence.
    """

    source: str
    candidate: str
    seconds: float = 0.0
    note: str = ""
