"""What a text encoder was published as: a SavedModel, and what stands beside one that takes ids.

What reads a SavedModel is imported when one is first opened: its files may be hashed meanwhile.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub2hf.errors import SourceError
from hub2hf.savedmodel.files import State, hash_file, states

if TYPE_CHECKING:
    from hub2hf.savedmodel.model import SavedModel

Hashed = tuple[State, dict[str, Any]]  # a file as it was, and its size and SHA-256


class Original:
    """A SavedModel and its text side, each opened when it is first asked for, and once.

    Args:
        folder: of the SavedModel.
        preprocessor: the folder of the SavedModel that makes ids of text, for an encoder of ids.
        vocabulary: the file of pieces, for an encoder of ids that brings none and has no preprocessor.
        text_rules: by which convention text becomes ids, for an encoder of ids without preprocessor; "" for the usual.
        name: what a person calls it, for errors; by default its folder.
    """

    def __init__(
        self,
        folder: Path,
        preprocessor: Path | None = None,
        vocabulary: Path | None = None,
        text_rules: str = "",
        name: str = "",
    ) -> None:
        self.folder, self.text_rules, self.name = folder, text_rules, name or str(folder)
        self._preprocessor, self._vocabulary = preprocessor, vocabulary
        self._hashing = threading.Lock()
        self._ahead: Future[Mapping[Path, Hashed]] | None = None

    def by_rules(self, text_rules: str) -> Original:
        """Return it with other text rules; what was opened of it stays open."""
        other = copy(self)
        other.text_rules = text_rules
        return other

    @property
    def folders(self) -> list[Path]:
        """The folders that were named."""
        return [self.folder, *([self._preprocessor] if self._preprocessor is not None else [])]

    @cached_property
    def model(self) -> SavedModel:
        """The encoder, of text or of ids (SourceError, GraphError: see `SavedModel.open`)."""
        return _opened(self.folder)

    @cached_property
    def preprocessor(self) -> SavedModel | None:
        """What makes ids of text for it; a graph-only file brings what stood beside its model."""
        inside = self._inside("preprocessor")
        folder = self._preprocessor or (inside if inside is not None and inside.is_dir() else None)
        return _opened(folder) if folder is not None else None

    @cached_property
    def vocabulary(self) -> Path | None:
        """The file of pieces that stands alone (SourceError: a graph-only file has several)."""
        inside = self._inside("vocabulary")
        files = sorted(inside.glob("*")) if inside is not None and self.preprocessor is None else []
        if len(files) > 1:
            raise SourceError(f"{inside} has {len(files)} vocabularies.", "Make the graph-only file again.")
        return files[0] if files else self._vocabulary

    def _inside(self, name: str) -> Path | None:
        """Return where a graph-only file has what stood beside its model; None where that was given, or it is none."""
        given = self._preprocessor is not None or self._vocabulary is not None
        return None if given or self.model.graph_only is None else self.folder / name

    @property
    def models(self) -> Mapping[str, SavedModel]:
        """The SavedModels, by the folder under which the second one's files are told apart: "" and "preprocessor/"."""
        beside = {} if self.preprocessor is None else {"preprocessor/": self.preprocessor}
        return {"": self.model, **beside}

    @property
    def absent(self) -> tuple[str, ...]:
        """What graph-only files among them lack, a line each."""
        given = [(place.replace("/", ", "), model.graph_only) for place, model in self.models.items()]
        return tuple(f"{place}{line}" for place, only in given if only is not None for line in only.absent())

    def check_unchanged(self) -> None:
        """Check that the files are those that were opened; see `SavedModel.check_unchanged`."""
        for model in self.models.values():
            model.check_unchanged()

    @contextmanager
    def hashed_beside(self, beside: Executor) -> Iterator[None]:
        """Hash the files for the fingerprint while the block runs: that takes a processor as long as all else takes another.

        Leaving the block stops what is not done. A file that is another by the time of the fingerprint is hashed again.
        """
        stopping = threading.Event()
        if "_fingerprint" not in vars(self):
            self._ahead = beside.submit(_hashed, self.folders, stopping)
        try:
            yield
        finally:
            stopping.set()

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """The size and the SHA-256 of every file, as "files", and one over all of them, as "fingerprint".

        The files of a preprocessor, and a vocabulary that stands alone, come under folders of their own. It is taken once:
        a second thread that asks for it waits.

        Raises:
            SourceError: a file cannot be read.
        """
        with self._hashing:
            return self._fingerprint

    @cached_property
    def _fingerprint(self) -> Mapping[str, Any]:
        ahead = self._ahead.result() if self._ahead is not None else {}
        now = {path: state for folder in self.folders for path, state in states(folder).items()}
        try:
            files = {
                name: ahead[path][1] if path in ahead and ahead[path][0] == now.get(path) else hash_file(path)
                for name, path in self._files().items()
            }
        except OSError as error:
            raise SourceError(
                f"{error.filename} cannot be read: {error.strerror}.", "Check it, or download it again."
            ) from error
        lines = "".join(f"{entry['sha256']}  {name}\n" for name, entry in sorted(files.items()))
        return {"fingerprint": hashlib.sha256(lines.encode()).hexdigest(), "files": files}

    def _files(self) -> dict[str, Path]:
        files = {
            f"{place}{path.relative_to(model.folder).as_posix()}": path
            for place, model in self.models.items()
            for path in model.files
        }
        return files | ({f"vocabulary/{self.vocabulary.name}": self.vocabulary} if self.vocabulary is not None else {})


def _opened(folder: Path) -> SavedModel:
    from hub2hf.savedmodel.model import SavedModel

    return SavedModel.open(folder)


def _hashed(folders: list[Path], stopping: threading.Event) -> dict[Path, Hashed]:
    """Return the files of SavedModels, hashed; those alone that can be, until `stopping` is set."""

    def check() -> None:
        if stopping.is_set():
            raise InterruptedError

    found: dict[Path, Hashed] = {}
    for folder in folders:
        for path, state in states(folder).items():
            with suppress(OSError):  # an InterruptedError too
                found[path] = state, hash_file(path, check)
    return found
