"""Archives of a SavedModel, unpacked without trusting them: `.tar`, `.tar.gz` and `.zip`.

Nothing of an archive is believed: not its names, not its sizes, not that it ends. Only plain files and folders come out
of it, each under a name that every system reads alike, below one folder, within the bounds stated here.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from hub2hf.errors import SourceError

# A SavedModel has a dozen files, and BERT-large takes 1.3 GB.
MAX_FILES: Final = 10_000
MAX_BYTES: Final = 64 << 30
# Weights hardly compress (1.1 times). What unpacks to less than FREE_BYTES may compress as well as it likes.
MAX_RATIO: Final = 100
FREE_BYTES: Final = 256 << 20
MAX_NAME_BYTES: Final = 1_000
MAX_DEPTH: Final = 32
# Of headers: an extended header of tar and the directory of a zip are read whole, so their size bounds the memory.
MAX_HEADER_BYTES: Final = 4 << 20
_CHUNK: Final = 1 << 20
_NEXT: Final = "Give the folder of a SavedModel, or an archive of one; if this is one, fetch it again."
_GZIP, _ZIP, _TAR = b"\x1f\x8b", b"PK\x03\x04", b"ustar"
_TAR_MAGIC_AT: Final = 257  # struct posix_header, magic
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, IndexError, OverflowError)
_REFUSED = (*_DAMAGE, NotImplementedError, RuntimeError, AttributeError, TypeError)


class _ArchiveError(Exception):
    """What is wrong with the archive, in words; turned into a SourceError that names it."""

    says = "The archive {archive} is refused: {error}."


class _NoArchiveError(_ArchiveError):
    """The file is no archive at all, by its first bytes."""

    says = "{archive} is neither a SavedModel folder nor a .tar.gz, .tar or .zip archive."


@dataclass(frozen=True)
class _Member:
    """One file or folder of an archive, its name not yet believed."""

    name: str
    is_folder: bool
    size: int
    content: Any  # a callable that opens the file


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive below a folder, which must exist and be empty.

    Args:
        archive: a `.tar`, `.tar.gz` or `.zip`, told apart by its first bytes.
        folder: where to. After an error it holds some of the files.

    Raises:
        SourceError: not such an archive, damaged, not only files and folders, with names that lead elsewhere or collide,
            or larger than the bounds of this module.
        OSError: the folder cannot be written.
    """
    try:
        with archive.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            members = _members(file)
            _Unpacking(folder, max(FREE_BYTES, min(MAX_BYTES, size * MAX_RATIO))).all(members)
    except _ArchiveError as error:
        raise SourceError(error.says.format(archive=archive, error=error), _NEXT) from None
    except gzip.BadGzipFile as error:
        raise SourceError(f"The archive {archive} is damaged: {error}.", _NEXT) from None
    except _REFUSED as error:
        problem = str(error) or type(error).__name__
        raise SourceError(f"The archive {archive} is damaged: {problem}.", _NEXT) from None


def _members(file: BinaryIO) -> Iterator[_Member]:
    start = file.read(512)
    file.seek(0)
    if start.startswith(_ZIP):
        return _zip_members(file)
    if start.startswith(_GZIP):
        return _tar_members(_Forward(gzip.GzipFile(fileobj=file, mode="rb")))
    if start[_TAR_MAGIC_AT:].startswith(_TAR):
        return _tar_members(_Forward(file))
    raise _NoArchiveError


class _Forward:
    """A stream that is only read onwards, with small headers: tarfile goes back only in an archive made to deceive it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise _ArchiveError(f"a header in it has more than {MAX_HEADER_BYTES:,} bytes")
        data: bytes = self._stream.read(size)
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position < self._at:
            raise _ArchiveError("its headers lead backwards")
        while self._at < position and self.read(min(_CHUNK, position - self._at)):
            pass
        return self._at

    def rest(self) -> Iterator[bytes]:
        """Yield what follows, so that the checksum at the end of a gzip stream is held against it."""
        while data := self.read(_CHUNK):
            yield data


def _tar_members(stream: _Forward) -> Iterator[_Member]:
    with tarfile.TarFile(fileobj=stream, mode="r", encoding="utf-8", errors="strict") as tar:  # type: ignore[arg-type]
        while (member := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # it would keep every header
            if not (member.isdir() or member.isreg()) or member.issparse():
                raise _ArchiveError(f"{_shown(member.name)} is neither a file nor a folder, but a {_kind(member)}")
            yield _Member(member.name, member.isdir(), member.size, lambda m=member: tar.extractfile(m))
    for data in stream.rest():
        if data.strip(b"\0"):
            raise _ArchiveError("something follows its end")


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"link to {_shown(member.linkname)}"
    return "device or pipe" if member.isdev() else "thing of another kind"


class _Guarded:
    """A seekable file whose single reads are bounded: the directory of a zip is read in one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > MAX_HEADER_BYTES:
            raise _ArchiveError(f"its directory has more than {MAX_HEADER_BYTES:,} bytes")
        return self._file.read(size if size >= 0 else MAX_HEADER_BYTES)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self._file.seek(position, whence)
        except OSError:
            raise _ArchiveError("its directory leads out of it") from None

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def _zip_members(file: BinaryIO) -> Iterator[_Member]:
    with zipfile.ZipFile(_Guarded(file)) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _ArchiveError(f"{_shown(member.filename)} is neither a file nor a folder, but a link or a device")
            if member.flag_bits & 1:
                raise _ArchiveError(f"{_shown(member.filename)} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _ArchiveError(f"{_shown(member.filename)} has the unusual compression {member.compress_type}")
            yield _Member(member.filename, member.is_dir(), member.file_size, lambda m=member: archive.open(m))


@dataclass
class _Unpacking:
    """Writes members one after another and counts what they take."""

    folder: Path
    most_bytes: int
    done_bytes: int = 0
    folders: dict[str, str] = field(default_factory=dict)  # how a name compares → how it was first spelt
    files: dict[str, str] = field(default_factory=dict)

    def all(self, members: Iterator[_Member]) -> None:
        for member in members:
            parts = _parts(member.name)
            if not parts and member.is_folder:  # "./", the folder that was packed
                continue
            self.take(parts, member.name, is_folder=member.is_folder)
            path = self.folder.joinpath(*parts)
            (path if member.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
            if not member.is_folder:
                self.write(path, member)

    def take(self, parts: tuple[str, ...], name: str, *, is_folder: bool) -> None:
        """Give each name to one file or folder: two that differ in case or form only are one on many systems."""
        if not parts:
            raise _ArchiveError("a file in it has no name")
        for end in range(1, len(parts) + 1):
            spelt = "/".join(parts[:end])
            key = unicodedata.normalize("NFC", spelt).casefold()
            folder = is_folder or end < len(parts)
            if key in self.files or (not folder and key in self.folders):
                raise _ArchiveError(f"it holds {_shown(name)} twice")
            if folder and self.folders.setdefault(key, spelt) != spelt:
                raise _ArchiveError(f"{_shown(spelt)} and {_shown(self.folders[key])} differ in case only")
            if not folder:
                self.files[key] = spelt
        if len(self.files) + len(self.folders) > MAX_FILES:
            raise _ArchiveError(f"it holds more than {MAX_FILES:,} files")

    def write(self, path: Path, member: _Member) -> None:
        self.within(member.size)  # what it claims, before a byte is written
        written = 0
        content: IO[bytes]
        with member.content() as content, path.open("xb") as out:
            while data := content.read(_CHUNK):
                written += len(data)
                self.within(written)
                out.write(data)
        if written != member.size:
            raise _ArchiveError(f"{_shown(member.name)} ends after {written:,} of {member.size:,} bytes")
        self.done_bytes += written

    def within(self, size: int) -> None:
        if size < 0 or self.done_bytes + size > self.most_bytes:
            raise _ArchiveError(f"it would unpack to more than {self.most_bytes:,} bytes")


def _parts(name: str) -> tuple[str, ...]:
    """Return the names along a path, without "." and the last "/"."""
    problem = ""
    if name.startswith("/") or "\\" in name or ":" in name:
        problem = "leads out of the folder, on some systems at least"
    elif any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        problem = "has control characters"
    elif len(name.encode()) > MAX_NAME_BYTES:
        problem = f"has more than {MAX_NAME_BYTES:,} bytes"
    parts = tuple(part for part in name.removesuffix("/").split("/") if part != ".")
    if ".." in parts or "" in parts:
        problem = "leads out of the folder"
    elif any(part.endswith((" ", ".")) for part in parts):
        problem = "ends in a space or a dot, which some systems drop"
    elif len(parts) > MAX_DEPTH:
        problem = f"is more than {MAX_DEPTH} folders deep"
    if problem:
        raise _ArchiveError(f"the name {_shown(name)} {problem}")
    return parts


def _shown(name: str, most: int = 80) -> str:
    return repr(name if len(name) <= most else f"{name[:most]}…")
