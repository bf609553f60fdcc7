"""Where a corpus lies and where its vectors go: a file, a folder, a glob, or a URL that pyarrow's file systems open."""

from __future__ import annotations

import contextlib
import fnmatch
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

from hub2hf.errors import ExportError, SourceError
from hub2hf.extras import install

PARQUET, LINES, TEXT = "parquet", "jsonl", "text"
SUFFIXES: Final = {".parquet": PARQUET, ".pq": PARQUET, ".jsonl": LINES, ".ndjson": LINES, ".txt": TEXT}
COMPRESSED: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}  # as pyarrow's streams call them
# Not read, nor written.
FOREIGN: Final = (".csv", ".tsv", ".json", ".npy", ".npz", ".arrow", ".feather", ".h5", ".hdf5")
MANIFEST: Final = "hub2hf.json"  # how the file ends in which `embed` says what OUT is made of
MADE_OF: Final = b"hub2hf"  # the key of what `embed` says of a file of Parquet in its metadata
MAGIC: Final = "*?["
BELOW: Final = "**"  # of a glob: any number of folders
HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
CREDENTIALS: Final = re.compile(r"\A(?:[^/]*@|[^/:]+:(?!\d+/).*@)")  # a secret may hold a slash that is not escaped
KNOWN: Final = (
    f"Files may end in {', '.join(SUFFIXES)}; text and JSON lines also in {', '.join(COMPRESSED)} after that."
)


def pyarrow() -> Any:
    """Return the library.

    Raises:
        SourceError: it is not installed.
    """
    try:
        import pyarrow.compute
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
        modified: when it was last written, nanoseconds since 1970; None where the file system does not tell.
        partitions: columns that the names of its folders tell, as `lang=de`, the same for all its rows.
    """

    files: Any
    path: str
    form: str
    size: int
    modified: int | None
    partitions: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def compression(self) -> str | None:
        """By which codec its bytes are those of its lines; None where they are so already."""
        return codec_of(self.path)

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
    return f"{scheme}://{CREDENTIALS.sub('', rest.partition('?')[0])}" if colon else place


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
    except failures(ValueError) as error:
        why = first_line(error).replace(place, shown(place))
        raise SourceError(f"{shown(place)} cannot be opened: {why}.", "Check the URL and the network.") from error
    return found


def codec_of(path: str) -> str | None:
    """Return the codec that a name tells, as pyarrow's streams call it; None where it tells none."""
    return COMPRESSED.get(PurePosixPath(path.lower()).suffix)


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

    A link to a file that is not there is one of them, which cannot be read.

    Raises:
        SourceError: there are none, or a file is of another form.
    """
    files, path = located(place)
    try:
        base, infos = _infos(files, path)
    except failures(ValueError) as error:
        step = "Check the URL and the network." if "://" in place else "Check the path and its permissions."
        raise SourceError(f"{shown(place)} cannot be read: {first_line(error)}.", step) from error
    found = []
    for info in sorted(infos, key=lambda info: info.path):
        form = form_of(info.path)
        if form is None:
            raise SourceError(f"{info.path} is in no format that hub2hf reads.", KNOWN)
        folders = PurePosixPath(info.path).parts[len(base) : -1]
        found.append(Input(files, info.path, form, info.size or 0, info.mtime_ns, _partitions(folders)))
    if not found:
        raise SourceError(f"{shown(place)} holds no file of a corpus.", f"Check the path. {KNOWN}")
    return found


def _partitions(folders: Iterable[str]) -> dict[str, str | None]:
    """Return the columns that the names of folders tell, as Hive and Spark write them."""
    named = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(name): None if value == HIVE_NULL else unquote(value) for name, _, value in named}


def _infos(files: Any, path: str) -> tuple[tuple[str, ...], list[Any]]:
    """Return the folder that `path` means or begins with, part by part, and what the file system tells of its files."""
    arrow, parts = pyarrow(), PurePosixPath(path).parts
    kind, info = arrow.fs.FileType, files.get_file_info(path)
    if info.type == kind.File:
        return parts[:-1], [info]
    if info.type == kind.Directory:
        inside = _below(files, path, math.inf)
        return parts, [each for each in inside if form_of(each.path) and not _hidden(each.path, parts)]
    fixed = next((i for i, part in enumerate(parts) if set(part) & set(MAGIC)), len(parts))
    if fixed == len(parts):
        return parts[:-1], [info] if info.type == kind.NotFound and is_there(files, path) else []
    pattern = parts[fixed:]
    inside = _below(files, str(PurePosixPath(*parts[:fixed])), math.inf if BELOW in pattern else len(pattern))
    inside = [each for each in inside if not each.path.endswith((f".{MANIFEST}", f"/_{MANIFEST}"))]
    return parts[:fixed], [each for each in inside if _matches(PurePosixPath(each.path).parts[fixed:], pattern)]


def _below(files: Any, folder: str, depth: float) -> list[Any]:
    """Return what the file system tells of the files in a folder, and of so many levels of folders in it."""
    arrow = pyarrow()
    if is_local(files):
        asked: Any = list(_walked(folder, depth)) if os.path.lexists(folder) else []
    else:
        asked = arrow.fs.FileSelector(folder, allow_not_found=True, recursive=True)
    return [
        each for each in files.get_file_info(asked) if each.type in (arrow.fs.FileType.File, arrow.fs.FileType.NotFound)
    ]


def _walked(top: str, depth: float) -> Iterator[str]:
    """Yield the paths of what is no folder; links are followed, but not back into a folder that they stand in.

    Raises:
        OSError: a folder cannot be read.
    """

    def stop(error: OSError) -> None:
        raise OSError(f"{error.filename}: {first_line(error)}") from error

    within = {top: {os.path.realpath(top)}}  # folder → what it and those that it stands in really are
    for folder, folders, names in os.walk(top, followlinks=True, onerror=stop):
        above = within.pop(folder)
        for name in list(folders):
            real = os.path.realpath(inner := str(PurePath(folder, name)))
            if real in above or len(above) >= depth:
                folders.remove(name)
            else:
                within[inner] = {*above, real}
        yield from (PurePath(folder, name).as_posix() for name in names)


def _hidden(path: str, folder: tuple[str, ...]) -> bool:
    """Whether a file, or a folder of `folder` that it is in, has a name that pyarrow, Spark and others skip."""
    return any(part.startswith((".", "_")) for part in PurePosixPath(path).parts[len(folder) :])


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path is of a glob, as shells take it: `**` is any folders, and a dot at the beginning is to be written."""
    if not parts or not pattern:
        return not parts and not set(pattern) - {BELOW}
    (part, *_), (wanted, *_) = parts, pattern
    seen = not part.startswith(".") or wanted.startswith(".")
    if wanted == BELOW:
        return _matches(parts, pattern[1:]) or (seen and _matches(parts[1:], pattern))
    return seen and fnmatch.fnmatchcase(part, wanted) and _matches(parts[1:], pattern[1:])


def is_local(files: Any) -> bool:
    """Whether a file system is this machine's."""
    return bool(files.type_name == "local")


def is_there(files: Any, path: str) -> bool:
    """Whether anything is at a path, and be it a link to what is not there."""
    if is_local(files):
        return os.path.lexists(path)
    return bool(files.get_file_info(path).type != pyarrow().fs.FileType.NotFound)


def failures(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """Return, for `except`, what file systems raise, those of pyarrow and hf://, which speaks by httpx; and others."""
    network = [sys.modules[name].HTTPError for name in ("httpx", "httpx2") if name in sys.modules]
    return (*others, OSError, pyarrow().ArrowException, *network)


@contextlib.contextmanager
def writable(place: str, next_step: str) -> Iterator[None]:
    """Turn what goes wrong in writing below `place` into one sentence.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        yield
    except failures() as error:
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
