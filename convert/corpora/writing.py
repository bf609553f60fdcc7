"""Rows with their vectors, as Parquet, JSON lines or plain numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np

from hub2hf.corpora.places import LINES, MADE_OF, PARQUET, SUFFIXES, form_of, located, pyarrow, shown, whole, writable
from hub2hf.errors import ExportError, SourceError

DIGITS: Final = {"halffloat": "%.5g", "float": "%.9g"}  # enough to read the same number again (IEEE 754: 1 + p log 2)
ROWS: Final = 4096  # of JSON that are made at a time
AGAIN: Final = "Name another OUT, or remove this one."
FORMS: Final = "Name a file that ends in .parquet or .jsonl."


def with_vectors(table: Any, name: str, vectors: np.ndarray, missing: np.ndarray) -> Any:
    """Return a table with one column more.

    Args:
        table: of n rows.
        name: of the new column.
        vectors: float [n, hidden]; what it holds of missing ones is not looked at.
        missing: bool [n].
    """
    arrow = pyarrow()
    flat = arrow.array(np.ascontiguousarray(vectors).reshape(-1))
    column = arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1], mask=arrow.array(missing))
    return table.append_column(name, column)


def check_columns(schema: Any, embedding: str, form: str) -> None:
    """See that rows of `schema` can have the column `embedding` and be written.

    Raises:
        SourceError: they have such a column, or one that JSON cannot hold.
    """
    types = pyarrow().types
    if embedding in schema.names:
        raise SourceError(f"IN already has a column '{embedding}'.", "Give the new one another name: --embedding NAME.")
    for field in schema:
        kind = field.type
        if form == LINES and (types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)):
            raise SourceError(f"JSON cannot hold the bytes of the column '{field.name}'.", "Write Parquet.")


def write_rows(stream: Any, form: str, tables: Iterable[Any], embedding: str, about: Mapping[str, Any]) -> None:
    """Write tables, of which there is at least one, one after the other.

    Args:
        stream: a pyarrow output stream.
        form: PARQUET, LINES or TEXT; of the last the vectors alone are written, a line each, empty where there is none.
        tables: of the same columns.
        embedding: which of them holds the vectors.
        about: what made them, kept in the file where its form has a place for it.
    """
    if form == PARQUET:
        _write_parquet(stream, tables, embedding, about)
        return
    for table in tables:
        numbers = _numbers(table.column(embedding))
        if form == LINES:
            rows = table.drop_columns([embedding]).to_pylist()
            key = json.dumps(embedding, ensure_ascii=False)
            lines = [_line(row, key, each) for row, each in zip(rows, numbers, strict=True)]
        else:
            lines = [each.replace(",", " ") for each in numbers]
        stream.write("".join(f"{line}\n" for line in lines).encode())


def _write_parquet(stream: Any, tables: Iterable[Any], embedding: str, about: Mapping[str, Any]) -> None:
    arrow, writer = pyarrow(), None
    for table in tables:
        if writer is None:
            schema = table.schema.with_metadata({MADE_OF: json.dumps(about)})
            names = [name for name in table.column_names if name != embedding]  # no two vectors are the same
            writer = arrow.parquet.ParquetWriter(stream, schema, use_dictionary=names)
        writer.write_table(table.replace_schema_metadata(schema.metadata))
    if writer is not None:
        writer.close()


def _numbers(column: Any) -> list[str]:
    """Return each vector with commas between its numbers; "" where there is none."""
    flat, missing = column.combine_chunks(), column.is_null().to_pylist()
    width = column.type.list_size
    digits = DIGITS[str(column.type.value_type)]
    row = ",".join([digits] * width)
    values = np.asarray(flat.values).reshape(-1, width)[flat.offset : flat.offset + len(flat)]
    return ["" if absent else row % tuple(value.tolist()) for value, absent in zip(values, missing, strict=True)]


def _line(row: Mapping[str, Any], key: str, numbers: str) -> str:
    start = json.dumps(row, ensure_ascii=False, default=str)[:-1]
    return f"{start}{', ' if row else ''}{key}: {f'[{numbers}]' if numbers else 'null'}}}"


@contextmanager
def written(out: str) -> Iterator[Callable[[Any], None]]:
    """Yield what writes the one table of a new file, in memory already; the file has its name once all went well.

    Args:
        out: a path or URL of Parquet or JSON lines.

    Raises:
        ExportError: it is there already, of a form that is not written, or cannot be written.
    """
    arrow, (files, path) = pyarrow(), located(out)
    place, form = PurePosixPath(path), form_of(path)
    if form not in (PARQUET, LINES) or place.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{shown(out)} is no name of a file that can be written.", FORMS)
    work = str(place.with_name(f".{place.name}.{os.getpid()}"))

    def check_free() -> None:
        if files.get_file_info(path).type != arrow.fs.FileType.NotFound:
            raise ExportError(f"{shown(out)} exists already.", AGAIN)

    def write(table: Any) -> None:
        with writable(shown(out), AGAIN):
            if form == PARQUET:
                arrow.parquet.write_table(table, stream)
            else:
                _write_lines(stream, table)

    with writable(shown(out), AGAIN):
        check_free()
    with whole(files, path, work, place=shown(out), next_step=AGAIN) as stream:
        yield write
        with writable(shown(out), AGAIN):
            check_free()


def _write_lines(stream: Any, table: Any) -> None:
    floats = [field.name for field in table.schema if pyarrow().types.is_floating(field.type)]
    for batch in table.to_batches(ROWS):
        rows = [{**row, **{name: float(DIGITS["float"] % row[name]) for name in floats}} for row in batch.to_pylist()]
        stream.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode())
