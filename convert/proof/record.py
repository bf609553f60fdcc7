"""What a verification found, and what that is worth: the one record that everything about it is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# On unit vectors of a few hundred numbers a typical entry is 0.06, and random ones differ by 0.3 at most: a tolerance near
# that is no promise of equality, and no way of loading may have one in every language.
TIGHT = 1e-3
# What float32 round-off comes to at most in the models that are known, with a margin (configs/tolerances.toml has what was
# measured): who adds in another order than TensorFlow cannot come closer, and nothing but round-off stays so close.
EXACT = 2e-6

TRAPS = "traps"  # stands in the place of a language: texts that ports get wrong
UNKNOWN = "und"  # undetermined, ISO 639-2
PARTLY = "others"  # languages of which a slim folder covers some sentences, and not all: none of them is called exact


@dataclass(frozen=True)
class Row:
    """One way of loading (surface) in one language.

    Attributes:
        surface: a name of `hub2hf.surfaces.SURFACES`.
        language: ISO 639 code, "traps", "und" where a person's file does not say, or "others", as `PARTLY`.
        sentences: how many were compared.
        other_ids: how many have different token ids from the graph's.
        difference: largest absolute difference of an entry of the unit embeddings.
        similarity: largest absolute difference of a cosine similarity with another sentence of the same chunk.
        tolerance: the largest `difference` that passes.
        reason: why the tolerance is what it is; of a way that is known not to be exact, why it is not.
        worst: the sentence with the largest difference.
        cosine: smallest cosine of an embedding and the graph's; None in proofs that did not measure it.
        neighbours: how many sentences have a different nearest neighbour among those of the same chunk; None as `cosine`.
        hits, true_hits: how many find a translation nearest, of all sentences in other languages, and how many do with the
            graph's embeddings; None where that was not measured: of a lossy folder it is, on the project's own sentences.
        may_lose: of a lossy folder, the most that `hits` may be below `true_hits`; None of others.
        least_cosine: of a lossy folder, the smallest `cosine` that passes; None of others.
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
    cosine: float | None = None
    neighbours: int | None = None
    hits: int | None = None
    true_hits: int | None = None
    may_lose: int | None = None
    least_cosine: float | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing but round-off, within the tolerance, lies between the embeddings, and the ids are the graph's."""
        return self.difference <= min(self.tolerance, EXACT) and not self.other_ids

    @property
    def allowed(self) -> bool:
        """Whether it is not exact, but within a tolerance that somebody made wider than round-off, or the limits of loss."""
        wide = self.tolerance > EXACT and self.difference <= self.tolerance
        return not self.exact and (wide or self.within)

    @property
    def lossy(self) -> bool:
        """Whether it is of a lossy folder, which has limits in place of exactness."""
        return self.least_cosine is not None

    @property
    def lost(self) -> int:
        """How many translations fewer are found than with the graph's embeddings."""
        return (self.true_hits or 0) - (self.hits or 0)

    @property
    def within(self) -> bool:
        """Whether it is lossy, within the limits, with the ids of the graph."""
        if self.least_cosine is None or self.cosine is None or self.other_ids:
            return False
        return self.cosine >= self.least_cosine and self.lost <= (self.may_lose or 0)

    @property
    def passed(self) -> bool:
        """Whether it is exact, or allowed to differ as it does."""
        return self.exact or self.allowed


@dataclass(frozen=True)
class Failure:
    """One sentence that is not the same, and where it departs.

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
    """A likely cause of failures, or what differs besides.

    Attributes:
        name: a few words.
        evidence: a sentence.
        sentences: some that show it.
        share: how much of the mean difference goes where this alone is mended, at most 1; negative where the difference
            grows, as another fault makes up for this one; None where that was not measured.
    """

    name: str
    evidence: str
    sentences: Sequence[str] = ()
    share: float | None = None

    @property
    def likely(self) -> bool:
        """Whether the difference does not grow where this alone is mended."""
        return self.share is None or self.share >= 0


@dataclass(frozen=True)
class Conditions:
    """Under which one way of loading was compared.

    Attributes:
        tensorflow: the version that computed the expected values.
        recorded: whether it did so before, for a recording, and not beside the comparison.
        ids_from: what made the expected ids, where TensorFlow did not.
        versions: name → version of the libraries that loaded the folder.
        files: name → SHA-256 of the files that this way reads; empty where no manifest vouches for them.
        held: whether it must be exact: hub2hf declares it so of the folders that it makes, or it was asked for by name.
            Others are measured.
        refused: why it could not be loaded or run, and has no rows.
    """

    tensorflow: str
    recorded: bool = False
    ids_from: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    held: bool = False
    refused: str = ""


@dataclass(frozen=True)
class Way:
    """One way of loading, over all languages.

    Attributes:
        surface: its name.
        held: whether it must be exact; see `Conditions`.
        rows: one a language, in the order of the record; none where it was refused.
        refused: why it could not be loaded or run.
    """

    surface: str
    held: bool
    rows: Sequence[Row]
    refused: str = ""

    @property
    def same(self) -> bool:
        """Whether it is exact, but for languages that are allowed to differ; exact in none of them proves nothing.

        Of a lossy folder: whether it is within its limits.
        """
        return all(row.passed for row in self.rows) and any(row.exact or row.within for row in self.rows)

    @property
    def lossy(self) -> bool:
        """Whether it is of a lossy folder."""
        return any(row.lossy for row in self.rows)

    @property
    def exact(self) -> bool:
        """Whether it is exact everywhere."""
        return self.same and not self.allowed

    @property
    def allowed(self) -> list[Row]:
        """The languages in which it differs, and is allowed to by a tolerance of their own."""
        return [row for row in self.rows if row.allowed]

    @property
    def worst(self) -> Row:
        """The row with the largest difference, NaN before all numbers; there is none where it was refused."""
        return max(self.rows, key=lambda row: (math.isnan(row.difference), row.difference))

    @property
    def difference(self) -> float:
        """The largest difference; NaN where one is no number."""
        return self.worst.difference if self.rows else math.nan

    @property
    def sentences(self) -> int:
        """How many sentences went through it."""
        return sum(row.sentences for row in self.rows)

    @property
    def other_ids(self) -> int:
        """Sentences with different token ids from the graph's."""
        return sum(row.other_ids for row in self.rows)

    @property
    def cosine(self) -> float | None:
        """Smallest cosine of an embedding and the graph's; None where it was not measured, NaN where one is no number."""
        known = [row.cosine for row in self.rows if row.cosine is not None]
        return min(known, key=lambda value: (not math.isnan(value), value), default=None)

    @property
    def neighbours(self) -> int | None:
        """How many sentences have a different nearest neighbour; None where that was not counted."""
        known = [row.neighbours for row in self.rows if row.neighbours is not None]
        return sum(known) if known else None

    @property
    def reason(self) -> str:
        """Why it is not exact, where that is known, as it is of ways that need not be."""
        return "" if self.held else next((row.reason for row in self.rows if not row.exact), "")


@dataclass(frozen=True)
class Worth:
    """What a record is worth.

    Attributes:
        ways: every way of loading, in the order of the record.
    """

    ways: Sequence[Way]

    @property
    def equivalent(self) -> bool:
        """Whether every way that must be exact is, and one is at all. Where none must be, one that is exact is enough."""
        return any(way.same for way in self.ways) and all(way.same for way in self.ways if way.held)

    @property
    def undecided(self) -> bool:
        """Whether a way that must be exact could not be measured, and each other one that must be is the same."""
        held = [way for way in self.ways if way.held]
        return any(way.refused for way in held) and all(way.same for way in held if not way.refused)

    @property
    def lossy(self) -> bool:
        """Whether it is of a lossy folder."""
        return any(way.lossy for way in self.ways)

    @property
    def proved(self) -> frozenset[tuple[str, str]]:
        """(surface, language) of what is exact, or within the limits of a lossy folder."""
        return frozenset(
            (row.surface, row.language) for way in self.ways for row in way.rows if row.exact or row.within
        )

    @property
    def covered(self) -> frozenset[tuple[str, str]]:
        """(surface, language) of what was compared."""
        return frozenset((row.surface, row.language) for way in self.ways for row in way.rows)


def worth(rows: Sequence[Row], conditions: Mapping[str, Conditions]) -> Worth:
    """Return what a record is worth; report, card, push and exit code all ask here."""
    names = dict.fromkeys([*(row.surface for row in rows), *(n for n, one in conditions.items() if one.refused)])
    return Worth([_way(name, rows, conditions.get(name)) for name in names])


def _way(surface: str, rows: Sequence[Row], one: Conditions | None) -> Way:
    own = [row for row in rows if row.surface == surface]
    return Way(surface, one is not None and one.held, own, one.refused if one else "")


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found of one folder and one SavedModel, perhaps in several runs.

    Attributes:
        fingerprint: of the SavedModel.
        rows: every way of loading in every language.
        failures: sentences that are not the same, the largest difference first; at most a few of each surface. Of ways that
            hub2hf knows not to be exact there are none.
        causes: likely causes of them.
        conditions: surface → under which it was compared.
        unanswered: sentences that were not compared, as a slim folder makes no promise about them.
        picture: the heat map, a PNG; None where there is none.
    """

    fingerprint: str
    rows: Sequence[Row]
    failures: Sequence[Failure] = ()
    causes: Sequence[Cause] = ()
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    unanswered: int = 0
    picture: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def worth(self) -> Worth:
        """What it is worth."""
        return worth(self.rows, self.conditions)

    @property
    def equivalent(self) -> bool:
        """Whether the folder gives the embeddings of the SavedModel in every way that must; see `Worth`."""
        return self.worth.equivalent

    @property
    def undecided(self) -> bool:
        """Whether nothing that was compared differs where it must not, and not all was that must be."""
        return self.worth.undecided

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
        unreadable: file of a corpus → why it could not be read to its end; nothing is equivalent while there is one.
    """

    source: str
    candidate: str
    seconds: float = 0.0
    note: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def equivalent(self) -> bool:
        """Whether all that was to be compared was, and the folder gives the embeddings of the SavedModel; see `Worth`."""
        return not self.unreadable and super().equivalent

    @property
    def undecided(self) -> bool:
        """As of any proof; what is in the way may be a file of the corpus."""
        return super().undecided or bool(self.unreadable and self.worth.equivalent)
