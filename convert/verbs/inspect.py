"""The verb `inspect`: what a source is, what of it is not understood, and its graph alone, to attach to an issue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.names import check_flags, check_paths

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.blueprint.refused.diagnosis import Diagnosis
    from hub2hf.errors import Hub2HFError
    from hub2hf.opened import Source


def inspect(
    source: str | Path | Source,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    text_rules: str = "",
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
        text_rules: what makes ids of text, for a source that takes ids and has no preprocessor: `tftext`, by default, or
            `fulltokenizer`, BERT's, which pages of tfhub.dev name.
        output: the output that is the embedding, as NAME or SIGNATURE:NAME, where several could be; without, it is the one
            that the conventions of TensorFlow Hub name.
        thorough: hold the text side against a hundred times as many generated words and texts.

    Returns:
        The blueprint, each value with its evidence.

    Raises:
        Hub2HFError: the source is missing, damaged, or holds something that is not understood.
    """
    from hub2hf.folder.tokenizer_proof import prove_tokenizer
    from hub2hf.opened import Source

    found = Source.of(
        source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output, thorough=thorough
    )
    prove_tokenizer(found.blueprint)
    return found.blueprint


def diagnose(
    error: Hub2HFError,
    source: str | Path | Source,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    text_rules: str = "",
    output: str = "",
) -> Diagnosis:
    """Return all that can be read of a source that is refused, and everything of it that is not understood.

    Args:
        error: with which `inspect` refused it.
        source, preprocessor, vocab, text_rules, output: as for `inspect`.

    Raises:
        SourceError: there is no such source, or it cannot be fetched.
    """
    from hub2hf.blueprint.refused.diagnosis import diagnose as ask
    from hub2hf.opened import Source

    found = Source.of(source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output)
    return ask(error, found.original, found.output)


def graph_only(
    source: str | Path | Source,
    file: str | Path,
    *,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Write the graph of a SavedModel without its weights and its vocabulary into one file, to attach to an issue.

    `inspect` reads such a file as it reads a SavedModel. The same source gives the same bytes.

    Args:
        source, preprocessor, vocab: as for `inspect`.
        file: the zip to write.
        force: replace `file`, if it is such a zip.

    Returns:
        What is in the file and what was left out, as JSON data.

    Raises:
        Hub2HFError: the source is missing or damaged, or `file` is there, or cannot be written.
    """
    from hub2hf.folder.files import check_own, write_whole
    from hub2hf.opened import Source
    from hub2hf.savedmodel.graph_only import is_zipped
    from hub2hf.savedmodel.stripped import stripped

    check_paths(file=file)
    check_flags(force=force)
    check_own(Path(file), is_zipped, force=force)
    found = stripped(Source.of(source, preprocessor=preprocessor, vocab=vocab).whole().original)
    data = found.zipped()
    write_whole(Path(file), data, "Name another file, in a folder that is there.")
    return {"file": str(file), "bytes": len(data), "holds": sorted(found.files), **found.about}


def facts(blueprint: Blueprint) -> dict[str, Any]:
    """Return a blueprint as plain JSON data: signature, text, vocabulary, encoder, mapping, unused."""
    from hub2hf.folder.write import as_json, blueprint_facts

    return dict(as_json(blueprint_facts(blueprint)))
