"""The rows of a corpus, window by window: a table of what there is, and the text of each row or why it has none.

Parquet tells its columns. Those of JSON lines are what a first pass over the file finds, which also counts the rows and
notes where each window begins.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hub2hf.corpora.places import MADE_OF, PARQUET, TEXT, Input, first_line, pyarrow
from hub2hf.errors import SourceError

NULL, NO_STRING, NO_UTF8 = "null", "not a string", "not valid Unicode"  # why a text has no embedding
BUFFER: Final = 1 << 20  # bytes read ahead
BOM: Final = b"\xef\xbb\xbf"


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
        schema: their columns.
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
        SourceError: it has no such column of strings, or a column is of mixed types; names it.
        OSError, ValueError, ArrowException: it cannot be read.
    """
    arrow = pyarrow()
    if given.form == PARQUET:
        with given.files.open_input_file(given.path) as opened:
            file = arrow.parquet.ParquetFile(opened)
            schema = file.schema_arrow.remove_metadata()  # that of a data set would be wrong with one column more
            _check_strings(given, schema, text)
            made_of = (file.schema_arrow.metadata or {}).get(MADE_OF, b"")
            return Scan(file.metadata.num_rows, schema, made_of=made_of)
    rows, schema, offsets = 0, arrow.schema([]), []
    reader = LineReader(given, text)
    while True:
        offset, lines = reader.position, reader.lines(window)
        if not lines:
            break
        offsets.append(offset)
        schema = _joined(given, schema, reader.table(lines, rows).schema)
        rows += len(lines)
    reader.close()
    if rows:
        _check_strings(given, schema, text)
    return Scan(rows, schema, () if given.compressed else tuple(offsets))


def scanned(found: Sequence[Input], text: str, window: int) -> tuple[dict[int, Scan], dict[int, str]]:
    """Return what a first look at each file tells, and of which one why it cannot be read, by their numbers.

    Raises:
        SourceError: as `scan`; or none of them can be read.
    """
    scans, unreadable = {}, {}
    for i, given in enumerate(found):
        try:
            scans[i] = scan(given, text, window)
        except (OSError, ValueError, pyarrow().ArrowException) as error:
            unreadable[i] = first_line(error)
    if not scans:
        i, why = next(iter(unreadable.items()))
        others = "; neither can the others" if len(found) > 1 else ""
        raise SourceError(f"{found[i].path} cannot be read: {why}{others}.", "Repair it, or name another.")
    return scans, unreadable


def _joined(given: Input, schema: Any, other: Any) -> Any:
    """Return the columns of both; a column that has been null so far takes the type of the other."""
    arrow = pyarrow()
    try:
        return arrow.unify_schemas([schema, other], promote_options="permissive")
    except arrow.ArrowException as error:
        raise _mixed(given, first_line(error)) from error


def joined(scans: Iterable[tuple[Input, Scan]], text: str) -> Any:
    """Return the columns of all files; one that a file lacks is null there.

    Raises:
        SourceError: two files have a column of different types.
    """
    arrow = pyarrow()
    schema = arrow.schema([])
    for given, found in scans:
        schema = _joined(given, schema, found.schema)
    fields = [arrow.field(f.name, arrow.string() if f.type == arrow.null() else f.type) for f in schema]
    return arrow.schema(fields if fields else [arrow.field(text, arrow.string())])


def _mixed(given: Input, why: str) -> SourceError:
    return SourceError(
        f"{given.path} has a column of mixed types: {why}.", "Give the column one type, or leave it out."
    )


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
        return Window(_fitted(table, self.schema), texts, failed)

    def close(self) -> None:
        """Let go of the file."""
        for opened in (self._lines, self._parquet):
            if opened is not None:
                opened.close()


def _fitted(table: Any, schema: Any) -> Any:
    """Return a table with all the columns of `schema`."""
    arrow = pyarrow()
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else arrow.nulls(len(table), field.type)
        for field in schema
    ]
    return arrow.table(columns, schema=schema)


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
        self._batches, self._left, self._at = self._file.iter_batches(size, row_groups=groups), None, first
        while self._at < start:
            self.rows(self._at, min(size, start - self._at))

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()


class LineReader:
    """A file of lines: a text each, or a JSON object each."""

    def __init__(self, given: Input, text: str) -> None:
        self.given, self.text = given, text
        stream = (
            given.files.open_input_stream(given.path) if given.compressed else given.files.open_input_file(given.path)
        )
        self._stream = stream
        self._file = io.BufferedReader(stream, BUFFER)
        self.position, self._row = 0, 0

    def seek(self, offset: int) -> None:
        """Go on from that byte."""
        if offset != self.position:
            self._file.seek(offset)
            self.position = offset

    def skip_to(self, row: int) -> None:
        """Go on from that row, of a file that cannot be entered in the middle."""
        while self._row < row:
            if not self.lines(1):
                return

    def lines(self, count: int) -> list[bytes]:
        """Return the next lines, without their ends; blank ones are no rows of JSON lines."""
        found: list[bytes] = []
        while len(found) < count and (line := self._file.readline()):
            if self.position == 0:
                self.position, line = (3, line[3:]) if line.startswith(BOM) else (0, line)
            self.position += len(line)
            if self.given.form == TEXT or line.strip():
                found.append(line.rstrip(b"\r\n"))
        self._row += len(found)
        return found

    def texts(self, lines: Sequence[bytes]) -> tuple[list[str | None], Counter[str]]:
        """Return the text of each line, and why how many are none."""
        failed: Counter[str] = Counter()
        values = [self._text(line) if self.given.form == TEXT else json.loads(line).get(self.text) for line in lines]
        texts: list[str | None] = []
        for value in values:
            why = _why_none(value)
            failed.update([why] if why else [])
            texts.append(None if why else str(value))
        return texts, failed

    @staticmethod
    def _text(line: bytes) -> str:
        return line.decode("utf-8", "surrogateescape")

    def table(self, lines: Sequence[bytes], first: int, schema: Any = None) -> Any:
        """Return lines as a table, with the types of `schema` or those that they show; `first` is the row of the first.

        Raises:
            ValueError: a line is no JSON object; names its row.
            SourceError: a column is of mixed types.
        """
        arrow = pyarrow()
        if self.given.form == TEXT:
            texts = [self._text(line).encode("utf-8", "backslashreplace").decode() for line in lines]
            # what is not UTF-8 is written as \xNN
            return arrow.table({self.text: arrow.array(texts, arrow.string())})
        rows = [self._object(line, first + i) for i, line in enumerate(lines)]
        columns = {name: arrow.string() for name in [self.text] if any(name in row for row in rows)}
        ordered = list(dict.fromkeys(name for row in rows for name in row))
        for name in ordered:
            known = schema is not None and name in schema.names
            columns.setdefault(name, schema.field(name).type if known else None)
        arrays = [self._column(name, [row.get(name) for row in rows], columns[name]) for name in ordered]
        return arrow.table(dict(zip(ordered, arrays, strict=True)))

    def _object(self, line: bytes, row: int) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ValueError(f"row {row + 1} is no JSON: {first_line(error)}") from error
        if not isinstance(found, dict):
            raise ValueError(f"row {row + 1} is no JSON object")  # noqa: TRY004  (the file's mistake, not a caller's)
        return found

    def _column(self, name: str, values: list[Any], kind: Any) -> Any:
        arrow = pyarrow()
        if name == self.text:  # what is no text stays as the JSON that it is
            values = [v if v is None or not _why_none(v) else json.dumps(v) for v in values]
        try:
            return arrow.array(values, kind)
        except (arrow.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise _mixed(self.given, f"'{name}': {first_line(error)}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.detach()
        self._stream.close()


def _why_none(value: Any) -> str:
    """Return why a value is no text; "" where it is one."""
    if value is None:
        return NULL
    if not isinstance(value, str):
        return NO_STRING
    try:
        value.encode()
    except UnicodeEncodeError:
        return NO_UTF8
    return ""
