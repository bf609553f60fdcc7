"""`hub2hf record`: what TensorFlow gives, once."""

from __future__ import annotations

from pathlib import Path

import hub2hf as verbs
from hub2hf.bars import counter
from hub2hf.commands import options


def run(
    source: options.Source,
    file: Path,
    preprocessor: options.Preprocessor = None,
    vocab: options.Vocab = None,
    output: options.Output = "",
    languages: options.Languages = "",
    sentences: options.Sentences = None,
) -> None:
    """Record ids, stages and embeddings from TensorFlow once, for `verify --golden` without TensorFlow."""
    found = options.find(source, preprocessor, vocab, output)
    with counter("recorded") as report:
        count = verbs.record(found, file, languages=options.split(languages), sentences=sentences, progress=report)
    print(f"{file}: {count} sentences of {source} recorded")
