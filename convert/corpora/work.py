"""Where a run of `embed` stands: its manifest, and the windows and files that are done, each there whole or not at all.

OUT is a file, or a folder of Parquet files. Beside it, or in it, stands a manifest, which says what is made of what; and,
until all is done, a hidden folder of windows that are embedded. A window becomes part of its file when all of that file's
are there. Whatever is written is written under another name and renamed: a kill leaves nothing that counts.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hub2hf.corpora.destination import Destination
from hub2hf.corpora.places import failures, first_line, is_local, is_there, pyarrow, whole, writable
from hub2hf.corpora.writing import write_rows
from hub2hf.errors import ExportError
from hub2hf.folder.files import as_text
from hub2hf.locks import held

VERSION: Final = 2
AGAIN: Final = "Run the same command again: it goes on where this one stopped."
MOVE: Final = "Move it away and run the same command again."
WINDOW_FILE: Final = re.compile(r"(\d+)-\d+\.arrow")
OURS: Final = re.compile(r"lock|part|part\.json|done-\d+\.json|\d+-\d+\.arrow(\.part)?")  # names in the hidden folder
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


@dataclass
class Work:
    """A run, from its first to its last, however often it is stopped.

    Args:
        target: where it writes.
        plan: the windows of each file of OUT.
        identity: what is made of what, as JSON data.
        unreadable: files of IN that cannot be read; they may be repaired.
    """

    target: Destination
    plan: Sequence[Sequence[Chunk]]
    identity: Mapping[str, Any]
    unreadable: set[int] = field(default_factory=set)
    # Of the files of OUT that were written: their rows, failed texts and bytes.
    _records: dict[int, dict[str, Any]] = field(default_factory=dict, init=False)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the place for this run alone.

        Raises:
            ExportError: another run works there, or another has worked there.
        """
        with contextlib.ExitStack() as block:
            self._before()  # refuses before anything is made
            made = self._is_new()
            with writable(self.target.path, "Check the disk and the permissions."):
                self.target.files.create_dir(self.target.work)
            if is_local(self.target.files):
                taken = ExportError(f"Another hub2hf embed is writing {self.target.path}.", "Wait for it.")
                block.enter_context(held(Path(f"{self.target.work}/lock"), taken))
            before = self._before()  # once more: another run may have ended meanwhile
            with writable(self.target.work, AGAIN):
                self._take_up(before)
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
                    self._clear()

    def _is_new(self) -> bool:
        """Whether nothing is there yet, not even a folder."""
        return not is_there(self.target.files, self.target.path)

    def _begun(self) -> bool:
        """Whether anything was embedded that another run could go on with."""
        return any(name.endswith(".arrow") or name.startswith("done-") for name in self._kept_files())

    def _leave(self, *, made: bool) -> None:
        """Remove what a run left that came to nothing: the next is not held against it."""
        files = self.target.files
        with contextlib.suppress(OSError):
            if self._exists(self.target.manifest):
                files.delete_file(self.target.manifest)
            self._clear()
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
        known = (content.get("done") or {}).get("files")
        self._records.clear()
        for shard in range(len(self.plan)):
            name = PurePosixPath(self._shard(shard)).name
            record = self._read(self._record(shard)) if known is None else known.get(name)
            if record is not None:
                self._records[shard] = record
            self._is_done(shard)
        return content

    def _taken(self) -> str:
        """Return what stands where OUT is to be; "" where nothing does."""
        arrow, files = pyarrow(), self.target.files
        if self.target.single or files.get_file_info(self.target.path).type == arrow.fs.FileType.File:
            return self.target.path if is_there(files, self.target.path) else ""
        inside = files.get_file_info(arrow.fs.FileSelector(self.target.path, allow_not_found=True))
        return next((each.path for each in inside if not each.base_name.startswith(".")), "")

    def _take_up(self, before: Mapping[str, Any] | None) -> None:
        """Begin, or go on where the run before was stopped, or with what was taken away since."""
        if before is None:
            self._delete(name for name in self._kept_files() if name != "lock")  # whatever it is of, nothing says so
        elif before.get("done") is None:
            for file, (old, new) in enumerate(zip(before["inputs"], self.identity["inputs"], strict=True)):
                if "unreadable" in old and old == {**new, "unreadable": True}:
                    self.unreadable.add(file)
                elif "unreadable" in old:
                    self._forget(file)
        elif all(map(self._is_done, range(len(self.plan)))):
            return
        else:
            for shard in filter(self._is_done, range(len(self.plan))):
                self._write(self._record(shard), self._records[shard], AGAIN)
        self._write_manifest(None)

    def _forget(self, file: int) -> None:
        """Remove what was made of a file of IN that is another by now."""
        for shard, chunks in enumerate(self.plan):
            if any(chunk.file == file for chunk in chunks) and self._is_done(shard):
                self.target.files.delete_file(self._shard(shard))
        matches = map(WINDOW_FILE.fullmatch, self._kept_files())
        self._delete([match[0] for match in matches if match and int(match[1]) == file])

    def done(self) -> dict[str, Any] | None:
        """Return what the manifest says of a run that has ended: rows and failed texts."""
        content = self._read(self.target.manifest)
        return content and content.get("done")

    def missing(self) -> dict[int, list[Chunk]]:
        """Return, of each file of OUT, the windows that are still to be embedded; none of one that is done."""
        there = {name for name, size in self._kept_files().items() if size}  # a power cut may leave an empty one
        return {
            shard: [] if self._is_done(shard) else [chunk for chunk in chunks if chunk.name not in there]
            for shard, chunks in enumerate(self.plan)
        }

    def damaged(self, file: int) -> None:
        """Note that a file of IN cannot be read to its end: a run goes on once it is repaired."""
        self.unreadable.add(file)
        self._write_manifest(None)

    def finish(self, shard: int, embedding: str) -> None:
        """Make a file of OUT of its windows, which are all there, and remove them.

        Raises:
            ExportError: it cannot be written, or another stands there.
        """
        path, part = self._shard(shard), f"{self.target.work}/part"
        if self._is_done(shard):
            self._delete(chunk.name for chunk in self.plan[shard])  # by a run that was stopped while it removed them
            return
        rows, failed = 0, Counter[str]()

        def tables() -> Iterator[Any]:
            nonlocal rows
            for chunk in self.plan[shard]:
                table = self._kept(chunk)
                rows += len(table)
                failed.update(json.loads(table.schema.metadata[b"failed"]))
                yield table.replace_schema_metadata()

        with (
            writable(path, AGAIN),
            whole(self.target.files, path, part, place=path, next_step=AGAIN) as stream,
        ):
            # What it was made by; the manifest says of what, which may be thousands of files.
            made_by = {name: value for name, value in self.identity.items() if name != "inputs"}
            write_rows(stream, self.target.form, tables(), embedding, made_by)
            if is_there(self.target.files, path):
                raise _foreign(path)
            record = {"rows": rows, "failed": dict(failed), "bytes": stream.tell()}
            self._write(self._record(shard), record, AGAIN)
        self._records[shard] = record
        self._delete(chunk.name for chunk in self.plan[shard])

    def end(self) -> dict[str, Any]:
        """Return how many rows and failed texts the files hold; and where all are there, say so in the manifest."""
        rows, failed, files = 0, Counter[str](), {}
        for shard in filter(self._is_done, range(len(self.plan))):
            record = files[PurePosixPath(self._shard(shard)).name] = self._records[shard]
            rows += record["rows"]
            failed.update(record["failed"])
        counts = {"rows": rows, "failed": dict(failed)}
        if len(files) == len(self.plan):
            self.unreadable.clear()
            self._write_manifest({**counts, "files": files})
        return counts

    @property
    def written(self) -> list[str]:
        """The files of OUT that are there."""
        return [path for path in map(self._shard, sorted(self._records)) if self._exists(path)]

    def _is_done(self, shard: int) -> bool:
        """Whether a file of OUT is there.

        Raises:
            ExportError: another than was written is.
        """
        path, record = self._shard(shard), self._records.get(shard)
        if not is_there(self.target.files, path):
            return False
        if record is None:
            raise _foreign(path)
        if self.target.files.get_file_info(path).size != record["bytes"]:
            raise ExportError(f"{path} was changed since embed wrote it.", MOVE)
        return True

    def _shard(self, number: int) -> str:
        return self.target.shard(number, len(self.plan))

    def _record(self, shard: int) -> str:
        return f"{self.target.work}/done-{shard:05}.json"

    def _kept(self, chunk: Chunk) -> Any:
        """Return a window that was kept.

        Raises:
            ExportError: it is damaged; the next run embeds it again.
        """
        try:
            with self.target.files.open_input_file(f"{self.target.work}/{chunk.name}") as stream:
                return pyarrow().ipc.open_file(stream).read_all()
        except pyarrow().ArrowInvalid as error:
            self._delete([chunk.name])
            raise ExportError(f"{self.target.work}/{chunk.name} is damaged, and was removed.", AGAIN) from error

    def _kept_files(self) -> dict[str, int]:
        """Return name → bytes of what embed has made in the hidden folder."""
        selector = pyarrow().fs.FileSelector(self.target.work, allow_not_found=True)
        inside = self.target.files.get_file_info(selector)
        return {info.base_name: info.size or 0 for info in inside if OURS.fullmatch(info.base_name)}

    def _delete(self, names: Iterable[str]) -> None:
        """Remove files of the hidden folder."""
        with writable(self.target.work, AGAIN):
            for name in names:
                if self._exists(path := f"{self.target.work}/{name}"):
                    self.target.files.delete_file(path)

    def _clear(self) -> None:
        """Remove the hidden folder, but not what others have put there."""
        self._delete(self._kept_files())
        if not self.target.files.get_file_info(pyarrow().fs.FileSelector(self.target.work, allow_not_found=True)):
            self.target.files.delete_dir(self.target.work)

    def _exists(self, path: str) -> bool:
        return bool(self.target.files.get_file_info(path).type == pyarrow().fs.FileType.File)

    def _write_manifest(self, done: Mapping[str, Any] | None) -> None:
        inputs = [
            {**given, "unreadable": True} if file in self.unreadable else given
            for file, given in enumerate(self.identity["inputs"])
        ]
        content = {"version": VERSION, **self.identity, "inputs": inputs, "done": done}
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
        except failures(ValueError) as error:
            raise ExportError(
                f"{path} cannot be read: {error}.", "Name another OUT, or remove this one with it."
            ) from error
        return content if isinstance(content, dict) else {}


def _foreign(path: str) -> ExportError:
    return ExportError(f"{path} exists already, and hub2hf embed did not write it.", MOVE)


def keep(target: Destination, chunk: Chunk, table: Any, failed: Mapping[str, int]) -> None:
    """Write a window, whole or not at all, from any process.

    Raises:
        ExportError: it cannot be written.
    """
    arrow = pyarrow()
    try:
        table = table.unify_dictionaries()  # a file of Arrow has one for each column
    except arrow.ArrowInvalid as error:
        raise ExportError(
            f"{target.path} cannot be written: {first_line(error)}.", "Store plain values in the columns of IN."
        ) from error
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
    yield from _other_inputs(before.get("inputs") or [], now["inputs"], whole=now["shards"] is None)


def _other_inputs(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], *, whole: bool
) -> Iterator[str]:
    """Yield in what the files differ; those that could not be read may have been repaired.

    Args:
        before, now: the files, then and now.
        whole: whether a file of OUT is made of whole files.
    """
    if [each["path"] for each in before] != [each["path"] for each in now]:
        yield "the input is of other files"
    for old, new in zip(before, now, strict=False):
        if old != new and "unreadable" not in old:
            yield f"{new['path']} was changed since"
        elif old["rows"] != new["rows"] and not whole:
            yield f"{new['path']} has {new['rows']} rows, not {old['rows']}, and so each file of OUT has others"


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
