"""The weights, written while what they are is still being proved.

Reading and proving a graph takes a processor as long as writing the weights takes another. What the names of the variables
say, and how the graph ends, tell what the file will most likely be; it is written so, and taken only where the blueprint,
once it is proved, comes to the very same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from hub2hf.architectures import NOTICE, architecture_of
from hub2hf.architectures.encoder import EncoderBlueprint
from hub2hf.blueprint.encoder.side import EncoderSide
from hub2hf.folder.weights import weights_bytes, write_safetensors
from hub2hf.notices import Progress
from hub2hf.savedmodel.model import SavedModel
from hub2hf.savedmodel.values import Values
from hub2hf.state_dict import Mapped


@dataclass(frozen=True)
class _Content:
    """What makes the bytes of the file: the tensors in order, and the keys without numbers after them."""

    mapped: tuple[Mapped, ...]
    notices: tuple[str, ...]

    @classmethod
    def of(cls, mapped: Sequence[Mapped], own_class: bool) -> _Content:
        return cls(tuple(replace(item, named=True) for item in mapped), (NOTICE,) if own_class else ())


class WeightsAhead:
    """Writes the file of the weights of a model, beside all else as soon as that is possible.

    Leaving its block stops what is still being written.

    Args:
        model: the SavedModel.
        path: the file to create.
        beside: what runs it meanwhile.
        progress: called with (bytes of tensors written so far, bytes in all).
    """

    def __init__(self, model: SavedModel, path: Path, beside: Executor, progress: Progress) -> None:
        self._model, self._path, self._beside, self._progress = model, path, beside, progress
        self._stopping, self._awaited = threading.Event(), threading.Event()
        self._begun: tuple[_Content, Future[str]] | None = None

    def __enter__(self) -> WeightsAhead:
        """Nothing is written yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Stop."""
        self._stop()

    def begin(self, side: EncoderSide) -> None:
        """Begin to write what an encoder will most likely be, where its names tell."""
        mapped = side.likely()
        if mapped:
            values = Values(self._model.checkpoint, {})
            content = _Content.of(mapped, own_class=side.graph.nodes[side.output.node].op != "Tanh")
            self._begun = content, self._beside.submit(self._write, values, content)

    def finish(self, encoder: EncoderBlueprint) -> str:
        """Return the SHA-256 of the file, in hexadecimal, which holds the weights of `encoder`.

        Raises:
            CheckpointError, MappingError: see `write_safetensors`.
        """
        content = _Content.of(encoder.mapped, architecture_of(encoder).needs_model_class(encoder))
        self._awaited.set()
        if self._begun is not None and self._begun[0] == content:
            return self._begun[1].result()
        self._stop()
        self._path.unlink(missing_ok=True)
        self._stopping.clear()
        return self._write(encoder.values(self._model), content)

    def _stop(self) -> None:
        self._stopping.set()
        if self._begun is not None and not self._begun[1].cancel():
            self._begun[1].exception()  # waits

    def _write(self, values: Values, content: _Content) -> str:
        done, total = 0, weights_bytes(values, content.mapped)

        def report(count: int) -> None:
            nonlocal done
            done += count
            if self._stopping.is_set():
                raise _StoppedError
            self._progress(done, total)

        def busy() -> bool:  # Python computes, until it has nothing left to do but wait for this
            return not self._awaited.is_set()

        return write_safetensors(self._path, values, content.mapped, report, content.notices, busy)


class _StoppedError(Exception):
    """What is being written is not wanted any more."""
