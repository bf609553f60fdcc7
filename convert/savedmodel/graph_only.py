"""A SavedModel without its weights and its vocabulary, to be read wherever a SavedModel is, and what such a one lacks.

The folder (a zip of it travels) has `saved_model.pb` without large constants, the index of the checkpoint as it is, the few
bytes of the checkpoint that say what the model is (its object graph, its flags) in `variables/kept.json`, its assets as
text files with as many lines, all empty but those that the graph itself names, and `graph-only.json`, which says so.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from hub2hf.errors import CheckpointError, SourceError
from hub2hf.limits import MAX_INDEX_BYTES
from hub2hf.savedmodel.entries import BundleEntry, Span
from hub2hf.savedmodel.files import is_file
from hub2hf.savedmodel.shards import Shards

FILE: Final = "graph-only.json"
KEPT: Final = "variables/kept.json"
FORMAT: Final = "hub2hf graph only 1"
NEXT: Final = "Give the SavedModel that it was made from."
_AGAIN: Final = "Make it again: hub2hf inspect SOURCE --graph-only FILE"


def is_zipped(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a graph-only file."""
    return head.startswith(b"PK\x03\x04") and FILE.encode() in head


@dataclass(frozen=True)
class GraphOnly:
    """What an unpacked graph-only file says of itself.

    Attributes:
        variables: how many variables there are, all without their values.
        nbytes: the bytes of these.
        assets: name of each asset → its bytes, its lines, and the lines that were kept.
        constants: the constants that were taken out: node, function, attribute, dtype and shape of each.
    """

    variables: int
    nbytes: int
    assets: Mapping[str, Mapping[str, Any]]
    constants: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, folder: Path) -> GraphOnly | None:
        """Return what the folder of a graph-only file says; None for every other folder.

        Raises:
            SourceError: it is damaged.
        """
        path = folder / FILE
        if not is_file(path):
            return None
        content = _read_json(path)
        try:
            if content["format"] != FORMAT:
                raise SourceError(
                    f"{path} is of another form than '{FORMAT}'.", "Use the hub2hf that it was made with."
                )
            assets = {str(name): {**about} for name, about in content["assets"].items()}
            constants = tuple({**item} for item in content["constants"])
            return cls(int(content["variables"]), int(content["nbytes"]), assets, constants)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SourceError(f"{path} is damaged: {error!r}.", _AGAIN) from None

    def absent(self) -> list[str]:
        """Return what is not there, a line each."""
        return left_out(vars(self))


class KeptBytes(Shards):
    """In place of the data files: the few bytes that a graph-only file keeps of them.

    Args:
        folder: that of the graph-only file.
        count: how many data files there were.

    Raises:
        SourceError: the file of what is kept is damaged.
    """

    def __init__(self, folder: Path, count: int) -> None:
        super().__init__(folder / "variables/variables", count)
        content = _read_json(folder / KEPT)
        try:
            self._kept = {str(key): base64.b64decode(text, validate=True) for key, text in content.items()}
        except (binascii.Error, TypeError, ValueError, AttributeError) as error:
            raise SourceError(f"{folder / KEPT} is damaged: {error}.", _AGAIN) from None

    def check_sizes(self, entries: list[BundleEntry]) -> None:
        """There are no files whose sizes could be checked."""

    def _open(self, key: str, piece: Span) -> BinaryIO:
        if key not in self._kept:
            raise CheckpointError(f"A graph-only file has no values, such as those of variable {key}.", NEXT)
        return io.BytesIO(self._kept[key])


def left_out(about: Mapping[str, Any]) -> list[str]:
    """Return what a graph-only file lacks, a line each, from what it says of itself; see the attributes of `GraphOnly`."""
    lines = (
        [f"the values of {about['variables']:,} variables ({about['nbytes']:,} bytes)"] if about["variables"] else []
    )
    for name, asset in sorted(about["assets"].items()):
        kept = ", ".join(map(str, asset.get("kept", []))) or "none"
        lines.append(f"asset {name}: {asset.get('lines')} lines of {asset.get('bytes')} bytes; kept: {kept}")
    for item in about["constants"]:
        where = " in function ".join(filter(None, (str(item.get("node")), str(item.get("function") or ""))))
        lines.append(f"{item.get('attribute')} of node {where}: {item.get('dtype')} {item.get('shape')}")
    return [line if line.isprintable() else repr(line) for line in lines]


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_INDEX_BYTES:
            raise SourceError(f"{path} has {path.stat().st_size} bytes, too many.", _AGAIN)
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read: {str(error)[:200]}.", _AGAIN) from None
