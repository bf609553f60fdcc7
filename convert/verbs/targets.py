"""What a converted folder can be exported to, each a value: a new target is an entry of `TARGETS`, imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from hub2hf.errors import ExportError

FLOAT32, FLOAT16 = "float32", "float16"


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        summary: what comes of it, in a line.
        run: takes the folder, OUT or None, a dtype, and whether OUT is replaced; returns what it wrote.
        takes_out: whether it makes a folder of its own, OUT; otherwise it adds to the folder.
        dtypes: in which it can be had.
    """

    summary: str
    run: Callable[[Path, Path | None, str, bool], Path]
    takes_out: bool = False
    dtypes: tuple[str, ...] = (FLOAT32,)


def _onnx(folder: Path, out: Path | None, dtype: str, force: bool) -> Path:
    from hub2hf.onnx.export import add_onnx

    return add_onnx(folder, dtype)


def _web(folder: Path, out: Path | None, dtype: str, force: bool) -> Path:
    from hub2hf.web import export_web

    assert out is not None  # as `takes_out` says
    return export_web(folder, out, force=force)


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "onnx": Target(
            "adds onnx/model.onnx to FOLDER, for ONNX Runtime and libraries built on it",
            _onnx,
            dtypes=(FLOAT32, FLOAT16),
        ),
        "web": Target(
            "writes OUT, from a FOLDER that has this file, for Transformers.js, with a page to try it",
            _web,
            takes_out=True,
        ),
    }
)


def export_to(folder: Path, target: str, out: Path | None, dtype: str, force: bool) -> Path:
    """Export a folder, and return what was written.

    Args:
        folder: made by `convert`.
        target: of `TARGETS`.
        out: the folder to make, for a target that takes one.
        dtype: of the weights.
        force: replace `out` if it is there.

    Raises:
        ExportError: the target cannot be had that way, or as its `run` says.
    """
    if target not in TARGETS:
        raise ExportError(f"There is no target '{target}'.", f"Choose from: {', '.join(TARGETS)}.")
    wanted = TARGETS[target]
    if wanted.takes_out != (out is not None):
        raise ExportError(
            f"The target '{target}' {'makes' if wanted.takes_out else 'adds to FOLDER and makes'} "
            f"{'a' if wanted.takes_out else 'no'} folder of its own.",
            f"{'Name' if wanted.takes_out else 'Leave out'} OUT.",
        )
    if dtype not in wanted.dtypes:
        raise ExportError(
            f"The target '{target}' cannot be exported as '{dtype}'.", f"Choose from: {', '.join(wanted.dtypes)}."
        )
    return wanted.run(folder, out, dtype, force)
