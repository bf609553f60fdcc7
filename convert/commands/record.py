"""`hub2hf record`: what TensorFlow gives, once."""

from __future__ import annotations

from pathlib import Path

import click

import hub2hf as verbs
from hub2hf.commands import options
from hub2hf.commands.bars import progress_bar
from hub2hf.names import listed
from hub2hf.proof.text import count


@options.verb()
@options.source
@click.argument("file", type=options.PATH, metavar="FILE", help="The recording to write, a safetensors file.")
@options.preprocessor
@options.vocab
@options.text_rules
@options.output
@options.languages
@options.sentences
@options.option("--force", is_flag=True, help="Replace FILE, if it is a recording.")
@options.quiet
@options.as_json
def run(
    source: str,
    file: Path,
    preprocessor: str | None,
    vocab: Path | None,
    text_rules: str,
    output: str,
    languages: str,
    sentences: Path | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Record what TensorFlow computes, once, so that `verify --golden` needs no TensorFlow."""
    from hub2hf.equivalence import require_tensorflow
    from hub2hf.equivalence.sentences import count_sentences

    names = listed(languages)
    count_sentences(names, sentences)
    require_tensorflow()
    found = options.find(source, preprocessor, vocab, output, text_rules=text_rules, quiet=quiet)
    with progress_bar("recorded", "sentences", quiet=quiet) as report:
        recorded = verbs.record(found, file, languages=names, sentences=sentences, force=force, progress=report)
    options.answer(
        as_json,
        quiet,
        content=lambda: {"source": source, "recording": str(file), "sentences": recorded},
        line=str(file),
        people=lambda: print(f"{file}: {count(recorded, 'sentence')} of {source} recorded"),
    )
