"""Make a smaller folder, as `hub2hf slim` does: a part of the vocabulary, coarser numbers, or both."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from hub2hf.errors import ExportError
from hub2hf.names import check_flags, check_paths, listed
from hub2hf.notices import Progress
from hub2hf.proof.limits import Limits
from hub2hf.slimming.asked import Loss, Slim
from hub2hf.slimming.folder import slim as make

DTYPES: Final = ("float32", "float16", "bfloat16")
EMBEDDINGS: Final = ("float32", "int8")
# What may be lost in any language. The cosine is a guard against what retrieval does not see; on trained weights (`make
# retrieval`) the smallest of 7,264 texts in 19 languages was 0.99998 with int8 rows, and 0.994 with int8.
COARSE: Final = Limits(pairs=1, share=0.0, cosine=0.98)
INT8: Final = Limits(pairs=2, share=0.01, cosine=0.95)


def slim(
    folder: str | Path,
    out: str | Path,
    *,
    languages: Collection[str] = (),
    scripts: Collection[str] = (),
    alphabet: str | Path | None = None,
    corpus: str | Path | None = None,
    text: str = "text",
    dtype: str = "float32",
    embeddings: str = "float32",
    int8: bool = False,
    pairs: str | Path | Sequence[str | Path] = (),
    beyond_limits: bool = False,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Slim:
    """Make a folder with a part of the vocabulary, with coarser numbers, or both.

    A part of the vocabulary is exact for every text that is written in what was asked for. What is asked for adds up.
    With languages, scripts or an alphabet, digits, punctuation, signs, emoji and marks are kept too.
    `hub2hf.slimming.guarantee` says what is promised, and why it holds.

    Coarser numbers are not exact in any way of loading. What they lose is measured by language, against `folder`, on the
    project's own sentences and on `pairs`; manifest and card say it, and `verify` holds the folder to its limits.

    Args:
        folder: made by `convert`, or by this.
        out: the folder to make.
        languages: ISO 639 codes, as on LEALLA's card, listed or with commas: de,ja.
        scripts: likewise, as Unicode names them: Latin,Han.
        alphabet: a text file with the characters to keep, in any order.
        corpus: keep the pieces that these texts use: Parquet or JSON lines, or a file of lines; exact for every text that
            uses no dropped piece.
        text: the column of texts of a corpus.
        dtype: in which weights are kept: float32, float16, bfloat16.
        embeddings: how word embeddings are kept: int8 is with a scale each 16 numbers, in an ONNX file, which is then all
            there is.
        int8: whether all weights are int8, in such a file, and products are computed in int8; it leaves no choice of dtype.
            With trained weights, in 3 of the 19 smallest languages of Tatoeba, and in 4 of all 112 with 100 pairs each, 3 or
            4 translations were lost where 2 may be: `hub2hf.onnx.precision` says why. `pairs` in one's own languages tell.
        pairs: pairs of translations, as for `evaluate`, on which the loss is measured too.
        beyond_limits: write a folder that loses more than its limits; `verify` will say that it does.
        force: replace `out` if it is there and holds nothing but what hub2hf wrote.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        Hub2HFError: as `hub2hf.slimming.folder.slim`; the corpus or the pairs are none, what would measure the loss is not
            installed, or the loss is beyond its limits in a language.
    """
    check_paths(folder=folder, out=out)
    check_flags(int8=int8, beyond_limits=beyond_limits, force=force)
    folder, used = Path(folder), None
    if corpus is not None:
        from hub2hf.retrieval.used import used_pieces

        used = used_pieces(folder, corpus, text)
    loss = _loss(folder, dtype, embeddings, int8, [pairs] if isinstance(pairs, str | Path) else pairs, beyond_limits)
    return make(
        folder,
        Path(out),
        languages=listed(languages),
        scripts=listed(scripts),
        alphabet=Path(alphabet) if alphabet is not None else None,
        used=used,
        loss=loss,
        force=force,
        progress=progress,
    )


def _loss(
    folder: Path, dtype: str, embeddings: str, int8: bool, pairs: Sequence[str | Path], beyond_limits: bool
) -> Loss | None:
    for name, known, what in ((dtype, DTYPES, "dtype"), (embeddings, EMBEDDINGS, "kind of embeddings")):
        if name not in known:
            raise ExportError(f"There is no {what} '{name}'.", f"Choose from: {', '.join(known)}.")
    if int8 and dtype != DTYPES[0]:
        raise ExportError(
            f"int8 keeps weights in 8 bits, {dtype} keeps them in 16: they cannot be asked for together.",
            "Leave out one.",
        )
    if (dtype, embeddings, int8) == (DTYPES[0], EMBEDDINGS[0], False):
        if pairs:
            raise ExportError(
                "Pairs measure what less precise numbers lose, and none were asked for.", "Leave them out."
            )
        return None
    from hub2hf.equivalence.sentences import language_sentences  # only now: an exact folder needs no measuring
    from hub2hf.onnx.precision import Precision
    from hub2hf.retrieval.cost import measured_cost

    precision = Precision(dtype, rows=int8 or embeddings == "int8", matrices=int8)
    said = [f"weights in {dtype}"] if dtype != "float32" else []
    said += ["all matrices in int8"] if int8 else ["word embeddings in int8"] if precision.rows else []
    limits = INT8 if int8 else COARSE
    return Loss(
        precision,
        ", ".join(said),
        limits,
        [sentence.text for sentence in language_sentences()] if int8 else (),
        lambda made: measured_cost(folder, made, limits, pairs, beyond_limits=beyond_limits),
    )
