"""A folder that embeds windows of texts: tokenised in one thread while the model runs in another."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from hub2hf.errors import SourceError, raised
from hub2hf.folder.files import files_in, hash_file
from hub2hf.folder.manifest import ABOUT, MANIFEST, check_for_python
from hub2hf.folder.weights import WEIGHTS
from hub2hf.onnx.mapped import mapped_session
from hub2hf.surfaces import CPU, SURFACES, chosen, on, reads
from hub2hf.surfaces.onnxruntime import Session
from hub2hf.surfaces.padded import padded

# Of a batch, padding counted: more makes it slower on a CPU, whose caches it no longer fits. A GPU has no such caches, and
# needs many rows at a time to be busy; how many is not measured.
TOKENS: Final = 1024
TOKENS_OF_A_GPU: Final = 16384
ENCODED: Final = 256  # texts that are tokenised at a time: what the tokenizer makes is far larger than the ids
SURFACE_OF: Final = {"onnx": "onnx-runtime", "torch": "sentence-transformers"}  # the exact ways of loading that embed
FLOAT32: Final = "float32"
PRECISIONS: Final = (FLOAT32, "float16", "bfloat16")


@dataclass(frozen=True)
class Means:
    """What a folder is run by.

    Attributes:
        runtime: onnx or torch.
        device: of PyTorch, as it names it: cpu, cuda, cuda:1, mps.
        precision: in which PyTorch computes, weights and all: float32; or float16 or bfloat16, which are not exact.
    """

    runtime: str
    device: str = CPU
    precision: str = FLOAT32


@dataclass(frozen=True)
class Batch:
    """Texts of like length, as the model takes them.

    Attributes:
        at: their places in the window.
        given: what the model is given.
    """

    at: list[int]
    given: Any


class Encoder(ABC):
    """A folder, loaded. `prepare` and `run` may be called in two threads at a time."""

    @abstractmethod
    def prepare(self, texts: Sequence[str]) -> list[Batch]:
        """Return `texts`, tokenised, in batches of like length."""

    def ids(self, rows: Sequence[Sequence[int] | np.ndarray]) -> list[Batch]:
        """Return texts that are given as ids, in batches of like length."""
        return [Batch(at, padded([rows[i] for i in at])) for at in batches([len(row) for row in rows])]

    @abstractmethod
    def run(self, given: Any) -> np.ndarray:
        """Return the embeddings of a batch as the graph gives them, float32 [texts, hidden]."""

    @cached_property
    def hidden(self) -> int:
        """How many numbers an embedding has."""
        return int(self.run(self.prepare(["a"])[0].given).shape[1])

    def embed(self, batches: Sequence[Batch]) -> np.ndarray:
        """Return the embeddings of what `prepare` made, float32 [texts, hidden], in the order of the texts."""
        out = np.zeros((sum(len(batch.at) for batch in batches), self.hidden), np.float32)
        for batch in batches:
            out[batch.at] = self.run(batch.given)
        return out


def batches(lengths: Sequence[int], tokens: int = TOKENS) -> list[list[int]]:
    """Return places in batches of like length, each of at most `tokens` with its padding, or of one text."""
    found: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if found and (len(found[-1]) + 1) * lengths[i] <= tokens:
            found[-1].append(i)
        else:
            found.append([i])
    return found


class OnnxEncoder(Encoder):
    """ONNX Runtime."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(folder, mapped_session)

    def prepare(self, texts: Sequence[str]) -> list[Batch]:
        """Return `texts`, tokenised, in batches of like length."""
        encode = self.session.tokenizer.encode_batch_fast
        parts = (list(texts[at : at + ENCODED]) for at in range(0, len(texts), ENCODED))
        # A number of Python's takes nine times the memory.
        return self.ids([np.array(encoding.ids, np.int32) for part in parts for encoding in encode(part)])

    def run(self, given: Any) -> np.ndarray:
        """Return the embeddings of a batch, float32 [texts, hidden]."""
        return self.session.run(given)


class TorchEncoder(Encoder):
    """sentence-transformers, on the processor or a GPU."""

    def __init__(self, folder: Path, means: Means) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        from hub2hf.surfaces.transformers import quiet

        quiet()
        model = SentenceTransformer(str(folder), device=means.device, local_files_only=True)
        self.model = model.to(getattr(torch, means.precision))
        self.tokens = TOKENS if self.model.device.type == CPU else TOKENS_OF_A_GPU
        self.tokenize = getattr(self.model, "preprocess", None) or self.model.tokenize  # the name before version 5.5

    def prepare(self, texts: Sequence[str]) -> list[Batch]:
        """Return `texts`, tokenised, in batches of like length."""
        # As long in pieces as in characters, roughly: each batch is padded to its longest by the library itself.
        lengths = [len(text) // 4 + 2 for text in texts]
        return [Batch(at, self.tokenize([texts[i] for i in at])) for at in batches(lengths, self.tokens)]

    def run(self, given: Any) -> np.ndarray:
        """Return the embeddings of a batch, float32 [texts, hidden]."""
        import torch

        pinned = self.model.device.type == "cuda"
        moved = {  # newer versions say, in words, of what kind the inputs are, too
            name: (value.pin_memory() if pinned else value).to(self.model.device, non_blocking=pinned)
            if isinstance(value, torch.Tensor)
            else value
            for name, value in given.items()
        }
        with torch.inference_mode():
            found = self.model(moved)["sentence_embedding"]
        return np.asarray(found.float().cpu().numpy())


def load(folder: Path, means: Means) -> Encoder:
    """Load a folder.

    Raises:
        SourceError: there is no such runtime, its libraries are not installed, or they cannot load the folder.
    """
    surface_of(folder, means.runtime).versions()
    try:
        return OnnxEncoder(folder) if means.runtime == "onnx" else TorchEncoder(folder, means)
    except Exception as error:  # whatever the libraries raise on a foreign folder
        why = raised(error)
        raise SourceError(f"{folder} cannot be loaded by {means.runtime}: {why}.", "Check the folder.") from error


def surface_of(folder: Path, runtime: str) -> Any:
    """Return the exact way of loading that a runtime takes.

    Raises:
        SourceError: there is no such runtime, or the folder is not made for it.
    """
    if runtime not in SURFACE_OF:
        raise SourceError(f"There is no runtime '{runtime}'.", f"Choose from: {', '.join(SURFACE_OF)}.")
    surface = SURFACES[SURFACE_OF[runtime]]
    if not surface.applies({*files_in(folder)}):
        step = f"hub2hf export {folder} onnx adds it" if runtime == "onnx" else "name a folder that hub2hf convert made"
        raise SourceError(f"{folder} has no file that {runtime} can run.", f"{step[0].upper()}{step[1:]}.")
    return surface


def options_of(device: str, precision: str) -> list[str]:
    """Return the options by which PyTorch was asked for, as a person writes them."""
    return [f"--device {device}"] * (device != CPU) + [f"--precision {precision}"] * (precision != FLOAT32)


def chosen_means(folder: Path, runtime: str | None, device: str = CPU, precision: str = FLOAT32) -> Means:
    """Return what was asked for; of the runtimes, by default the faster one of those that compute so.

    Raises:
        SourceError: a runtime does not compute on the device or in the precision, or the device is not here.
    """
    check_for_python(folder)
    if precision not in PRECISIONS:
        raise SourceError(f"There is no precision '{precision}'.", f"Choose from: {', '.join(PRECISIONS)}.")
    kind = device.partition(":")[0]  # of cuda:1
    on(kind)
    asked = options_of(device, precision)
    found = runtime or ("torch" if asked else default_runtime(folder))
    if found != "torch" and asked:
        raise SourceError(
            f"{found} computes on the CPU and in {FLOAT32} only.",
            f"Leave out {' and '.join(asked)}, or pass --runtime torch.",
        )
    if device != CPU:
        chosen([SURFACE_OF["torch"]], (), kind)[0].versions()
    return Means(found, device, precision)


def default_runtime(folder: Path) -> str:
    """Return the faster runtime that the folder is made for."""
    return "onnx" if SURFACES[SURFACE_OF["onnx"]].applies({*files_in(folder)}) else "torch"


def files_read(folder: Path, runtime: str) -> list[str]:
    """Return the files, as paths inside a folder, that embedding with a runtime may read.

    Raises:
        SourceError: as `surface_of`.
    """
    name = surface_of(folder, runtime).name
    left = {*ABOUT, MANIFEST, *((WEIGHTS,) if runtime == "onnx" else ())}  # an ONNX file has weights of its own
    return [
        file
        for file in files_in(folder)
        if reads(name, file) and file not in left and not any(part.startswith(".") for part in file.split("/"))
    ]


def fingerprint(folder: Path, runtime: str) -> str:
    """Return a SHA-256 of every file that embedding with a runtime may read: other bytes may be other vectors.

    Raises:
        SourceError: as `surface_of`.
    """
    hashes = {file: hash_file(folder / file)["sha256"] for file in files_read(folder, runtime)}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
