"""What is known of a way of loading a converted folder ("surface"), and what a folder that is loaded can be asked."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np

from hub2hf.errors import SourceError
from hub2hf.extras import install, known_versions

# Sentences of like length go through the model together, so that little of a batch is padding.
BATCH = 32
CPU = "cpu"


@dataclass(frozen=True)
class Embedded:
    """What one way of loading makes of some texts.

    Attributes:
        ids: the ids of each text, without padding.
        embeddings: float32 [texts, hidden], of unit length.
    """

    ids: list[list[int]]
    embeddings: np.ndarray


class Loaded(ABC):
    """A folder, loaded."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`, cut at the length that the folder states."""

    def stages(self, texts: Sequence[str]) -> Mapping[str, np.ndarray]:
        """Return the first token after every stage, float32 [texts, hidden], by the names of `reference.stages`.

        Empty where this way of loading does not let one look inside.
        """
        return {}

    def not_a_number(self) -> str | None:
        """Return the name of a weight that holds NaN or infinity, if there is one."""
        return None


Loader = Callable[[Path, bool], Loaded]


# Those that transformers loads; a lossy folder may have only an ONNX file.
WEIGHT_FILES: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def has_weights(files: Collection[str]) -> bool:
    """Whether there are weights that transformers loads in a folder of `files`."""
    return not {*WEIGHT_FILES}.isdisjoint(files)


def spelled(title: str) -> str:
    """Return the name that a title gives: `ONNX Runtime` is `onnx-runtime`."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@dataclass(frozen=True)
class Surface:
    """One way of loading.

    Attributes:
        title: what everything calls it: verdict, reports, card, and, in small letters, `name`.
        code: how it is loaded, a line of Python; `{id}` is the folder or repository, `{trust}` the argument that the
            folder's own model class needs, or "", `{dim}` how many numbers an embedding has, `{length}` how many ids a text.
        load: loads a folder; the bool is whether the code that the folder brings may be run. Imports the libraries.
        exact: whether it gives the embedding of the graph of every folder that hub2hf makes, so that one is published only
            when that is proved; `configs/tolerances.toml` says how much round-off there is.
        libraries: the distributions that it runs on; their versions are recorded.
        extra: the extra of hub2hf that installs them.
        applies: whether it can load a folder of these files, given as paths inside it.
        by_name: whether it is taken only where somebody names it: it needs releases that do not go together with the rest.
        own: files, and folders that end in "/", by the beginnings of their paths: what is in the folder of one is read by
            no way but those that name it.
        except_in: the texts in which an exact way gives another embedding, by the reason that `configs/tolerances.toml` has.
        differs: why it may give another embedding than the graph's, where it is not exact.
        stock_head: whether it takes the embedding from the pooler of `BertModel`, for which not every folder has weights.
        device: where it computes, as PyTorch names it.
    """

    title: str
    code: str
    load: Loader
    exact: bool
    libraries: tuple[str, ...]
    extra: str
    applies: Callable[[Collection[str]], bool] = has_weights
    by_name: bool = False
    own: tuple[str, ...] = ()
    except_in: str = ""
    differs: str = ""
    stock_head: bool = False
    device: str = CPU

    @property
    def name(self) -> str:
        """What a proof records: the title in small letters, with a hyphen for all that is no letter or digit."""
        return spelled(self.title)

    def versions(self) -> dict[str, str]:
        """Return library → version.

        Raises:
            SourceError: one is not installed, or in a version that was never tested.
        """
        found = {}
        for library in self.libraries:
            try:
                found[library] = metadata.version(library)
            except metadata.PackageNotFoundError as error:
                raise SourceError(
                    f"{library}, which loads a folder as {self.title}, is not installed.",
                    f"Install it: {install(self.extra)}",
                ) from error
            known = known_versions(library, self.extra)
            if not known.contains(found[library], prereleases=True):
                raise SourceError(
                    f"{library} {found[library]}, which loads a folder as {self.title}, was never tested with hub2hf: "
                    f"it knows {library}{known}.",
                    f"Install one that was: {install(self.extra)}",
                )
        return found


def unit(embeddings: np.ndarray) -> np.ndarray:
    """Return vectors [texts, hidden] with unit length."""
    return np.asarray(embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True))
