"""Make a graph-only file: a zip of what `graph_only` describes, with the same bytes for the same SavedModel."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.errors import Hub2HFError, SourceError
from hub2hf.limits import tick
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.assets import ASSETS_COLLECTION, ASSETS_FOLDER, check_vocabulary
from hub2hf.savedmodel.attributes import decode_tensor
from hub2hf.savedmodel.checkpoint import OBJECT_GRAPH_KEY, Checkpoint
from hub2hf.savedmodel.files import SAVED_MODEL_FILE
from hub2hf.savedmodel.graph_only import FILE, FORMAT, KEPT
from hub2hf.savedmodel.model import VARIABLES_PREFIX, SavedModel, read_meta_graph
from hub2hf.savedmodel.original import Original

# What a graph needs of its constants is short: sizes, axes, patterns, code points. Weights and vocabularies are not.
MAX_FLOATS: Final = 64
MAX_COMPARED: Final = 1 << 18  # elements that are looked at for how many are different
MAX_DISTINCT: Final = 16  # a mask is large and has few values; weights have as many as elements
MAX_INTEGERS: Final = 1 << 14
MAX_STRINGS: Final = 1_000
MAX_TEXT_BYTES: Final = 1 << 16
MAX_PIECE_BYTES: Final = 100
RESTORES: Final = frozenset({"RestoreV2", "Restore", "RestoreSlice", "SaveV2"})  # they name the variables
SPECIAL: Final = frozenset({b"[PAD]", b"[UNK]", b"[CLS]", b"[SEP]", b"[MASK]"})
CAPITALS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NEVER: Final = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can state


@dataclass
class Stripped:
    """The files of a graph-only file, by name, and what was left out of each model in it."""

    files: dict[str, bytes] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def zipped(self) -> bytes:
        """Return the zip."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(self.files):
                member = zipfile.ZipInfo(name, _NEVER)
                member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(member, self.files[name])
        return out.getvalue()


def stripped(original: Original) -> Stripped:
    """Return the files of a graph-only file of a SavedModel, and of what stands beside it.

    A preprocessor comes into the folder `preprocessor`, a vocabulary file that stands alone into `vocabulary`.

    Raises:
        CheckpointError, GraphError, SourceError, VocabularyError: something is damaged.
    """
    models, vocabulary = original.models, original.vocabulary
    protos = {place: read_meta_graph(model.folder) for place, model in models.items()}
    pieces = SPECIAL.union(*map(_pieces, protos.values()))
    found = Stripped()
    for place, proto in protos.items():
        _add(found, place, models[place], proto, pieces)
    if vocabulary is not None:
        found.files[f"vocabulary/{vocabulary.name}"], about = _blanked(vocabulary, pieces)
        found.about["vocabulary"] = {vocabulary.name: about}
    return found


def _add(found: Stripped, place: str, model: SavedModel, proto: Any, pieces: frozenset[bytes]) -> None:
    """Add the files of one SavedModel below `place`."""
    constants = list(_take_out(proto, pieces))
    about: dict[str, Any] = {"format": FORMAT, "tensorflow": model.tensorflow_version, "constants": constants}
    about |= {"variables": 0, "nbytes": 0, "shapes": {}, "assets": {}}
    if model.has_checkpoint:
        variables = model.checkpoint.variables
        about |= {
            "variables": len(variables),
            "nbytes": sum(variable.nbytes for variable in variables.values()),
            "shapes": {v.name: [str(v.dtype), list(v.shape)] for v in variables.values()},
        }
        found.files[f"{place}{VARIABLES_PREFIX}.index"] = _bytes(model.folder / f"{VARIABLES_PREFIX}.index")
        kept = {key: base64.b64encode(data).decode() for key, data in _kept_values(model.checkpoint)}
        found.files[f"{place}{KEPT}"] = _json(kept)
    for path in sorted(set(model.assets.values())):
        name = path.relative_to(model.folder / ASSETS_FOLDER).as_posix()
        found.files[f"{place}{ASSETS_FOLDER}/{name}"], about["assets"][name] = _blanked(path, pieces)
    whole = _wrapped(proto)
    found.files[f"{place}{SAVED_MODEL_FILE}"] = whole
    found.files[f"{place}{FILE}"] = _json(about)
    found.about[place.rstrip("/") or "model"] = about


def _wrapped(meta_graph: Any) -> bytes:
    """Return the SavedModel that holds the one MetaGraph, of nothing but what this package reads."""
    for name in [name for name in meta_graph.collection_def if name != ASSETS_COLLECTION]:
        del meta_graph.collection_def[name]
    whole = messages.new("SavedModel")
    whole.saved_model_schema_version = 1
    whole.meta_graphs.append(meta_graph)
    whole.DiscardUnknownFields()
    return bytes(whole.SerializeToString(deterministic=True))


def _kept_values(checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
    """Yield key and stored bytes of what says what the model is: its object graph and its flags."""
    for key in (OBJECT_GRAPH_KEY, *(v.key for v in checkpoint.variables.values() if v.dtype == bool and not v.shape)):
        data = checkpoint.stored(key)
        if data is not None:
            yield key, data


def _scopes(meta_graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and the nodes of each function; "" for the main graph."""
    yield "", meta_graph.graph_def.node
    for function in meta_graph.graph_def.library.function:
        yield str(function.signature.name), function.node_def


def _pieces(meta_graph: Any) -> frozenset[bytes]:
    """Return every short text in the graph: among them are the pieces that it looks up."""
    found: set[bytes] = set()
    for _, nodes in _scopes(meta_graph):
        for node in nodes:
            for attribute in node.attr.values():
                if len(attribute.s) <= MAX_PIECE_BYTES:
                    found.add(bytes(attribute.s))
                if len(attribute.tensor.string_val) <= MAX_STRINGS:
                    found.update(bytes(s) for s in attribute.tensor.string_val if len(s) <= MAX_PIECE_BYTES)
    return frozenset(found - {b""})


def _take_out(meta_graph: Any, pieces: frozenset[bytes]) -> Iterator[dict[str, Any]]:
    """Empty every large constant of the graph; yield what each was."""
    for function, nodes in _scopes(meta_graph):
        names = {ref.partition(":")[0] for node in nodes if node.op in RESTORES for ref in node.input}
        for node in nodes:
            for key in sorted(node.attr):
                value = node.attr[key]
                where = {"node": str(node.name), "function": function, "attribute": key}
                if len(value.s) > MAX_TEXT_BYTES:
                    yield {**where, "dtype": "text", "shape": [len(value.s)]}
                    value.s = b""
                elif value.WhichOneof("value") == "tensor" and node.name not in names:
                    told = _emptied(value.tensor, f"attribute {key} of node {node.name}", pieces)
                    if told is not None:
                        yield {**where, **told}


def _emptied(tensor: Any, where: str, pieces: frozenset[bytes]) -> dict[str, Any] | None:
    """Take the values out of a large tensor; return its dtype and shape, None where it stays as it is.

    Numbers become zeros; of strings those among `pieces` stay where they are.
    """
    if tensor.ByteSize() <= MAX_FLOATS:
        return None
    array = decode_tensor(tensor, where)
    if not is_large(array):
        return None
    told = {"dtype": "string" if array.dtype.hasobject else str(array.dtype), "shape": list(array.shape)}
    for name, _ in tensor.ListFields():
        if name.name not in ("dtype", "tensor_shape"):
            tensor.ClearField(name.name)
    if array.dtype.hasobject:
        tensor.string_val.extend(s if s in pieces else b"" for s in array.reshape(-1))
    return told


def is_large(array: np.ndarray[Any, np.dtype[Any]]) -> bool:
    """Tell whether a constant is taken out: it is long, and no mask or the like, which has few different values."""
    if array.dtype.hasobject:
        return array.size > MAX_STRINGS or sum(map(len, array.reshape(-1))) > MAX_TEXT_BYTES
    if array.dtype.kind in "iub":
        return array.size > MAX_INTEGERS and len(np.unique(array)) > MAX_DISTINCT
    tick("a constant")
    if array.size <= MAX_FLOATS or array.size > MAX_COMPARED:
        return array.size > MAX_COMPARED
    items = np.ascontiguousarray(array).view(np.uint8).reshape(array.size, -1)
    return len(np.unique(items, axis=0)) > MAX_DISTINCT


def _blanked(path: Path, pieces: frozenset[bytes]) -> tuple[bytes, dict[str, Any]]:
    """Return an asset with all its lines empty but `pieces` and the first with a capital letter, and what it was.

    What is no text file of lines becomes an empty file.
    """
    data = _bytes(path)
    about: dict[str, Any] = {"bytes": len(data), "lines": 0, "kept": []}
    try:
        check_vocabulary(path)
    except Hub2HFError:
        return b"", about
    lines = data.split(b"\n")
    cased = next((line for line in lines if CAPITALS & set(line) and not line.startswith(b"[")), None)
    kept = [line if line.rstrip(b"\r") in pieces or line == cased else b"" for line in lines]
    about["lines"] = len(lines) - (not lines[-1])
    about["kept"] = [line.decode(errors="replace").rstrip("\r") for line in kept if line]
    return b"\n".join(kept), about


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", "Check it, or download it again.") from None


def _json(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True).encode()
