"""Where a corpus lies and where its vectors go: a file, a folder, a glob, or a URL that pyarrow's file systems open."""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hub2hf.errors import ExportError, SourceError
from hub2hf.extras import install

PARQUET, LINES, TEXT = "parquet", "jsonl", "text"
SUFFIXES: Final = {".parquet": PARQUET, ".pq": PARQUET, ".jsonl": LINES, ".ndjson": LINES, ".txt": TEXT}
COMPRESSED: Final = (".gz", ".bz2", ".zst", ".lz4")  # as pyarrow's streams tell them by their names
FOREIGN: Final = (
    ".csv",
    ".tsv",
    ".json",
    ".npy",
    ".npz",
    ".arrow",
    ".feather",
    ".h5",
    ".hdf5",
)  # not read, nor written
MADE_OF: Final = b"hub2hf"  # the key of what `embed` says of a file of Parquet in its metadata
MAGIC: Final = "*?["
KNOWN: Final = (
    f"Files may end in {', '.join(SUFFIXES)}; text and JSON lines also in {', '.join(COMPRESSED)} after that."
)


def pyarrow() -> Any:
    """Return the library.

    Raises:
        SourceError: it is not installed.
    """
    try:
        import pyarrow.fs
        import pyarrow.parquet
    except ImportError as error:
        raise SourceError(
            "pyarrow, which reads and writes corpora, is not installed.", f"Install it: {install('corpora')}"
        ) from error
    return pyarrow


@dataclass(frozen=True)
class Input:
    """A file of a corpus, as it was when it was found.

    Attributes:
        files: the file system that it is on.
        path: its path there.
        form: PARQUET, LINES or TEXT.
        size: bytes.
        modified: when it was last written, nanoseconds since 1970.
    """

    files: Any
    path: str
    form: str
    size: int
    modified: int

    @property
    def compressed(self) -> bool:
        """Whether its bytes are not those of its lines."""
        return self.path.endswith(COMPRESSED)

    @property
    def state(self) -> dict[str, Any]:
        """What tells whether it is still the same file, as JSON data."""
        return {"path": self.path, "bytes": self.size, "modified": self.modified}

    def check_unchanged(self) -> None:
        """See that it is still the file that was found.

        Raises:
            OSError: it was written to since.
        """
        now = self.files.get_file_info(self.path)
        if (now.size, now.mtime_ns) != (self.size, self.modified):
            raise OSError("it was changed while it was read")


def shown(place: str) -> str:
    """Return a path, or a URL without the key, secret and options that it may carry: it is printed, and kept in reports."""
    scheme, colon, rest = place.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}" if colon else place


def located(place: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path there.

    Raises:
        SourceError: pyarrow has no such file system, or cannot reach it.
    """
    arrow = pyarrow()
    if "://" not in place:
        return arrow.fs.LocalFileSystem(), os.path.abspath(place)  # noqa: PTH100  (resolving links would rename it)
    try:
        found: tuple[Any, str] = arrow.fs.FileSystem.from_uri(place)
    except (arrow.ArrowException, OSError, ValueError) as error:
        why = first_line(error).replace(place, shown(place))
        raise SourceError(f"{shown(place)} cannot be opened: {why}.", "Check the URL.") from error
    return found


def form_of(path: str) -> str | None:
    """Return the form that the name of a file tells; None where it tells none."""
    name = PurePosixPath(path.lower())
    packed = name.suffix in COMPRESSED
    form = SUFFIXES.get(PurePosixPath(name.stem).suffix if packed else name.suffix)
    return None if packed and form == PARQUET else form


def is_corpus(place: str | Path) -> bool:
    """Whether a place is one of Parquet or JSON lines; a file of lines is none: it may hold `language<TAB>sentence`."""
    name = str(place)
    return (
        "://" in name
        or form_of(name) in (PARQUET, LINES)
        or Path(place).is_dir()
        or (bool(set(name) & set(MAGIC)) and not Path(place).exists())
    )


def inputs(place: str) -> list[Input]:
    """Return the files of a corpus, in the order of their paths; of a folder those of a known form, hidden ones apart.

    Raises:
        SourceError: there are none, or a file is of another form.
    """
    files, path = located(place)
    with _readable(place):
        infos = _infos(files, path)
    found = []
    for info in sorted(infos, key=lambda info: info.path):
        form = form_of(info.path)
        if form is None:
            raise SourceError(f"{info.path} is in no format that hub2hf reads.", KNOWN)
        found.append(Input(files, info.path, form, info.size, info.mtime_ns or 0))
    if not found:
        raise SourceError(f"{shown(place)} holds no file of a corpus.", f"Check the path. {KNOWN}")
    return found


def _infos(files: Any, path: str) -> list[Any]:
    """Return what the file system tells of the files that `path` means."""
    arrow = pyarrow()
    kind, info = arrow.fs.FileType, files.get_file_info(path)
    if info.type == kind.File:
        return [info]
    if info.type == kind.Directory:
        inside = files.get_file_info(arrow.fs.FileSelector(path, recursive=True))
        start = len(PurePosixPath(path).parts)
        return [
            each
            for each in inside
            if each.type == kind.File
            and form_of(each.path)
            and not any(part.startswith((".", "_")) for part in PurePosixPath(each.path).parts[start:])
        ]
    parts = PurePosixPath(path).parts
    fixed = next((i for i, part in enumerate(parts) if set(part) & set(MAGIC)), len(parts))
    if fixed == len(parts):
        return []
    selector = arrow.fs.FileSelector(str(PurePosixPath(*parts[:fixed])), allow_not_found=True, recursive=True)
    return [each for each in files.get_file_info(selector) if each.type == kind.File and _matches(each.path, parts)]


def _matches(path: str, pattern: tuple[str, ...]) -> bool:
    """Whether a path is of a glob, part by part."""
    parts = PurePosixPath(path).parts
    return len(parts) == len(pattern) and all(map(fnmatch.fnmatchcase, parts, pattern))


@contextlib.contextmanager
def _readable(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{shown(place)} cannot be read: {first_line(error)}.", "Check the path and its permissions."
        ) from error


@contextlib.contextmanager
def writable(place: str, next_step: str) -> Iterator[None]:
    """Turn what goes wrong in writing below `place` into one sentence.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        yield
    except (OSError, pyarrow().ArrowException) as error:
        raise ExportError(f"{place} cannot be written: {first_line(error)}.", next_step) from error


@contextlib.contextmanager
def whole(files: Any, path: str, work: str, *, place: str, next_step: str) -> Iterator[Any]:
    """Yield a stream to a file that has its name once the block ends well; what was written is removed where it does not.

    Args:
        files: the file system.
        path: of the file.
        work: where it is written until then, on the same file system.
        place, next_step: as for `writable`, of which each write of the block is to be a part.

    Raises:
        ExportError: it cannot be opened, closed or given its name.
    """
    with writable(place, next_step):
        stream = files.open_output_stream(work)
    try:
        yield stream
        with writable(place, next_step):
            stream.close()
            files.move(work, path)
    except BaseException:
        with contextlib.suppress(OSError):
            stream.close()
        with contextlib.suppress(OSError):
            files.delete_file(work)
        raise


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (reason.strip().split("\n")[0] or type(error).__name__).rstrip(".")
