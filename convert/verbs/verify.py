"""The verb `verify`: a folder is proved, or refuted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.errors import SourceError
from hub2hf.names import check_paths, listed, present

if TYPE_CHECKING:
    from hub2hf.notices import Progress
    from hub2hf.opened import Source
    from hub2hf.proof import Report


def verify(
    source: str | Path | Source | None,
    candidate: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    text_rules: str = "",
    output: str = "",
    golden: str | Path | None = None,
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    text: str = "text",
    sample: int | None = None,
    seed: int = 0,
    surfaces: Sequence[str] = (),
    device: str = "cpu",
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    tolerances: str | Path | None = None,
    add_proof: bool = True,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Prove, or refute, that a Hugging Face folder gives the embeddings of a SavedModel.

    Args:
        source: as for `inspect`; TensorFlow runs it now. None with `golden`.
        candidate: a Hugging Face folder, ours or anyone's, or OWNER/NAME in the local Hub cache.
        preprocessor, vocab: as for `inspect`; not with `golden`.
        text_rules: as for `inspect`; without, a folder that hub2hf made says which it was made by.
        output: as for `inspect`; without, a folder that hub2hf made says which it was made from.
        golden: a recording made by `record`, in place of `source`; needs no TensorFlow.
        languages: only these, listed or with commas; all 109 and the traps by default.
        sentences: a file of your own, as for `record`, or a corpus in Parquet or JSON lines, as `embed` takes it, with its
            languages in a column `language` or `lang`; not with `golden`, which has its sentences. Files of a corpus that
            cannot be read are named in `unreadable` of the report, and the others are compared.
        text: the column of texts of a corpus.
        sample: how many sentences to draw of it, evenly of its languages; `note` of the report says how far that reaches.
        seed: of the drawing.
        surfaces: ways of loading, likewise, names of `hub2hf.surfaces.SURFACES`; all that apply by default.
        device: where they compute: cpu, cuda, mps. On another than the processor each is a way of its own.
        engine, address, workers: as for `embed`; Ray for a whole corpus, with both frameworks on each machine.
        tolerances: a TOML file of the form of `configs/tolerances.toml`.
        add_proof: write the result and a new card into `candidate`, if it is a folder that hub2hf made, and if sentences and
            tolerances are the project's own; `note` of the report says what was done.
        progress: called with (sentences compared so far, sentences in all or None).

    Raises:
        Hub2HFError: the question cannot be answered: something is missing, damaged, or of another model.
    """
    from hub2hf.corpora.holding import AGAIN
    from hub2hf.corpora.holding import hold as hold_corpus
    from hub2hf.corpora.ray_engine import RAY, check_engine, run_on
    from hub2hf.corpora.sentences import Corpus, Sample
    from hub2hf.equivalence import reference, require_tensorflow
    from hub2hf.equivalence.adding import of_own_sentences
    from hub2hf.equivalence.candidate import Candidate
    from hub2hf.equivalence.recording import Recording
    from hub2hf.equivalence.sentences import Sentences, check_languages, chosen_sentences, count_sentences
    from hub2hf.equivalence.tolerances import load_tolerances
    from hub2hf.equivalence.verify import Witness
    from hub2hf.equivalence.verify import verify as hold
    from hub2hf.opened import Source

    check_paths(**present(golden=golden, sentences=sentences, tolerances=tolerances))
    languages, surfaces = listed(languages), listed(surfaces)
    allowed = load_tolerances(Path(tolerances) if tolerances is not None else None)
    corpus = Corpus.of(sentences, text) if sentences is not None and source is not None else None
    if engine == RAY and (corpus is None or sample is not None):
        raise SourceError("Ray is for whole corpora.", "Pass sentences in Parquet or JSON lines, all of them.")
    check_engine(engine, address, workers)
    loaded = Candidate.find(candidate, surfaces, device)
    recording = None
    if golden is not None:
        _check_alone(
            {
                "sentences": {"--sentences": sentences, "--sample": sample},
                "ids": {"--preprocessor": preprocessor, "--vocab": vocab, "--text-rules": text_rules or None},
                "output": {"--output": output or None},
            }
        )
        recording = Recording.load(Path(golden))
        check_languages(languages, recording.sentences)
        loaded.check_source(recording.fingerprint, str(golden))
        witness, named = Witness.recorded(recording, languages), str(golden)
        total: int | None = sum(not languages or s.language in languages for s in recording.sentences)
        report = hold(witness, loaded, allowed, named=named, progress=_adding_up(progress, total))
    elif source is not None and corpus is not None and sample is None:
        found = Source.of(source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output)
        over = partial(hold_corpus, corpus, found, loaded, allowed, run_on(engine, address, workers, AGAIN))
        report = over(here=engine != RAY, languages=languages, surfaces=surfaces, device=device, progress=progress)
    elif source is not None:
        given: Sentences | None = corpus or sentences
        drawn = Sample(partial(chosen_sentences, languages, given), sample, seed) if sample is not None else None
        given = drawn or given
        total = count_sentences(languages, given)
        require_tensorflow()
        found = Source.of(source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output)
        with reference(found.read_for(loaded.made_from, loaded.text_rules)) as graph:
            witness = Witness.live(graph, chosen_sentences(languages, given))
            report = hold(witness, loaded, allowed, named=found.name, progress=_adding_up(progress, total))
        if drawn is not None:
            report = replace(report, note=drawn.reach())
    else:
        raise SourceError("There is neither a source nor a recording.", "Name a SavedModel, or pass golden.")
    everybodys = sample is None and of_own_sentences(recording, sentences)
    return _added(report, loaded.folder, everybodys, tolerances is None) if add_proof else report


def _added(report: Report, folder: Path, sentences: bool, tolerances: bool) -> Report:
    """Return the report with a note of what became of it in the folder.

    Args:
        report: what was found of `folder`.
        sentences, tolerances: whether these are the project's own.
    """
    from hub2hf.equivalence import adding

    if not tolerances:
        done = adding.not_added(folder, "tolerances of your own prove it to you alone")
    elif not sentences:
        done = adding.not_added(folder, "sentences of your own may be private; run it without them to add it")
    else:
        done = adding.add_proof(folder, report)
    return replace(report, note=" ".join(filter(None, (report.note, done))))


def _check_alone(beside: Mapping[str, Mapping[str, object]]) -> None:
    """Refuse what a recording brings itself.

    Args:
        beside: what it brings → option → what was given, None for nothing.

    Raises:
        SourceError: which that is.
    """
    for own, options in beside.items():
        given = [option for option, value in options.items() if value is not None]
        if given:
            raise SourceError(f"A recording has its own {own}.", f"Leave out --golden, or {' and '.join(given)}.")


def _adding_up(progress: Progress, total: int | None) -> Callable[[int], None]:
    """Return what takes the number of those just done, and tells `progress` of all."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return add
