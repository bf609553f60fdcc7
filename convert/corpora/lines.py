"""The rows of a file of lines: a text each, or a JSON object each."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from hub2hf.corpora.places import TEXT, Input, first_line, pyarrow
from hub2hf.errors import SourceError

NULL, NO_STRING, NO_UTF8 = "null", "not a string", "not valid Unicode"  # why a text has no embedding
ONE_TYPE: Final = "Give the column one type, or leave it out."
BUFFER: Final = 1 << 20  # bytes read ahead
BOM: Final = b"\xef\xbb\xbf"


class LineReader:
    """A file of lines: a text each, or a JSON object each."""

    def __init__(self, given: Input, text: str) -> None:
        self.given, self.text = given, text
        stream = (
            given.files.open_input_stream(given.path, compression=given.compression)
            if given.compression
            else given.files.open_input_file(given.path)
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
            SourceError: a column is of mixed types, or holds what no column can.
        """
        arrow = pyarrow()
        if self.given.form == TEXT:
            texts = [line.decode("utf-8", "backslashreplace") for line in lines]  # what is not UTF-8 as \xNN
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
        except (ValueError, RecursionError) as error:
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
        except UnicodeEncodeError as error:
            raise self._unkept(
                name, "text that is not valid Unicode", "Mend the text, or leave the column out."
            ) from error
        except OverflowError as error:
            raise self._unkept(
                name, "a whole number outside of -2**63 … 2**63 - 1", "Write it as text, or leave the column out."
            ) from error
        except (arrow.ArrowException, ValueError, TypeError) as error:
            raise SourceError(
                f"{self.given.path} has a column of mixed types: '{name}': {first_line(error)}.", ONE_TYPE
            ) from error

    def _unkept(self, name: str, what: str, next_step: str) -> SourceError:
        return SourceError(f"{self.given.path}: the column '{name}' holds {what}.", next_step)

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
