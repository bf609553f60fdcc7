"""`verify --sentences` over a corpus: its windows are held against TensorFlow one by one, here or on a Ray cluster.

A window is a chunk of sentences, and what comes of it depends on nothing else. It is added in the order of the corpus,
wherever and whenever it was made: the report of a cluster is that of one machine.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hub2hf.corpora.job import Done, Job, Windows, Worker
from hub2hf.corpora.ray_engine import Run
from hub2hf.corpora.sentences import Corpus, sentences_of
from hub2hf.corpora.work import Chunk
from hub2hf.equivalence import reference, require_tensorflow
from hub2hf.equivalence.candidate import Candidate
from hub2hf.equivalence.sentences import CHUNK, Sentence, check_languages, count_sentences
from hub2hf.equivalence.tolerances import Tolerances
from hub2hf.equivalence.verify import Verification, Witness
from hub2hf.notices import Progress
from hub2hf.opened import Source
from hub2hf.proof import Report
from hub2hf.surfaces import CPU

AGAIN: Final = "Run the same command again."  # when Ray is lost: nothing is kept


@dataclass(frozen=True)
class Holding(Job):
    """All that a process needs to hold windows of a corpus against TensorFlow.

    Attributes:
        source: what `Source.find` takes.
        candidate: the folder.
        surfaces: ways of loading it.
        device: where they compute.
        tolerances: what passes.
        languages: only these; all where there are none.
    """

    source: Mapping[str, Any]
    candidate: Path
    surfaces: Sequence[str]
    device: str
    tolerances: Tolerances
    languages: Collection[str]

    def load(self) -> Worker:
        """Return both frameworks, loaded (Hub2HFError: one cannot be)."""
        return Holder(self)


class Holder(Worker):
    """Holds windows; both frameworks are loaded once.

    Raises:
        Hub2HFError: one cannot be.
    """

    def __init__(self, job: Holding) -> None:
        self.job = job
        candidate = Candidate(job.candidate, job.surfaces, job.device)
        self.verification = Verification(candidate, job.tolerances)
        self.graph = reference(Source.find(**job.source).read_for(candidate.made_from, candidate.text_rules))

    def run(self, chunks: Sequence[Chunk]) -> Iterator[Done]:
        """Hold windows, and yield what came of each: a `Held`, or None where it has no sentence."""
        for chunk, made in self.job.taken(chunks, lambda texts: ()):
            if isinstance(made, str):
                yield chunk, made, None
                continue
            only = self.job.languages
            given = self.job.files[chunk.file]
            sentences = [one for one in sentences_of(made.window, given) if not only or one.language in only]
            draw = chunk.number == 0  # whatever else this process has seen
            yield chunk, "", self.verification.hold(self.graph.record(sentences), draw=draw) if sentences else None


def hold(
    corpus: Corpus,
    source: Source,
    candidate: Candidate,
    tolerances: Tolerances,
    engine: Run,
    *,
    here: bool,
    languages: Collection[str] = (),
    surfaces: Sequence[str] = (),
    device: str = CPU,
    progress: Progress,
) -> Report:
    """Hold a folder against TensorFlow on a corpus.

    Args:
        corpus: the corpus.
        source: what TensorFlow runs.
        candidate: the folder.
        tolerances: what passes.
        engine: does the windows; see `run_on`.
        here: whether it does so in this process, which then sees first that the sentences prove something.
        languages: only these; all where there are none.
        surfaces, device: that `candidate` was made with.
        progress: called with (rows done, rows in all).

    Returns:
        The report; files that could not be read are named in it, and the others are compared.

    Raises:
        Hub2HFError: the question cannot be answered.
    """
    start = time.monotonic()
    if here:
        count_sentences(languages, corpus.readable({}))
        require_tensorflow()
    windows, unreadable = Windows.found(corpus.place, corpus.text, CHUNK)
    source = source.read_for(candidate.made_from, candidate.text_rules)
    original = source.original
    named = {
        "name": original.folder.resolve(),
        "preprocessor": original.folders[1].resolve() if len(original.folders) > 1 else None,
        "vocab": original.vocabulary.resolve() if original.vocabulary is not None else None,
        "text_rules": original.text_rules,
        "output": source.output,
    }
    given = (windows.text, windows.window, windows.files, windows.scans, windows.schema)
    job = Holding(*given, named, candidate.folder.resolve(), surfaces, device, tolerances, frozenset(languages))
    verification, done = Verification(candidate, tolerances), 0
    for chunk, why, held in _in_order(engine(job, windows.all_chunks), windows.all_chunks):
        if why:
            unreadable[windows.files[chunk.file].path] = why
        elif held is not None:
            verification.merge(held)
        done += windows.rows(chunk)
        progress(done, windows.all_rows)
    witness = Witness((), source.model, source.blueprint)
    report = verification.report(witness, named=source.name, seconds=time.monotonic() - start)
    if not report.unanswered:
        check_languages(languages, [Sentence(name, "") for name in verification.total.compared.languages])
    return replace(report, unreadable=unreadable)


def _in_order(made: Iterator[Done], chunks: Sequence[Chunk]) -> Iterator[Done]:
    """Yield what is made in the order of the windows; what comes too early waits."""
    early: dict[Chunk, Done] = {}
    coming = iter(made)
    for chunk in chunks:
        while chunk not in early:
            one = next(coming)
            early[one[0]] = one
        yield early.pop(chunk)
