"""The verb `record`: what TensorFlow makes of sentences, for machines without it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from hub2hf.errors import SourceError
from hub2hf.names import check_flags, check_paths, listed

if TYPE_CHECKING:
    from hub2hf.notices import Progress
    from hub2hf.opened import Source


def record(
    source: str | Path | Source,
    file: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    text_rules: str = "",
    output: str = "",
    languages: Collection[str] = (),
    sentences: str | Path | None = None,
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> int:
    """Record what TensorFlow makes of the sentences, for `verify` on machines without TensorFlow.

    Args:
        source: as for `inspect`.
        file: the recording to write, a safetensors file.
        preprocessor, vocab, text_rules, output: as for `inspect`.
        languages: only these, listed or with commas; all 109 and the traps by default.
        sentences: a file of your own, one sentence a line, as `sentence` or `language<TAB>sentence`.
        force: replace `file`, if it is a recording.
        progress: called with (sentences recorded so far, sentences in all or None).

    Returns:
        How many sentences were recorded.

    Raises:
        Hub2HFError: TensorFlow is not installed, the source is not understood, or `file` is there, or cannot be written.
    """
    from hub2hf.equivalence import reference
    from hub2hf.equivalence.recording import check_writable, join
    from hub2hf.equivalence.sentences import chosen_sentences, chunked, count_sentences
    from hub2hf.opened import Source

    check_paths(file=file)
    check_flags(force=force)
    check_writable(Path(file), force=force)
    languages = listed(languages)
    parts = []
    total, done = count_sentences(languages, sentences), 0
    with reference(
        Source.of(source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output)
    ) as graph:
        for chunk in chunked(chosen_sentences(languages, sentences)):
            parts.append(graph.record(chunk))
            done += len(chunk)
            progress(done, total)
    if not parts:
        raise SourceError("There are no sentences to record.", "Check the languages and the file of sentences.")
    whole = join(parts)
    whole.save(Path(file))
    return len(whole.sentences)
