"""The verb `convert`: a source becomes a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.names import check_flags, check_paths

if TYPE_CHECKING:
    from hub2hf.blueprint.blueprint import Blueprint
    from hub2hf.notices import Progress
    from hub2hf.opened import Source


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


def convert(
    source: str | Path | Source,
    out: str | Path,
    *,
    model: str | Path | None = None,
    preprocessor: str | Path | None = None,
    vocab: str | Path | None = None,
    text_rules: str = "",
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
        preprocessor, vocab, text_rules, output, thorough: as for `inspect`.
        force: replace `out` if it holds nothing but what hub2hf wrote and nobody changed.
        onnx: write `onnx/model.onnx` too, as `export` does.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        Hub2HFError: the source is missing, damaged or not understood, or `out` cannot be written. Then `out` is as it was.
    """
    from hub2hf.folder.staging import check_free
    from hub2hf.known_models import find_model
    from hub2hf.opened import Source
    from hub2hf.threads import worker

    check_paths(out=out)
    check_flags(thorough=thorough, force=force, onnx=onnx)
    target = Path(out)
    named = find_model(model) if model is not None else None
    found = Source.of(
        source, preprocessor=preprocessor, vocab=vocab, text_rules=text_rules, output=output, thorough=thorough
    )
    for folder in found.original.folders:
        check_free(target, force, folder)
    if force:
        from hub2hf.folder.about import check_unedited

        check_unedited(target)
    also = []
    with worker() as beside, found.original.hashed_beside(beside):
        found.whole()
        from hub2hf.folder.write import write_folder

        if onnx:
            from hub2hf.onnx.export import write_onnx

            also.append(write_onnx)
        manifest = write_folder(found, target, beside, named=named, force=force, also=also, progress=progress)
    return Conversion(target, found.blueprint, manifest)
