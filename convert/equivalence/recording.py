"""What TensorFlow makes of some sentences: ids, embedding, and the first token at every stage between.

A recording lives as one safetensors file: `ids` int32 [pieces of all sentences], `lengths` int32 [sentences], `embedding`
and one tensor a stage, float32 [sentences, hidden]; its metadata holds the sentences and where all this came from as JSON,
under one key, because safetensors writes several in any order.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hub2hf.architectures.head import EMBEDDING
from hub2hf.equivalence.sentences import Sentence
from hub2hf.errors import ExportError, SourceError
from hub2hf.folder.files import check_own, write_whole

FORMAT = "hub2hf recording 1"
METADATA = "recording"
OTHER_FILE = "Name another file for the recording, in a folder that is there."


@dataclass(frozen=True)
class Recording:
    """What TensorFlow made of some sentences.

    Attributes:
        tensorflow: its version.
        fingerprint: of the SavedModel, as in `hub2hf.json`.
        max_length: ids that the graph packs a sentence into.
        sentences: language and text of each.
        ids: the ids of each, without padding.
        stages: name of a stage → its first token, float32 [sentences, hidden], in the order of the computation; the last is
            "embedding", the output of the graph.
        ids_from: what made the ids, where TensorFlow did not.
    """

    tensorflow: str
    fingerprint: str
    max_length: int
    sentences: list[Sentence]
    ids: list[list[int]]
    stages: Mapping[str, np.ndarray]
    ids_from: str = ""

    @property
    def embeddings(self) -> np.ndarray:
        """The output of the graph, float32 [sentences, hidden]."""
        return self.stages[EMBEDDING]

    def part(self, at: Sequence[int]) -> Recording:
        """Return the sentences number `at`, in that order."""
        return replace(
            self,
            sentences=[self.sentences[i] for i in at],
            ids=[self.ids[i] for i in at],
            stages={name: value[np.asarray(at, int)] for name, value in self.stages.items()},
        )

    def chunks(self, size: int) -> Iterator[Recording]:
        """Yield it in parts of at most `size` sentences."""
        count = len(self.sentences)
        for start in range(0, count, size):
            yield self.part(range(start, min(start + size, count)))

    def save(self, path: Path) -> None:
        """Write it, whole or not at all; the same recording gives the same bytes.

        Raises:
            ExportError: it cannot be written.
        """
        from safetensors.numpy import save

        arrays = {
            "ids": np.asarray([i for row in self.ids for i in row], np.int32),
            "lengths": np.asarray([len(row) for row in self.ids], np.int32),
            **{f"stage.{name}": np.ascontiguousarray(value) for name, value in self.stages.items()},
        }
        about = {
            "format": FORMAT,
            "tensorflow": self.tensorflow,
            "fingerprint": self.fingerprint,
            "max_length": self.max_length,
            "stages": list(self.stages),
            "sentences": self.sentences,
            "sha256": _digest(arrays),
            **({"ids_from": self.ids_from} if self.ids_from else {}),
        }
        write_whole(path, save(arrays, {METADATA: json.dumps(about, ensure_ascii=False)}), OTHER_FILE)

    @classmethod
    def load(cls, path: Path) -> Recording:
        """Read what `save` wrote.

        Raises:
            SourceError: it is not there, is no recording, or is damaged.
        """
        from safetensors import SafetensorError, safe_open

        made = "Name a file that hub2hf record wrote."
        try:
            path.open("rb").close()  # safetensors does not say why it cannot
        except OSError as error:
            why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
            raise SourceError(f"{path} {why}.", made) from error
        try:
            with safe_open(path, "np") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            about = json.loads(metadata.get(METADATA, "{}"))
            if about.get("format") != FORMAT:
                raise SourceError(f"{path} is not a recording of hub2hf.", "Make one: hub2hf record SOURCE FILE")
            if about["sha256"] != _digest(arrays):
                raise SourceError(f"{path} is damaged: its numbers are not those recorded.", "Record it again.")
            ends = np.cumsum(arrays["lengths"])
            return cls(
                about["tensorflow"],
                about["fingerprint"],
                about["max_length"],
                [Sentence(*pair) for pair in about["sentences"]],
                [row.tolist() for row in np.split(arrays["ids"], ends[:-1])] if len(ends) else [],
                {name: arrays[f"stage.{name}"] for name in about["stages"]},
                about.get("ids_from", ""),
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{path} is not a recording, or is damaged.", made) from error


def check_writable(path: Path, *, force: bool) -> None:
    """See that a recording can be written to `path`, before the minutes that making it takes.

    Raises:
        ExportError: `path` is a folder, or its folder is not there or cannot be written to; or a file is there, and it is no
            recording, or `force` does not say that it may go.
    """
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ExportError(f"{path} cannot be written: it is a folder, or its folder cannot be written to.", OTHER_FILE)
    check_own(path, lambda head: FORMAT.encode() in head, force=force)


def join(parts: Sequence[Recording]) -> Recording:
    """Return recordings of one model as one."""
    return replace(
        parts[0],
        sentences=[sentence for part in parts for sentence in part.sentences],
        ids=[row for part in parts for row in part.ids],
        stages={name: np.concatenate([part.stages[name] for part in parts]) for name in parts[0].stages},
    )


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
