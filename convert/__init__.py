"""hub2hf: a text encoder published as a TensorFlow SavedModel becomes an exact Hugging Face folder.

Example:
    >>> import convert
    >>> convert.inspect("lealla-mini").encoder.layers.value
    3
    >>> convert.convert("lealla-mini", "out").out
    PosixPath('out')
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.blueprint import Blueprint, read_blueprint
from convert.errors import Hub2HFError
from convert.export import as_json, blueprint_facts, check_free, fingerprint, prove_tokenizer, write_folder
from convert.savedmodel import SavedModel
from convert.sources import resolve

__all__ = ["Blueprint", "Conversion", "Hub2HFError", "convert", "facts", "inspect"]


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


def inspect(source: str | Path) -> Blueprint:
    """Read what a SavedModel is and what it will become; nothing is written.

    Args:
        source: a SavedModel folder, or the name of the embedded model, `lealla-mini`.

    Returns:
        The blueprint, each value with its evidence.

    Raises:
        Hub2HFError: the source is missing, damaged, or holds something that is not understood.
    """
    blueprint = read_blueprint(SavedModel.open(resolve(source)))
    prove_tokenizer(blueprint)
    return blueprint


def convert(
    source: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Conversion:
    """Turn a SavedModel into a Hugging Face folder, without TensorFlow or PyTorch.

    Args:
        source: a SavedModel folder, or the name of the embedded model, `lealla-mini`.
        out: the folder to make; it must not exist or be empty.
        force: replace `out` if it is there.
        progress: called with (bytes of weights written so far, bytes in all).

    Raises:
        Hub2HFError: the source is missing, damaged or not understood, or `out` cannot be written. Then `out` is as it was.
    """
    folder, target = resolve(source), Path(out)
    check_free(target, force, folder)
    model = SavedModel.open(folder)
    # Hashing the source takes as long as all the reading: it goes on beside it.
    with ThreadPoolExecutor(max_workers=1) as pool:
        source_hash = pool.submit(fingerprint, model)
        blueprint = read_blueprint(model)
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
