"""Where a run of `embed` stands: its manifest, and the windows and files that are done, each there whole or not at all.

OUT is a file, or a folder of Parquet files. Beside it, or in it, stands a manifest, which says what is made of what; and,
until all is done, a hidden folder of windows that are embedded. A window becomes part of its file when all of that file's
are there. Whatever is written is written under another name and renamed: a kill leaves nothing that counts.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hub2hf.corpora.places import FOREIGN, PARQUET, SUFFIXES, TEXT, form_of, located, pyarrow, shown, whole, writable
from hub2hf.corpora.writing import write_rows
from hub2hf.errors import ExportError
from hub2hf.folder.files import as_text
from hub2hf.locks import held

VERSION: Final = 1
NAMES: Final = ", ".join(  # a file of text has no place for the texts: mine and verify --golden read the others
    f"{suffix} (vectors alone, which mine and verify --golden cannot read)" if form == TEXT else suffix
    for suffix, form in SUFFIXES.items()
)
AGAIN: Final = "Run the same command again: it goes on where this one stopped."
# Of a manifest: what may differ in a run that goes on, and what is looked at in a way of its own.
NO_RUN: Final = frozenset({"version", "hub2hf", "path", "savedmodel", "done", "fingerprint", "inputs"})


@dataclass(frozen=True)
class Chunk:
    """A window of a file, by its number there."""

    file: int
    number: int

    @property
    def name(self) -> str:
        """Of the file that it is kept in."""
        return f"{self.file:05}-{self.number:09}.arrow"


@dataclass(frozen=True)
class Destination:
    """What is written where.

    Attributes:
        files: the file system.
        path: OUT there.
        form: of its files.
        single: whether OUT is one file.
    """

    files: Any
    path: str
    form: str
    single: bool

    @classmethod
    def of(cls, out: str) -> Destination:
        """Return what OUT names: a file where it ends as those of corpora do, or else a folder of Parquet files.

        Raises:
            SourceError: its file system cannot be reached.
            ExportError: its name is that of a compressed file, or of one in a format that is not written.
        """
        files, path = located(out)
        form = form_of(path)
        if form is not None and PurePosixPath(path.lower()).suffix not in SUFFIXES:
            raise ExportError(
                f"{shown(out)} asks for compression, which embed does not write.",
                f"Name a file that ends in {NAMES}.",
            )
        if path.lower().endswith(FOREIGN):
            raise ExportError(
                f"{shown(out)} is in a format that embed does not write.",
                f"Name a folder, or a file that ends in {NAMES}.",
            )
        return cls(files, path, form or PARQUET, form is not None)

    @property
    def work(self) -> str:
        """The folder of what is not done yet."""
        place = PurePosixPath(self.path)
        return str(place.with_name(f".{place.name}.hub2hf") if self.single else place / ".hub2hf")

    @property
    def manifest(self) -> str:
        """The file that says what was made of what."""
        return (
            f"{self.path}.hub2hf.json" if self.single else f"{self.path}/_hub2hf.json"
        )  # pyarrow, Spark and others skip such names

    def shard(self, number: int, count: int) -> str:
        """Return the path of one of so many files."""
        return self.path if self.single else f"{self.path}/part-{number:05}-of-{count:05}.{self.form}"


@dataclass
class Work:
    """A run, from its first to its last, however often it is stopped.

    Args:
        target: where it writes.
        plan: the windows of each file of OUT.
        identity: what is made of what, as JSON data.
    """

    target: Destination
    plan: Sequence[Sequence[Chunk]]
    identity: Mapping[str, Any]

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the place for this run alone.

        Raises:
            ExportError: another run works there, or another has worked there.
        """
        with contextlib.ExitStack() as block:
            before, made = self._before(), self._is_new()
            with writable(self.target.path, "Check the disk and the permissions."):
                self.target.files.create_dir(self.target.work)
            if pyarrow().fs.LocalFileSystem().equals(self.target.files):
                taken = ExportError(f"Another hub2hf embed is writing {self.target.path}.", "Wait for it.")
                block.enter_context(held(Path(f"{self.target.work}/lock"), taken))
            if before is None or before.get("done") is None:
                self._write_manifest(None)
            try:
                yield
            except BaseException:
                if before is None and not self._begun():
                    block.close()
                    self._leave(made=made)
                raise
            if self.done() is not None:
                block.close()
                with writable(self.target.work, "Remove it."):
                    self.target.files.delete_dir(self.target.work)

    def _is_new(self) -> bool:
        """Whether nothing is there yet, not even a folder."""
        return bool(self.target.files.get_file_info(self.target.path).type == pyarrow().fs.FileType.NotFound)

    def _begun(self) -> bool:
        """Whether anything was embedded that another run could go on with."""
        selector = pyarrow().fs.FileSelector(self.target.work, allow_not_found=True)
        names = [info.base_name for info in self.target.files.get_file_info(selector)]
        return any(name.endswith(".arrow") or name.startswith("done-") for name in names)

    def _leave(self, *, made: bool) -> None:
        """Remove what a run left that came to nothing: the next is not held against it."""
        files = self.target.files
        with contextlib.suppress(OSError):
            if self._exists(self.target.manifest):
                files.delete_file(self.target.manifest)
            files.delete_dir(self.target.work)
            if made and not self.target.single and not files.get_file_info(pyarrow().fs.FileSelector(self.target.path)):
                files.delete_dir(self.target.path)

    def _before(self) -> dict[str, Any] | None:
        """Return the manifest of the run that was here before; None where none was."""
        content = self._read(self.target.manifest)
        if content is None:
            with writable(self.target.path, "Check the permissions."):
                taken = self._taken()
            if taken:
                raise ExportError(f"{taken} exists already, and hub2hf embed did not begin it.", "Name another OUT.")
            return None
        named = next(_differences(content, self.identity), None)
        if named:
            raise ExportError(
                f"{self.target.path} belongs to another run: {named}.",
                f"Name another OUT, or remove this one with {self.target.manifest} and {self.target.work}.",
            )
        sizes = (content.get("done") or {}).get("bytes", {})
        for name, size in self._sizes().items() if sizes else ():
            if sizes.get(name, size) != size:
                raise ExportError(
                    f"{name} was changed since embed wrote it.",
                    f"Name another OUT, or remove it with {self.target.manifest}.",
                )
        return content

    def _taken(self) -> str:
        """Return what stands where OUT is to be; "" where nothing does."""
        arrow, files = pyarrow(), self.target.files
        info = files.get_file_info(self.target.path)
        if self.target.single or info.type == arrow.fs.FileType.File:
            return "" if info.type == arrow.fs.FileType.NotFound else self.target.path
        inside = files.get_file_info(arrow.fs.FileSelector(self.target.path, allow_not_found=True))
        return next((each.path for each in inside if not each.base_name.startswith(".")), "")

    def done(self) -> dict[str, Any] | None:
        """Return what the manifest says of a run that has ended: rows and failed texts."""
        content = self._read(self.target.manifest)
        return content and content.get("done")

    def missing(self, shard: int) -> list[Chunk]:
        """Return the windows of a file of OUT that are still to be embedded; none where the file is done."""
        if self._record(shard) is not None and self._exists(self._shard(shard)):
            return []
        arrow = pyarrow()
        selector = arrow.fs.FileSelector(self.target.work, allow_not_found=True)
        there = {info.base_name for info in self.target.files.get_file_info(selector)}
        return [chunk for chunk in self.plan[shard] if chunk.name not in there]

    def finish(self, shard: int, embedding: str) -> None:
        """Make a file of OUT of its windows, which are all there, and remove them.

        Raises:
            ExportError: it cannot be written.
        """
        if self._record(shard) is not None and self._exists(self._shard(shard)):
            self._remove(self.plan[shard])  # by a run that was stopped while it removed them
            return
        rows, failed = 0, Counter[str]()

        def tables() -> Iterator[Any]:
            nonlocal rows
            for chunk in self.plan[shard]:
                table = self._kept(chunk)
                rows += len(table)
                failed.update(json.loads(table.schema.metadata[b"failed"]))
                yield table.replace_schema_metadata()

        path, part = self._shard(shard), f"{self.target.work}/part"
        with (
            writable(path, AGAIN),
            whole(self.target.files, path, part, place=path, next_step=AGAIN) as stream,
        ):
            write_rows(stream, self.target.form, tables(), embedding, self.identity)
            self._write(f"{self.target.work}/done-{shard:05}.json", {"rows": rows, "failed": dict(failed)}, AGAIN)
        self._remove(self.plan[shard])

    def end(self, *, whole: bool) -> dict[str, Any]:
        """Return how many rows and failed texts the files hold; and where all are there, say so in the manifest."""
        rows, failed = 0, Counter[str]()
        for shard in self._finished():
            record = self._record(shard) or {}
            rows += record["rows"]
            failed.update(record["failed"])
        counts = {"rows": rows, "failed": dict(failed)}
        if whole:
            self._write_manifest({**counts, "bytes": self._sizes()})
        return counts

    @property
    def written(self) -> list[str]:
        """The files of OUT that are there."""
        return [path for path in map(self._shard, range(len(self.plan))) if self._exists(path)]

    def _sizes(self) -> dict[str, int]:
        """Return name → bytes of the files of OUT that are there."""
        return {PurePosixPath(path).name: int(self.target.files.get_file_info(path).size) for path in self.written}

    def _finished(self) -> list[int]:
        return [i for i in range(len(self.plan)) if self._record(i) is not None and self._exists(self._shard(i))]

    def _shard(self, number: int) -> str:
        return self.target.shard(number, len(self.plan))

    def _record(self, shard: int) -> dict[str, Any] | None:
        return self._read(f"{self.target.work}/done-{shard:05}.json")

    def _kept(self, chunk: Chunk) -> Any:
        arrow = pyarrow()
        with self.target.files.open_input_file(f"{self.target.work}/{chunk.name}") as stream:
            return arrow.ipc.open_file(stream).read_all()

    def _remove(self, chunks: Iterable[Chunk]) -> None:
        with writable(self.target.work, AGAIN):
            for chunk in chunks:
                if self._exists(path := f"{self.target.work}/{chunk.name}"):
                    self.target.files.delete_file(path)

    def _exists(self, path: str) -> bool:
        return bool(self.target.files.get_file_info(path).type == pyarrow().fs.FileType.File)

    def _write_manifest(self, done: Mapping[str, Any] | None) -> None:
        content = {"version": VERSION, **self.identity, "done": done}
        self._write(self.target.manifest, content, "Check the disk and the permissions.")

    def _write(self, path: str, content: Any, next_step: str) -> None:
        part = f"{self.target.work}/part.json"
        with (
            writable(path, next_step),
            whole(self.target.files, path, part, place=path, next_step=next_step) as stream,
        ):
            stream.write(as_text(content).encode())

    def _read(self, path: str) -> dict[str, Any] | None:
        """Return a file of JSON; None where it is not there.

        Raises:
            ExportError: it cannot be read, or is none.
        """
        try:
            if not self._exists(path):
                return None
            with self.target.files.open_input_stream(path) as stream:
                content = json.loads(stream.read())
        except (OSError, ValueError) as error:
            raise ExportError(
                f"{path} cannot be read: {error}.", "Name another OUT, or remove this one with it."
            ) from error
        return content if isinstance(content, dict) else {}


def keep(target: Destination, chunk: Chunk, table: Any, failed: Mapping[str, int]) -> None:
    """Write a window, whole or not at all, from any process.

    Raises:
        ExportError: it cannot be written.
    """
    arrow = pyarrow()
    kept = table.replace_schema_metadata({"failed": json.dumps(failed)})
    path = f"{target.work}/{chunk.name}"
    with (
        writable(target.path, AGAIN),
        whole(target.files, path, f"{path}.part", place=target.path, next_step=AGAIN) as stream,
        arrow.ipc.new_file(stream, kept.schema) as writer,
    ):
        writer.write_table(kept)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield in what a run differs from the one that was here before."""
    if before.get("version") != VERSION:
        yield "its manifest is of another version of hub2hf"
    for name in sorted(now.keys() - NO_RUN):
        if before.get(name) != now[name]:
            yield f"its {name} is {before.get(name)}, not {now[name]}"
    if before.get("fingerprint") != now["fingerprint"]:
        yield "the folder has other files"
    yield from _other_inputs(before.get("inputs") or [], now["inputs"])


def _other_inputs(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield in what the files differ; those of which nothing could be read may have been repaired."""
    if [each["path"] for each in before] != [each["path"] for each in now]:
        yield "the input is of other files"
    for old, new in zip(before, now, strict=False):
        if old != new and "unreadable" not in old:
            yield f"{new['path']} was changed since"


def plan_of(chunks: Sequence[Sequence[Chunk]], target: Destination, shards: int | None) -> list[list[Chunk]]:
    """Return the windows of each file of OUT: as many as IN has, or as are asked for, or one.

    Args:
        chunks: the windows of each file of IN.
        target: where they go.
        shards: how many files are asked for, if any.
    """
    flat = [chunk for each in chunks for chunk in each]
    if target.single:
        return [flat]
    if shards is None:
        return [list(each) for each in chunks]
    ends = [round(len(flat) * i / shards) for i in range(shards + 1)]
    return [flat[a:b] for a, b in pairwise(ends)]
