"""Measure retrieval with a folder or a SavedModel, and what changed from another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.corpora.encoders import FLOAT32, chosen_means, load, options_of
from hub2hf.equivalence import reference
from hub2hf.errors import SourceError
from hub2hf.names import check_paths, check_whole_numbers, listed, present
from hub2hf.notices import Progress
from hub2hf.opened import Source
from hub2hf.retrieval.metrics import Nearest, changed, interval, mining, search
from hub2hf.retrieval.pairs import DataSet, Pairs, read_pairs
from hub2hf.surfaces import CPU
from hub2hf.surfaces.base import unit

WINDOW: Final = 1024  # texts that are embedded between two reports of progress
HEAD: Final = ("language", "pairs", "→", "95 %")  # of the table's columns, the first
LEGEND: Final = (
    "→: of 100 texts, how many find their translation, with its interval of 95 %; ←: the way back; mining F1: of all "
    "pairs by the margin, in %"
)
CHANGED: Final = "; changed: searches, of both ways, with another result than in the other model"
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """One model in one language.

    Attributes:
        forward, backward: the share of texts that find their translation, and of translations that find their text.
        mining: F1 of margin-based mining.
    """

    forward: float
    backward: float
    mining: float


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        language: as the data has it.
        pairs: how many there are.
        own: of the model that was asked for.
        other: of the one that it is held against; None without one.
        changed: how many searches, of 2 * pairs, have another result than in the other; None without one.
    """

    language: str
    pairs: int
    own: Measured
    other: Measured | None = None
    changed: int | None = None

    @property
    def lost(self) -> tuple[int, int]:
        """How many searches forward and backward fail that did not with the other; 0 without one."""
        other = self.other or self.own
        forward, backward = other.forward - self.own.forward, other.backward - self.own.backward
        return round(forward * self.pairs), round(backward * self.pairs)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy forward."""
        return interval(self.own.forward, self.pairs)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` measured.

    Attributes:
        model, against: what was named; "" without another.
        data, sha256: name and hash of the pairs.
        languages: each with what was measured.
    """

    model: str
    against: str
    data: str
    sha256: str
    languages: Sequence[Language]

    @property
    def mean(self) -> Measured:
        """The mean over languages."""
        return _mean([row.own for row in self.languages])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        rows = [
            {
                "language": row.language,
                "pairs": row.pairs,
                **vars(row.own),
                "interval": list(row.interval),
                **({"against": vars(row.other), "changed": row.changed, "lost": list(row.lost)} if row.other else {}),
            }
            for row in self.languages
        ]
        told = {"model": self.model, "against": self.against, "data": self.data, "sha256": self.sha256}
        return {**told, "mean": vars(self.mean), "languages": rows}

    def line(self) -> str:
        """Return the means in a line."""
        mean = self.mean
        return f"accuracy → {_share(mean.forward)}, ← {_share(mean.backward)}; mining F1 {_share(mean.mining)}"

    def to_markdown(self) -> str:
        """Return it as a table."""
        others = [row.other for row in self.languages if row.other]
        head = [*HEAD, "←", "mining F1"]
        head += ["→ against", "← against", "changed"] if others else []
        lines = [f"| {' | '.join(head)} |", f"|:--|{'--:|' * (len(head) - 1)}"]
        for row in self.languages:
            low, high = row.interval
            cells = [row.language, f"{row.pairs:,}", _share(row.own.forward), f"{_share(low)}-{_share(high)}"]
            cells += [_share(row.own.backward), _share(row.own.mining)]
            cells += [_share(row.other.forward), _share(row.other.backward), str(row.changed)] if row.other else []
            lines.append(f"| {' | '.join(cells)} |")
        mean = self.mean
        cells = ["mean", "", _share(mean.forward), "", _share(mean.backward), _share(mean.mining)]
        if others:
            other = _mean(others)
            total = sum(row.changed or 0 for row in self.languages)
            cells += [_share(other.forward), _share(other.backward), str(total)]
        lines.append(f"| {' | '.join(cells)} |")
        legend = f"{LEGEND}{CHANGED if others else ''}."
        return "\n".join([*lines, "", legend, "", f"Pairs: {self.data}, SHA-256 {self.sha256}.", ""])


def is_table(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a table that `to_markdown` made."""
    return head.startswith(f"| {' | '.join(HEAD)} |".encode())


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _mean(found: Sequence[Measured]) -> Measured:
    return Measured(
        *(float(np.mean([getattr(one, name) for one in found])) for name in ("forward", "backward", "mining"))
    )


def evaluate(
    model: str | Path,
    pairs: str | Path | Sequence[str | Path],
    *,
    against: str | Path | None = None,
    languages: Collection[str] = (),
    sample: int | None = None,
    runtime: str | None = None,
    device: str = CPU,
    precision: str = FLOAT32,
    progress: Progress = lambda done, total: None,
) -> Evaluation:
    """Measure how well translations are found: accuracy both ways by cosine, and F1 of margin-based mining.

    Accuracy is that of the LEALLA paper on Tatoeba: the share of sentences whose most similar one of the other side is their
    translation.

    Args:
        model: a folder that sentence-transformers or ONNX Runtime loads; or a SavedModel, named as for `inspect`, which
            TensorFlow runs.
        pairs: a folder named as Tatoeba's in LASER, a TSV, or two files line by line.
        against: another model, named likewise, on the same pairs; searches with another result are counted.
        languages: only these, as the data names them, listed or with commas.
        sample: only so many pairs of each language, the first ones.
        runtime: onnx or torch, for folders; the faster one there is by default.
        device, precision: of PyTorch, as for `embed`; another precision than float32 is for `model` alone, what it is held
            against is computed in float32.
        progress: called with (texts embedded so far, texts in all).

    Raises:
        SourceError: there is no such model, its libraries are not installed, or the pairs are none.
    """
    check_paths(model=model, **present(against=against))
    given = [pairs] if isinstance(pairs, str | bytes) or not isinstance(pairs, Iterable) else list(pairs)
    for path in given:
        check_paths(pairs=path)
    check_whole_numbers(**present(sample=sample))
    data = read_pairs([Path(path) for path in given], listed(languages), sample)
    named = str(against) if against is not None else ""
    if not _is_folder(str(model)) and (asked := options_of(device, precision)):
        raise SourceError(
            f"{model} is no Hugging Face folder: TensorFlow runs it.", f"Leave out {' and '.join(asked)}."
        )
    return side_by_side(
        [str(model)], data, named, runtime=runtime, device=device, precision=precision, progress=progress
    )[0]


def side_by_side(
    models: Sequence[str],
    data: DataSet,
    against: str = "",
    *,
    runtime: str | None = None,
    device: str = CPU,
    precision: str = FLOAT32,
    progress: Progress = lambda done, total: None,
) -> list[Evaluation]:
    """Return an evaluation of each of some models, each against one; language by language, so that little is held.

    Args:
        models: as for `evaluate`.
        data: the pairs.
        against: one more model, or "".
        runtime, device, precision, progress: as for `evaluate`.

    Raises:
        SourceError: as `evaluate`.
    """
    named = [*((name, precision) for name in models), *([(against, FLOAT32)] if against else [])]
    total, done = len(named) * 2 * sum(len(each.texts) for each in data.pairs), 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    rows: dict[str, list[Language]] = {name: [] for name in models}
    with ExitStack() as stack:
        encoders = {
            (name, within): stack.enter_context(_encoder(name, runtime, device, within))
            for name, within in dict.fromkeys(named)
        }
        for pairs in data.pairs:
            found = {
                key: _searched(pairs, partial(_embedded, embed=embed, report=report)) for key, embed in encoders.items()
            }
            other = found.get((against, FLOAT32)) if against else None
            for name in models:
                rows[name].append(_language(pairs, found[name, precision], other))
    return [Evaluation(name, against, data.name, data.sha256, rows[name]) for name in models]


def _language(pairs: Pairs, own: _Searched, other: _Searched | None) -> Language:
    if other is None:
        return Language(pairs.language, len(pairs.texts), own.measured)
    return Language(pairs.language, len(pairs.texts), own.measured, other.measured, own.changed_from(other))


@dataclass(frozen=True)
class _Searched:
    """One model in one language, with its embeddings [pairs, hidden], as two searches found them."""

    texts: np.ndarray
    translations: np.ndarray
    forward: Nearest
    backward: Nearest
    measured: Measured

    def changed_from(self, other: _Searched) -> int:
        """Return how many of both searches have another result."""
        there = changed(self.texts, self.translations, self.forward, other.forward)
        return there + changed(self.translations, self.texts, self.backward, other.backward)


def _searched(pairs: Pairs, embed: Embed) -> _Searched:
    texts, translations = embed(pairs.texts), embed(pairs.translations)
    there, back = search(texts, translations), search(translations, texts)
    measured = Measured(there.accuracy, back.accuracy, mining(texts, translations))
    return _Searched(texts, translations, there, back, measured)


def _embedded(texts: Sequence[str], embed: Embed, report: Callable[[int], None]) -> np.ndarray:
    parts = []
    for at in range(0, len(texts), WINDOW):
        window = texts[at : at + WINDOW]
        parts.append(unit(embed(window)))
        report(len(window))
    return np.concatenate(parts)


def _is_folder(name: str) -> bool:
    return (Path(name) / "config.json").is_file()


@contextmanager
def _encoder(name: str, runtime: str | None, device: str, precision: str) -> Iterator[Embed]:
    """Yield what embeds texts with a model: a folder's weights, or TensorFlow."""
    folder = Path(name)
    if _is_folder(name):
        encoder = load(folder, chosen_means(folder, runtime, device, precision))
        yield lambda texts: encoder.embed(encoder.prepare(texts))
        return
    with reference(Source.find(name)) as graph:
        yield graph.embed
