"""The rows of a corpus, window by window: a table of what there is, and the text of each row or why it has none.

Parquet tells its columns. Those of JSON lines are what a first pass over the file finds, which also counts the rows and
notes where each window begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from hub2hf.corpora.lines import BUFFER, NO_UTF8, NULL, ONE_TYPE, LineReader
from hub2hf.corpora.places import MADE_OF, PARQUET, Input, failures, first_line, pyarrow
from hub2hf.errors import SourceError


@dataclass(frozen=True)
class Window:
    """Some rows of a corpus, in order.

    Attributes:
        table: their columns.
        texts: the text of each; None where it is not one.
        failed: why → how many are not.
    """

    table: Any
    texts: list[str | None]
    failed: Mapping[str, int]


@dataclass(frozen=True)
class Scan:
    """What a first look at a file tells.

    Attributes:
        rows: how many there are.
        schema: their columns, but those that the names of its folders tell.
        offsets: of lines, the byte at which each window begins.
        made_of: what `embed` keeps in a file of Parquet that it writes, as JSON; empty in all others.
    """

    rows: int
    schema: Any
    offsets: tuple[int, ...] = ()
    made_of: bytes = b""


def scan(given: Input, text: str, window: int) -> Scan:
    """Look through a file once, for all but its texts.

    Raises:
        SourceError: it has no such column of strings, two of one name, or one that cannot be kept; names it.
        OSError, ValueError, ArrowException: it cannot be read.
    """
    found = _scan_parquet(given) if given.form == PARQUET else _scan_lines(given, text, window)
    twice = [name for name, times in Counter(found.schema.names).items() if times > 1]
    if twice:
        raise SourceError(f"{given.path} has two columns '{twice[0]}'.", "Give each column a name of its own.")
    if found.rows or given.form == PARQUET:
        _check_strings(given, found.schema, text)
    return found


def _scan_parquet(given: Input) -> Scan:
    with given.files.open_input_file(given.path) as opened:
        file = pyarrow().parquet.ParquetFile(opened)
        made_of = (file.schema_arrow.metadata or {}).get(MADE_OF, b"")
        schema = file.schema_arrow.remove_metadata()  # that of a data set would be wrong with one column more
        return Scan(file.metadata.num_rows, schema, made_of=made_of)


def _scan_lines(given: Input, text: str, window: int) -> Scan:
    rows, schema, offsets = 0, pyarrow().schema([]), []
    with closing(LineReader(given, text)) as reader:
        while True:
            offset, lines = reader.position, reader.lines(window)
            if not lines:
                break
            offsets.append(offset)
            try:
                schema = _unified(schema, reader.table(lines, rows).schema)
            except pyarrow().ArrowException as error:
                raise SourceError(
                    f"{given.path} has a column of mixed types: {first_line(error)}.", ONE_TYPE
                ) from error
            rows += len(lines)
    return Scan(rows, schema, () if given.compression else tuple(offsets))


def scanned(found: Sequence[Input], text: str, window: int) -> tuple[dict[int, Scan], dict[int, str]]:
    """Return what a first look at each file tells, and of which one why it cannot be read, by their numbers.

    Raises:
        SourceError: as `scan`; or none of them can be read.
    """
    scans, unreadable = {}, {}
    for i, given in enumerate(found):
        try:
            scans[i] = scan(given, text, window)
        except failures(ValueError) as error:
            unreadable[i] = first_line(error)
    if not scans:
        i, why = next(iter(unreadable.items()))
        others = "; neither can the others" if len(found) > 1 else ""
        raise SourceError(f"{found[i].path} cannot be read: {why}{others}.", "Repair it, or name another.")
    return scans, unreadable


def _unified(schema: Any, other: Any) -> Any:
    """Return the columns of both; a column that has been null so far takes the type of the other."""
    return pyarrow().unify_schemas([schema, other], promote_options="permissive")


def joined(scans: Sequence[tuple[Input, Scan]], text: str) -> Any:
    """Return the columns of all files, and those that folders alone tell; see `_lacking` for a file that has not all.

    Raises:
        SourceError: two files have a column of different types, or a folder tells what is not of a column's type.
    """
    arrow = pyarrow()
    schema = arrow.schema([])
    for given, found in scans:
        try:
            schema = _unified(schema, found.schema)
        except arrow.ArrowException as error:
            raise SourceError(
                f"{given.path} has a column of another type than files before it: {first_line(error)}.",
                "Give the column one type in all files, or leave the file out.",
            ) from error
    names = dict.fromkeys([*schema.names, *(name for given, _ in scans for name in given.partitions)] or [text])
    known = {field.name: field.type for field in schema if field.type != arrow.null()}
    schema = arrow.schema([(name, known.get(name, arrow.string())) for name in names])
    for given, found in scans:
        for name in set(given.partitions) - set(found.schema.names):
            try:
                _lacking(given, schema.field(name), min(1, found.rows))
            except arrow.ArrowException as error:
                raise SourceError(
                    f"{given.path} is in a folder '{name}={given.partitions[name]}', but the column '{name}' of other "
                    f"files holds {known[name]}.",
                    "Make it a column of strings there, or give the folder another name.",
                ) from error
    return schema


def _lacking(given: Input, field: Any, rows: int) -> Any:
    """Return a column that a file does not have: in all rows what the name of a folder tells, or null."""
    arrow, value = pyarrow(), given.partitions.get(field.name)
    if value is None or not rows:
        return arrow.nulls(rows, field.type)
    return arrow.array([value] * rows, arrow.string()).cast(field.type)


def _check_strings(given: Input, schema: Any, text: str) -> None:
    types = pyarrow().types
    if text not in schema.names:
        columns = ", ".join(schema.names) or "none"
        raise SourceError(f"{given.path} has no column '{text}'; it has {columns}.", "Name it: --text COLUMN.")
    kind = schema.field(text).type
    plain = kind.value_type if types.is_dictionary(kind) else kind
    strings = types.is_string(plain) or types.is_large_string(plain) or types.is_string_view(plain)
    if not strings and not types.is_null(kind):  # of many files one may have no text at all
        raise SourceError(
            f"{given.path}: the column '{text}' holds {kind}, not strings.", "Name another: --text COLUMN."
        )


class Reader:
    """Reads a file's windows; those of a file that is not compressed in any order, at their own cost."""

    def __init__(self, given: Input, text: str, found: Scan, schema: Any, window: int) -> None:
        self.given, self.text, self.found, self.schema, self.window = given, text, found, schema, window
        self._lines: LineReader | None = None
        self._parquet: ParquetRows | None = None

    def take(self, number: int) -> Window:
        """Return the window of that number.

        Raises:
            OSError, ValueError, ArrowException: it cannot be read.
        """
        start = number * self.window
        count = min(self.window, self.found.rows - start)
        if self.given.form == PARQUET:
            self._parquet = self._parquet or ParquetRows(self.given)
            table = self._parquet.rows(start, count)
            texts, failed = _strings(table.column(self.text))
        else:
            self._lines = self._lines or LineReader(self.given, self.text)
            if self.found.offsets:
                self._lines.seek(self.found.offsets[number])
            else:
                self._lines.skip_to(start)
            lines = self._lines.lines(count)
            table = self._lines.table(lines, start, self.schema)
            texts, failed = self._lines.texts(lines)
        if len(texts) != count:
            raise OSError(f"it ends after {start + len(texts)} rows of {self.found.rows}")
        return Window(_fitted(table, self.schema, self.given), texts, failed)

    def close(self) -> None:
        """Let go of the file."""
        for opened in (self._lines, self._parquet):
            if opened is not None:
                opened.close()


def _fitted(table: Any, schema: Any, given: Input) -> Any:
    """Return rows of a file with all the columns of `schema`."""
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else _lacking(given, field, len(table))
        for field in schema
    ]
    return pyarrow().table(columns, schema=schema)


def _strings(column: Any) -> tuple[list[str | None], Counter[str]]:
    """Return the strings of a Parquet column, which may hold bytes that are none."""
    try:
        texts: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        arrow = pyarrow()
        texts = []
        for value in column.cast(arrow.large_binary()).to_pylist():
            try:
                texts.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                texts.append(None)
    nulls = column.null_count
    return texts, +Counter({NULL: nulls, NO_UTF8: texts.count(None) - nulls})


class ParquetRows:
    """The rows of a Parquet file in rising order, or from any place on; never more than a few pages are held."""

    def __init__(self, given: Input) -> None:
        self._opened = given.files.open_input_file(given.path)
        self._file = pyarrow().parquet.ParquetFile(self._opened, pre_buffer=False, buffer_size=BUFFER)
        self._at = -1
        self._left: Any = None  # rows that were read and not asked for yet
        self._batches: Iterator[Any] = iter(())

    def rows(self, start: int, count: int) -> Any:
        """Return `count` rows from the row `start` on, as a table; fewer at the end of the file."""
        arrow = pyarrow()
        if start != self._at:
            self._open(start, count)
        parts, have = ([], 0) if self._left is None else ([self._left], len(self._left))
        while have < count and (batch := next(self._batches, None)) is not None:
            parts.append(arrow.Table.from_batches([batch]))
            have += len(parts[-1])
        whole = arrow.concat_tables(parts) if parts else self._file.schema_arrow.empty_table()
        self._left, self._at = whole.slice(count), start + count
        return whole.slice(0, count)

    def _open(self, start: int, size: int) -> None:
        """Read on from the row group that holds the row `start`."""
        first = 0
        groups: list[int] = []
        for number in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(number).num_rows
            if first + rows <= start and not groups:
                first += rows
            else:
                groups.append(number)
        self._batches, self._left, self._at = self._file.iter_batches(max(1, size), row_groups=groups), None, first
        while self._at < start:
            self.rows(self._at, min(size, start - self._at))

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()
