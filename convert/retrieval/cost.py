"""What coarser numbers lose, measured against the folder that they were made from, by language."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Final

from hub2hf.architectures.head import EMBEDDING
from hub2hf.equivalence.candidate import Candidate
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import language_sentences, trap_sentences
from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.equivalence.verify import Verification
from hub2hf.errors import ExportError
from hub2hf.folder.files import files_in
from hub2hf.folder.manifest import ABOUT
from hub2hf.proof import Row
from hub2hf.proof.codec import plain
from hub2hf.proof.limits import Limits
from hub2hf.proof.text import cosine, count
from hub2hf.retrieval.evaluate import Evaluation, Language, evaluate
from hub2hf.surfaces.onnxruntime import MODEL

ROUNDS: Final = 3  # in which both folders embed in turn; the median counts, as a machine has other work


def measured_cost(
    exact: Path, made: Path, limits: Limits, pairs: Sequence[str | Path], *, beyond_limits: bool = False
) -> Mapping[str, Any]:
    """Return what `made` loses of `exact`, JSON data.

    Args:
        exact, made: folders; what is measured is ONNX Runtime where there is such a file, else sentence-transformers.
        limits: what may be lost.
        pairs: as for `evaluate`; may be none.
        beyond_limits: do not refuse.

    Raises:
        ExportError: more is lost than `limits` says.
        SourceError: the libraries are not installed, or the pairs are none.
    """
    ways = {folder: _way(folder) for folder in (exact, made)}
    both = {folder: Candidate(folder, [way]) for folder, way in ways.items()}
    rows = _rows(both[exact], both[made], ways)
    found = evaluate(made, pairs, against=exact) if pairs else None
    beyond = [*_rows_beyond(rows), *_pairs_beyond(found.languages if found else (), limits)]
    if beyond and not beyond_limits:
        more = f"; and {len(beyond) - 3} more" if len(beyond) > 3 else ""
        raise ExportError(
            f"The folder loses more than it may: {'; '.join(beyond[:3])}{more}.",
            "Choose a more precise format, or write it anyway with --beyond-limits.",
        )
    return {
        "way": ways[made],
        "bytes": {"whole": _bytes(exact), "here": _bytes(made)},
        "speed": _speed({name: both[folder] for name, folder in (("whole", exact), ("here", made))}),
        "rows": [plain(asdict(row)) for row in rows],
        **({"retrieval": _retrieval(found)} if found else {}),
    }


def _way(folder: Path) -> str:
    return "onnx-runtime" if (folder / MODEL).is_file() else "sentence-transformers"


def _bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in files_in(folder) if name not in ABOUT)


def _rows(exact: Candidate, made: Candidate, ways: Mapping[Path, str]) -> list[Row]:
    sentences = [*language_sentences(), *trap_sentences()]
    manifest = exact.manifest
    assert manifest is not None
    expected = exact.embed(ways[exact.folder], [text for _, text in sentences])
    verification = Verification(made, load_tolerances())
    verification.add(Recording("", manifest.fingerprint, 0, sentences, expected.ids, {EMBEDDING: expected.embeddings}))
    return verification.rows()


def _rows_beyond(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if not row.passed:
            lost = f"{count(row.lost, 'translation')} of {row.true_hits} lost, " if row.lost > 0 else ""
            yield f"in {row.language} {lost}cosine as low as {cosine(row.cosine)}"


def _pairs_beyond(languages: Sequence[Language], limits: Limits) -> Iterator[str]:
    for row in languages:
        lost, may = max(row.lost), limits.may_lose(row.pairs)
        if lost > may:
            yield f"in {row.language} {lost} of {row.pairs:,} pairs, where {may} may be lost"


def _retrieval(found: Evaluation) -> dict[str, Any]:
    told = found.to_json()
    return {name: told[name] for name in ("data", "sha256", "languages")}


def _speed(folders: Mapping[str, Candidate]) -> dict[str, float]:
    """Return sentences a second of each folder, on the project's own."""
    texts = [sentence.text for sentence in language_sentences()]
    seconds: dict[str, list[float]] = {name: [] for name in folders}
    for _ in range(ROUNDS):
        for name, folder in folders.items():
            start = time.perf_counter()
            folder.embed(folder.surfaces[0], texts)
            seconds[name].append(time.perf_counter() - start)
    return {name: round(len(texts) / median(each), 1) for name, each in seconds.items()}
