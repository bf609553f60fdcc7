"""Write `onnx/model.onnx` from the files of a folder, and add it to a folder that stands."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from hub2hf.architectures import ARCHITECTURES
from hub2hf.architectures.head import written_head
from hub2hf.errors import ExportError
from hub2hf.folder.about import changeable, read_proof, write_about
from hub2hf.folder.files import hash_file, write_pieces
from hub2hf.folder.manifest import UNREADABLE, Manifest, check_unchanged, unreadable
from hub2hf.folder.staging import alone, half_added
from hub2hf.folder.weights import WEIGHTS
from hub2hf.onnx.graph import NOTHING, OnnxGraph
from hub2hf.onnx.layers import add_head
from hub2hf.onnx.mobilebert import mobilebert
from hub2hf.onnx.model import MAX_BYTES, Model, value_info
from hub2hf.onnx.post_norm import post_norm
from hub2hf.onnx.precision import EXACT, Precision
from hub2hf.onnx.t5 import t5
from hub2hf.onnx.weights import WeightFile
from hub2hf.surfaces.onnxruntime import EMBEDDING, FOLDER
from hub2hf.threads import worker

# By the dtype that matrices are kept in. sentence-transformers, optimum and text-embeddings-inference take model.onnx, and
# Transformers.js the other where it is asked for dtype "fp16": what is less exact is never loaded unasked.
FILES: Final[Mapping[str, str]] = MappingProxyType({"float32": "model.onnx", "float16": "model_fp16.onnx"})
DATA: Final = "_data"  # at the end of the name of a file of weights, as Transformers.js and optimum have it

INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")  # in this order, as far as a model takes them
HIDDEN = "last_hidden_state"

# What makes the graph of an encoder, by `model_type` of config.json.
ENCODERS: Final[Mapping[str, Callable[[OnnxGraph, Mapping[str, Any]], None]]] = MappingProxyType(
    {**dict.fromkeys(("bert", "albert", "electra", "distilbert"), post_norm), "mobilebert": mobilebert, "t5": t5}
)


def write_onnx(
    folder: Path,
    precision: Precision = EXACT,
    *,
    name: str = "",
    limit: int = MAX_BYTES,
    check: Callable[[], None] = lambda: None,
    reaches: Mapping[str, np.ndarray] = NOTHING,
    probe: bool = False,
) -> dict[str, dict[str, Any]]:
    """Write a model with the outputs `sentence_embedding` and `last_hidden_state` into `onnx/` of a folder.

    Args:
        folder: has `config.json` and `model.safetensors`.
        precision: how numbers are kept.
        name: what the file is called; by default as `FILES` has it.
        limit: the most bytes of the model file; of a larger one the weights are a file of their own.
        check: called when all is written, before anything takes its place.
        reaches: what `reach.reaches` measured, by which int8 products are evened out.
        probe: whether the model has what that measures as further outputs.

    Returns:
        Name → size and SHA-256 of the files written.

    Raises:
        ExportError: there is no writer for this kind of model, or a file cannot be read or written.
    """
    name = name or FILES[precision.dtype]
    model, path = _model(folder, precision, name, limit, reaches, probe), folder / FOLDER / name
    parts = {path.with_name(f"{path.name}{DATA}"): model.data_pieces()} if model.has_data_file else {}
    parts[path] = model.model_pieces()  # last: it names the other
    try:
        path.parent.mkdir(exist_ok=True)
        new = {FOLDER + place.name: _written(_beside(place), pieces) for place, pieces in parts.items()}
        check()
        for place in parts:
            _beside(place).replace(place)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}.",
            "Check the folder, its permissions and the space on its disk.",
        ) from error
    finally:
        for place in parts:
            with contextlib.suppress(OSError):
                _beside(place).unlink(missing_ok=True)
    return new


def add_onnx(folder: Path, dtype: str = "float32", *, limit: int = MAX_BYTES) -> Path:
    """Add an ONNX file to a folder that `convert` made, and return its path.

    A run that is killed leaves the folder as it was, or one that the same call completes: each file takes its place whole,
    and the manifest, which lists them, comes last.

    Args:
        folder, limit: as for `write_onnx`.
        dtype: in which matrices are kept, of `FILES`; all is computed in float32.

    Raises:
        ExportError: hub2hf did not make the folder, it is not as its manifest says, its card was edited by hand, it is a
            cached copy, another process is adding to it, or as for `write_onnx`.
    """
    if dtype not in FILES:
        raise ExportError(f"An ONNX file cannot be written as '{dtype}'.", f"Choose from: {', '.join(FILES)}.")
    manifest = changeable(folder)
    proof = read_proof(folder, manifest)
    own = {f"{FOLDER}{FILES[dtype]}{end}" for end in ("", DATA)}
    kept = {name: entry for name, entry in manifest.files.items() if name not in own}
    _check_own(folder, manifest, own)
    # Hashing the folder takes as long as writing: it goes on beside it, and has its say before anything takes its place.
    with alone(folder), worker() as pool:
        unchanged = pool.submit(check_unchanged, folder, manifest, own)
        new = write_onnx(folder, Precision(dtype), limit=limit, check=unchanged.result)
        for name in own - new.keys():
            (folder / name).unlink(missing_ok=True)
        write_about(folder, replace(manifest, files=dict(sorted((kept | new).items()))), proof)
    return folder / FOLDER / FILES[dtype]


def _check_own(folder: Path, manifest: Manifest, names: Collection[str]) -> None:
    """See that what is to be written takes the place of nothing but what hub2hf wrote there.

    Raises:
        ExportError: names a file that it did not write, or that was changed since.
    """
    for name in sorted(names):
        path = folder / name
        if not os.path.lexists(path) or half_added(folder, name):
            continue
        if path.is_symlink() or not path.is_file() or hash_file(path) != manifest.files.get(name):
            raise ExportError(
                f"{path} is not what hub2hf wrote there. Nothing was touched.", "Move it elsewhere and run this again."
            )


def _model(
    folder: Path, precision: Precision, name: str, limit: int, reaches: Mapping[str, np.ndarray], probe: bool
) -> Model:
    config = _config(folder)
    kind = str(config.get("model_type"))
    if kind not in ENCODERS:
        raise ExportError(
            f"A model of the kind '{kind}' cannot be written as ONNX.",
            f"These can: {', '.join(ENCODERS)}. Please report it.",
        )
    known = ARCHITECTURES[kind]
    graph = OnnxGraph(WeightFile(folder / WEIGHTS), precision, known.key, known.word_table, reaches)
    try:
        config = known.named_as_ours(config)
        ENCODERS[kind](graph, config)
        hidden = int(config["hidden_size"])
        size = add_head(graph, written_head(config), HIDDEN, EMBEDDING) or hidden
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(
            f"{folder / 'config.json'} lacks something: {error!r}.", "Convert the model again."
        ) from error
    inputs = [value_info(name, "int64", ["batch", "length"]) for name in INPUTS if name in known.inputs]
    outputs = [
        value_info(EMBEDDING, "float32", ["batch", size]),
        value_info(HIDDEN, "float32", ["batch", "length", hidden]),
    ]
    if probe:
        outputs += [value_info(reach, "float32", [3, channels]) for reach, channels in graph.reaches()]
    return Model(graph, inputs, outputs, f"{name}{DATA}", limit)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def _beside(path: Path) -> Path:
    """Return where a file is written before it takes its place: one name for all runs, which follow one another."""
    return path.with_name(f".{path.name}.0")


def _written(path: Path, pieces: Iterator[bytes | memoryview]) -> dict[str, Any]:
    """Write a file over what a killed run left; return its size and SHA-256."""
    path.unlink(missing_ok=True)
    return write_pieces(path, pieces)
