"""hub2hf: a text encoder published as a TensorFlow SavedModel becomes an exact Hugging Face folder.

Example:
    >>> import convert
    >>> convert.inspect("lealla-mini").encoder.layers.value
    3
    >>> convert.convert("lealla-mini", "out").out
    PosixPath('out')
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.blueprint import Blueprint, read_blueprint
from convert.equivalence.result import Report
from convert.equivalence.sentences import Sentence, chunked, language_sentences, read_sentences, trap_sentences
from convert.errors import Hub2HFError, SourceError
from convert.export import as_json, blueprint_facts, check_free, fingerprint, prove_tokenizer, write_folder
from convert.savedmodel import SavedModel
from convert.sources import resolve

if TYPE_CHECKING:
    from convert.equivalence.reference import Reference

__all__ = ["Blueprint", "Conversion", "Hub2HFError", "Report", "convert", "facts", "inspect", "record", "verify"]


@dataclass(frozen=True)
class Conversion:
    """What `convert` made.

    Attributes:
        out: the folder.
        blueprint: what was read of the source.
        manifest: the content of `hub2hf.json` in the folder.
    """

    out: Path
    blueprint: Blueprint
    manifest: dict[str, Any]


def inspect(
    source: str | Path, *, preprocessor: str | Path | None = None, vocab: str | Path | None = None
) -> Blueprint:
    """Read what a SavedModel is and what it will become; nothing is written.

    Args:
        source: a SavedModel folder, or the name of the embedded model, `lealla-mini`.
        preprocessor: the SavedModel that makes ids of text, for a source that takes ids.
        vocab: the vocabulary file, for a source that takes ids, has no preprocessor and brings no vocabulary.

    Returns:
        The blueprint, each value with its evidence.

    Raises:
        Hub2HFError: the source is missing, damaged, or holds something that is not understood.
    """
    blueprint = read_blueprint(SavedModel.open(resolve(source)), *_text_side(preprocessor, vocab))
    prove_tokenizer(blueprint)
    return blueprint


def _text_side(preprocessor: str | Path | None, vocab: str | Path | None) -> tuple[SavedModel | None, Path | None]:
    """Return the preprocessor opened, and the path of the vocabulary; None for what is not given."""
    return (
        SavedModel.open(resolve(preprocessor)) if preprocessor is not None else None,
        Path(vocab) if vocab is not None else None,
    )


def convert(
    source: str | Path,
    out: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Turn a SavedModel into a Hugging Face folder, without TensorFlow or PyTorch.

    Args:
        source: a SavedModel folder, or the name of the embedded model, `lealla-mini`.
        out: the folder to make; it must not exist or be empty.
        preprocessor, vocab: as for `inspect`.
        force: replace `out` if it is there.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        Hub2HFError: the source is missing, damaged or not understood, or `out` cannot be written. Then `out` is as it was.
    """
    folder, target = resolve(source), Path(out)
    check_free(target, force, folder)
    model, beside = SavedModel.open(folder), _text_side(preprocessor, vocab)
    # Hashing the source takes as long as all the reading: it goes on beside it.
    with ThreadPoolExecutor(max_workers=1) as pool:
        source_hash = pool.submit(fingerprint, model, *beside)
        blueprint = read_blueprint(model, *beside)
        prove_tokenizer(blueprint)
        total = sum(model.checkpoint.variables[item.variable].nbytes for item in blueprint.encoder.mapped)
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        manifest = write_folder(model, blueprint, source_hash, target, force=force, progress=report)
    return Conversion(target, blueprint, manifest)


def facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return a blueprint as plain JSON data: signature, text, vocabulary, encoder, mapping, unused."""
    plain: dict[str, Any] = as_json(blueprint_facts(blueprint))
    return plain


def record(
    source: str | Path,
    file: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Record what TensorFlow makes of the sentences, for `verify` on machines without TensorFlow.

    Args:
        source: as for `convert`.
        file: the recording to write, a safetensors file.
        preprocessor, vocab: as for `inspect`.
        languages: only these; all 109 and the traps by default.
        sentences: a file of your own, one sentence a line, as `sentence` or `language<TAB>sentence`.
        progress: called with the number of sentences just recorded.

    Returns:
        How many sentences were recorded.

    Raises:
        Hub2HFError: TensorFlow is not installed, the source is not understood, or `file` cannot be written.
    """
    from convert.equivalence.recording import check_writable, join

    check_writable(Path(file))
    parts = []
    with _reference(source, preprocessor, vocab) as graph:
        for chunk in chunked(_chosen(languages, sentences)):
            parts.append(graph.record(chunk))
            progress(len(chunk))
    if not parts:
        raise SourceError("There are no sentences to record.", "Check the languages and the file of sentences.")
    whole = join(parts)
    whole.save(Path(file))
    return len(whole.sentences)


def verify(
    source: str | Path | None,
    candidate: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    golden: str | Path | None = None,
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    surfaces: Sequence[str] = (),
    tolerances: str | Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Prove, or refute, that a Hugging Face folder gives the embeddings of a SavedModel.

    Args:
        source: the SavedModel, run by TensorFlow now; None with `golden`.
        candidate: a Hugging Face folder, ours or anyone's, or OWNER/NAME in the local Hub cache.
        preprocessor, vocab: as for `inspect`; not with `golden`.
        golden: a recording made by `record`, in place of `source`; needs no TensorFlow.
        languages: only these; all 109 and the traps by default.
        sentences: a file of your own, as for `record`; not with `golden`, which has its sentences.
        surfaces: ways of loading: automodel, sentence-transformers, bert, card; all that apply by default.
        tolerances: a TOML file of the form of `configs/tolerances.toml`.
        progress: called with the number of sentences just compared.

    Raises:
        Hub2HFError: the question cannot be answered: something is missing, damaged, or of another model.
    """
    try:
        from convert.equivalence.candidate import Candidate
        from convert.equivalence.recording import Recording
        from convert.equivalence.tolerances import load_tolerances
        from convert.equivalence.verify import Witness
        from convert.equivalence.verify import verify as hold
    except ImportError as error:
        raise _missing(error, "torch") from error
    allowed = load_tolerances(Path(tolerances) if tolerances is not None else None)
    loaded = Candidate.find(candidate, surfaces)
    if golden is not None:
        if sentences is not None:
            raise SourceError("A recording has its own sentences.", "Leave out either golden or sentences.")
        if preprocessor is not None or vocab is not None:
            raise SourceError("A recording has its own ids.", "Leave out the preprocessor and the vocabulary.")
        recording = Recording.load(Path(golden))
        _check_languages(languages, recording.sentences)
        loaded.check_source(recording.fingerprint, str(golden))
        witness = Witness.recorded(recording, languages)
        return hold(witness, loaded, allowed, named=str(golden), progress=progress)
    if source is None:
        raise SourceError("There is neither a source nor a recording.", "Name a SavedModel, or pass golden.")
    with _reference(source, preprocessor, vocab) as graph:
        witness = Witness.live(graph, _chosen(languages, sentences))
        return hold(witness, loaded, allowed, named=str(source), progress=progress)


def _reference(source: str | Path, preprocessor: str | Path | None, vocab: str | Path | None) -> Reference:
    """Return TensorFlow about to run `source`, with what stands beside it."""
    model, beside = SavedModel.open(resolve(source)), _text_side(preprocessor, vocab)
    try:
        from convert.equivalence.tensorflow_beside import open_reference
    except ImportError as error:
        raise _missing(error, "tensorflow") from error
    return open_reference(model, *beside)


def _missing(error: ImportError, extra: str) -> SourceError:
    return SourceError(f"{error.name} is not installed.", f"Install it: pip install 'hub2hf[{extra}]'.")


def _chosen(languages: Collection[str], file: str | Path | None) -> Iterator[Sentence]:
    """Yield the sentences of `file`, or the project's own and the traps, in `languages` only where any are named."""
    if file is None:
        own = [*language_sentences(), *trap_sentences()]
        _check_languages(languages, own)
    chosen: Iterable[Sentence] = own if file is None else read_sentences(Path(file))
    return (sentence for sentence in chosen if not languages or sentence.language in languages)


def _check_languages(languages: Collection[str], sentences: Iterable[Sentence]) -> None:
    unknown = sorted(set(languages) - {sentence.language for sentence in sentences})
    if unknown:
        raise SourceError(
            f"There are no sentences in {', '.join(unknown)}.", "Languages are codes as on the card: de, ja."
        )
