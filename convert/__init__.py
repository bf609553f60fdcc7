"""hub2hf: a text encoder published as a TensorFlow SavedModel becomes an exact Hugging Face folder.

Example:
    >>> import hub2hf
    >>> hub2hf.inspect("lealla-mini").encoder.layers.value
    3
    >>> hub2hf.convert("lealla-mini", "out").out
    PosixPath('out')
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hub2hf.export  # noqa: F401  (before the verb of this name, which a later import would replace by the package)
from hub2hf.errors import Hub2HFError, SourceError

if TYPE_CHECKING:
    from hub2hf.blueprint import Blueprint
    from hub2hf.blueprint.diagnosis import Diagnosis
    from hub2hf.corpora.embed import Embeddings, embed
    from hub2hf.corpora.golden import StoredReport, verify_vectors
    from hub2hf.hub import Publication
    from hub2hf.opened import Source
    from hub2hf.proof import Report
    from hub2hf.retrieval.evaluate import Evaluation, evaluate
    from hub2hf.retrieval.slim import slim
    from hub2hf.slimming.folder import Slim

Progress = Callable[[int, int | None], None]  # what is done so far, and what there is in all, where that is known

# Names that are here when they are first used: the command must answer at once, to the Tab key as well as to Ctrl-C.
_LATER = {
    "Blueprint": "hub2hf.blueprint",
    "Embeddings": "hub2hf.corpora.embed",
    "Report": "hub2hf.proof",
    "Evaluation": "hub2hf.retrieval.evaluate",
    "Slim": "hub2hf.slimming.folder",
    "Source": "hub2hf.opened",
    "StoredReport": "hub2hf.corpora.golden",
    "embed": "hub2hf.corpora.embed",
    "evaluate": "hub2hf.retrieval.evaluate",
    "slim": "hub2hf.retrieval.slim",
    "verify_vectors": "hub2hf.corpora.golden",
}

__all__ = [
    "Blueprint",
    "Conversion",
    "Embeddings",
    "Evaluation",
    "Hub2HFError",
    "Report",
    "Slim",
    "Source",
    "StoredReport",
    "card",
    "convert",
    "diagnose",
    "embed",
    "evaluate",
    "export",
    "facts",
    "fetch",
    "graph_only",
    "inspect",
    "integrity",
    "push",
    "record",
    "slim",
    "verify",
    "verify_vectors",
]


if not TYPE_CHECKING:  # which would take any name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'hub2hf' has no attribute '{name}'")
        found = globals()[name] = getattr(import_module(_LATER[name]), name)
        return found


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


def fetch(source: str | Path, *, progress: Progress | None = None) -> Path:
    """Bring a source to this machine, as every other verb does first, and return its SavedModel folder.

    Args:
        source: a folder, an archive, a known model's name, an address or a Kaggle handle; see `hub2hf.sources.resolve`.
        progress: called with (bytes here so far, bytes in all or None) while fetching.

    Raises:
        Hub2HFError: there is no such source, it cannot be fetched, or it holds no SavedModel.
    """
    from hub2hf.sources import resolve

    return resolve(source, progress=progress)


def inspect(
    source: str | Path | Source,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
    thorough: bool = False,
) -> Blueprint:
    """Read what a SavedModel is and what it will become; nothing is written.

    Args:
        source: as for `fetch`: a SavedModel folder, an archive, a known name such as `lealla-mini`, an address; or what
            `Source.find` made of these: then it is opened, read and hashed once, however many verbs take it.
        preprocessor: the SavedModel that makes ids of text, for a source that takes ids; named as the source is. Of a known
            model its own is taken.
        vocab: the vocabulary file, for a source that takes ids, has no preprocessor and brings no vocabulary.
        output: the output that is the embedding, as NAME or SIGNATURE:NAME, where several could be; without, it is the one
            that the conventions of TensorFlow Hub name.
        thorough: hold the text side against a hundred times as many generated words and texts.

    Returns:
        The blueprint, each value with its evidence.

    Raises:
        Hub2HFError: the source is missing, damaged, or holds something that is not understood.
    """
    from hub2hf.export.tokenizer_proof import prove_tokenizer
    from hub2hf.opened import Source

    found = Source.of(source, preprocessor=preprocessor, vocab=vocab, output=output, thorough=thorough)
    prove_tokenizer(found.blueprint)
    return found.blueprint


def diagnose(
    error: Hub2HFError,
    source: str | Path | Source,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
) -> Diagnosis:
    """Return all that can be read of a source that is refused, and everything of it that is not understood.

    Args:
        error: with which `inspect` refused it.
        source, preprocessor, vocab, output: as for `inspect`.

    Raises:
        SourceError: there is no such source, or it cannot be fetched.
    """
    from hub2hf.blueprint.diagnosis import diagnose as ask
    from hub2hf.opened import Source

    found = Source.of(source, preprocessor=preprocessor, vocab=vocab, output=output)
    return ask(error, found.original, found.output)


def graph_only(
    source: str | Path | Source,
    file: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
) -> dict[str, Any]:
    """Write the graph of a SavedModel without its weights and its vocabulary into one file, to attach to an issue.

    `inspect` reads such a file as it reads a SavedModel. The same source gives the same bytes.

    Args:
        source, preprocessor, vocab: as for `inspect`.
        file: the zip to write; one that is there is replaced.

    Returns:
        What is in the file and what was left out, as JSON data.

    Raises:
        Hub2HFError: the source is missing or damaged, or `file` cannot be written.
    """
    from hub2hf.export.files import write_whole
    from hub2hf.opened import Source
    from hub2hf.savedmodel import stripped

    found = stripped(Source.of(source, preprocessor=preprocessor, vocab=vocab).whole().original)
    data = found.zipped()
    write_whole(Path(file), data, "Name another file, in a folder that is there.")
    return {"file": str(file), "bytes": len(data), "holds": sorted(found.files), **found.about}


def convert(
    source: str | Path | Source,
    out: str | Path,
    *,
    model: str | Path | None = None,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
    thorough: bool = False,
    force: bool = False,
    onnx: bool = False,
    progress: Progress = lambda done, total: None,
) -> Conversion:
    """Turn a SavedModel into a Hugging Face folder, without TensorFlow or PyTorch.

    Args:
        source: as for `inspect`.
        out: the folder to make; it must not exist or be empty.
        model: the known model that it is, a name of `configs/models/` or a TOML file of that form, for the card; without, it
            is what `source` names, or is recognised by its sizes and vocabulary.
        preprocessor, vocab, output, thorough: as for `inspect`.
        force: replace `out` if it is there.
        onnx: write `onnx/model.onnx` too, as `export` does.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        Hub2HFError: the source is missing, damaged or not understood, or `out` cannot be written. Then `out` is as it was.
    """
    from hub2hf.beside import worker
    from hub2hf.export.staging import check_free
    from hub2hf.known_models import find_model
    from hub2hf.opened import Source

    target = Path(out)
    named = find_model(model) if model is not None else None
    found = Source.of(source, preprocessor=preprocessor, vocab=vocab, output=output, thorough=thorough)
    for folder in found.original.folders:
        check_free(target, force, folder)
    found.whole()
    also = []
    with worker() as beside:
        beside.submit(lambda: found.fingerprint)  # takes as long as all the reading, and what is imported for that
        from hub2hf.export.folder import write_folder

        if onnx:
            from hub2hf.onnx import write_onnx

            also.append(write_onnx)
        manifest = write_folder(found, target, beside, named=named, force=force, also=also, progress=progress)
    return Conversion(target, found.blueprint, manifest)


def export(
    folder: str | Path, target: str, out: str | Path | None = None, *, dtype: str = "float32", force: bool = False
) -> Path:
    """Export a converted folder for other runtimes, without TensorFlow or PyTorch.

    Args:
        folder: made by `convert`.
        target: `onnx` adds `onnx/model.onnx` to the folder, with the outputs `sentence_embedding` [batch, hidden] and
            `last_hidden_state` [batch, length, hidden]; killed, it leaves a folder that the same call completes. `web` makes
            a folder for Transformers.js of one that has an ONNX file: its tokenizer is exact in JavaScript.
        out: the folder to make, for a target that makes one.
        dtype: in which the weights are kept, float32 or float16; float16 is `onnx/model_fp16.onnx`, beside the exact one.
        force: replace `out` if it is there and holds nothing but what hub2hf wrote.

    Returns:
        What was written.

    Raises:
        Hub2HFError: the folder is not one that hub2hf made, or was changed; there is no such target; it cannot be written.
    """
    from hub2hf.targets import export_to

    return export_to(Path(folder), target, Path(out) if out is not None else None, dtype, force)


def facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return a blueprint as plain JSON data: signature, text, vocabulary, encoder, mapping, unused."""
    from hub2hf.export.folder import as_json, blueprint_facts

    return dict(as_json(blueprint_facts(blueprint)))


def record(
    source: str | Path | Source,
    file: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    progress: Progress = lambda done, total: None,
) -> int:
    """Record what TensorFlow makes of the sentences, for `verify` on machines without TensorFlow.

    Args:
        source: as for `inspect`.
        file: the recording to write, a safetensors file.
        preprocessor, vocab, output: as for `inspect`.
        languages: only these; all 109 and the traps by default.
        sentences: a file of your own, one sentence a line, as `sentence` or `language<TAB>sentence`.
        progress: called with (sentences recorded so far, sentences in all or None).

    Returns:
        How many sentences were recorded.

    Raises:
        Hub2HFError: TensorFlow is not installed, the source is not understood, or `file` cannot be written.
    """
    from hub2hf.equivalence import reference
    from hub2hf.equivalence.recording import check_writable, join
    from hub2hf.equivalence.sentences import chosen_sentences, chunked, count_sentences
    from hub2hf.opened import Source

    check_writable(Path(file))
    parts = []
    total, done = count_sentences(languages, sentences), 0
    with reference(Source.of(source, preprocessor=preprocessor, vocab=vocab, output=output)) as graph:
        for chunk in chunked(chosen_sentences(languages, sentences)):
            parts.append(graph.record(chunk))
            done += len(chunk)
            progress(done, total)
    if not parts:
        raise SourceError("There are no sentences to record.", "Check the languages and the file of sentences.")
    whole = join(parts)
    whole.save(Path(file))
    return len(whole.sentences)


def verify(
    source: str | Path | Source | None,
    candidate: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    output: str = "",
    golden: str | Path | None = None,
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    text: str = "text",
    sample: int | None = None,
    seed: int = 0,
    surfaces: Sequence[str] = (),
    device: str = "cpu",
    tolerances: str | Path | None = None,
    add_proof: bool = True,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Prove, or refute, that a Hugging Face folder gives the embeddings of a SavedModel.

    Args:
        source: as for `inspect`; TensorFlow runs it now. None with `golden`.
        candidate: a Hugging Face folder, ours or anyone's, or OWNER/NAME in the local Hub cache.
        preprocessor, vocab: as for `inspect`; not with `golden`.
        output: as for `inspect`; without, a folder that hub2hf made says which it was made from.
        golden: a recording made by `record`, in place of `source`; needs no TensorFlow.
        languages: only these; all 109 and the traps by default.
        sentences: a file of your own, as for `record`, or a corpus in Parquet or JSON lines, as `embed` takes it, with its
            languages in a column `language` or `lang`; not with `golden`, which has its sentences.
        text: the column of texts of a corpus.
        sample: how many sentences to draw of it, evenly of its languages; `note` of the report says how far that reaches.
        seed: of the drawing.
        surfaces: ways of loading, names of `hub2hf.surfaces.SURFACES`; all that apply by default.
        device: where they compute: cpu, cuda, mps. On another than the processor each is a way of its own.
        tolerances: a TOML file of the form of `configs/tolerances.toml`.
        add_proof: write the result and a new card into `candidate`, if it is a folder that hub2hf made, and if sentences and
            tolerances are the project's own; `note` of the report says what was done.
        progress: called with (sentences compared so far, sentences in all or None).

    Raises:
        Hub2HFError: the question cannot be answered: something is missing, damaged, or of another model.
    """
    from hub2hf.corpora.sentences import Corpus, Sample, is_corpus
    from hub2hf.equivalence import adding, reference, require_tensorflow
    from hub2hf.equivalence.candidate import Candidate
    from hub2hf.equivalence.recording import Recording
    from hub2hf.equivalence.sentences import Sentences, check_languages, chosen_sentences, count_sentences
    from hub2hf.equivalence.tolerances import load_tolerances
    from hub2hf.equivalence.verify import Witness
    from hub2hf.equivalence.verify import verify as hold
    from hub2hf.opened import Source

    allowed = load_tolerances(Path(tolerances) if tolerances is not None else None)
    loaded = Candidate.find(candidate, surfaces, device)
    recording = None
    if golden is not None:
        if sentences is not None or sample is not None:
            raise SourceError("A recording has its own sentences.", "Leave out golden, or sentences and sample.")
        if preprocessor is not None or vocab is not None:
            raise SourceError("A recording has its own ids.", "Leave out the preprocessor and the vocabulary.")
        if output:
            raise SourceError("A recording is of one output.", "Leave out either golden or output.")
        recording = Recording.load(Path(golden))
        check_languages(languages, recording.sentences)
        loaded.check_source(recording.fingerprint, str(golden))
        witness, named = Witness.recorded(recording, languages), str(golden)
        total: int | None = sum(not languages or s.language in languages for s in recording.sentences)
        report = hold(witness, loaded, allowed, named=named, progress=_adding_up(progress, total))
    elif source is not None:
        given: Sentences | None = Corpus(str(sentences), text) if sentences and is_corpus(sentences) else sentences
        drawn = Sample(partial(chosen_sentences, languages, given), sample, seed) if sample is not None else None
        given = drawn or given
        total = count_sentences(languages, given)
        require_tensorflow()
        found = Source.of(source, preprocessor=preprocessor, vocab=vocab, output=output)
        with reference(found.read_for(loaded.made_from)) as graph:
            witness = Witness.live(graph, chosen_sentences(languages, given))
            report = hold(witness, loaded, allowed, named=found.name, progress=_adding_up(progress, total))
        if drawn is not None:
            return replace(report, note=drawn.reach())
    else:
        raise SourceError("There is neither a source nor a recording.", "Name a SavedModel, or pass golden.")
    if not add_proof or tolerances is not None or not adding.of_own_sentences(recording, sentences):
        return report
    return replace(report, note=adding.add_proof(loaded.folder, report))


def _adding_up(progress: Progress, total: int | None) -> Callable[[int], None]:
    """Return what takes the number of those just done, and tells `progress` of all."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return add


def card(folder: str | Path, *, model: str | Path | None = None, force: bool = False) -> Path:
    """Write README.md, the card of a folder, again from its manifest and its proof; return its path. No weights are touched.

    Args:
        folder: made by `convert`.
        model: another known model or TOML file for the card than at the conversion.
        force: write over a card that was edited by hand.

    Raises:
        Hub2HFError: the folder has no manifest, or its card was edited by hand.
    """
    from hub2hf.export.about import write_card
    from hub2hf.known_models import find_model

    return write_card(Path(folder), find_model(model) if model is not None else None, force=force)


def integrity(folder: str | Path) -> dict[str, str]:
    """Check a folder against its manifest.

    Returns:
        Name → what is wrong ("is missing", "has other bytes") of every file that is not as `convert` and `verify` left it.
        Files that the manifest does not list are named too.

    Raises:
        Hub2HFError: the folder has no manifest, or a file cannot be read.
    """
    from hub2hf.export.manifest import problems, read_manifest, unknown_files

    manifest = read_manifest(Path(folder))
    unknown = dict.fromkeys(unknown_files(Path(folder), manifest), "is not in hub2hf.json")
    return {**problems(Path(folder), manifest), **unknown}


def push(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision: str | None = None,
    message: str | None = None,
    dry_run: bool = False,
    allow_unverified: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Publication:
    """Publish a verified folder on the Hugging Face Hub: one commit of exactly the files in its manifest.

    The token is that of the Hub's own client: its login, or HF_TOKEN. The card is written again first, for `repository`.

    Args:
        folder: made by `convert`, with the result of `verify` in it.
        repository: OWNER/NAME; created where it is not there.
        private: create it private.
        create_pr: open a pull request instead of committing.
        revision: the branch, created where it is not there; main by default.
        message: of the commit.
        dry_run: only tell what would be done; nothing is touched, here or there.
        allow_unverified: publish without a passing verification, or files changed since the conversion; the card says so.
        say: called with a line when something is tried again.

    Raises:
        ExportError: the folder is not what its manifest says, or not verified.
        HubError: the Hub refused, or could not be reached.
    """
    from hub2hf.hub import push as publish

    return publish(
        Path(folder),
        repository,
        private=private,
        create_pr=create_pr,
        revision=revision,
        message=message,
        dry_run=dry_run,
        allow_unverified=allow_unverified,
        say=say,
    )
