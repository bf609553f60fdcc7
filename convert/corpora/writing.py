"""Rows with their vectors, as Parquet, JSON lines or plain numbers."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import numpy as np

from hub2hf.corpora.places import (
    LINES,
    MADE_OF,
    PARQUET,
    SUFFIXES,
    first_line,
    form_of,
    is_there,
    located,
    pyarrow,
    shown,
    whole,
    writable,
)
from hub2hf.errors import ExportError, SourceError

DIGITS: Final = {"halffloat": "%.5g", "float": "%.9g"}  # enough to read the same number again (IEEE 754: 1 + p log 2)
ROWS: Final = 4096  # of JSON that are made at a time
DEEPEST: Final = 50  # pyarrow reads no Parquet that is nested much deeper, nor what it keeps of it
NO_NUMBER: Final = re.compile(r"-?(?:nan|inf)")
OF_PYTHON: Final = ("arrow.uuid", "arrow.bool8")  # types of which pyarrow makes more than what they are stored as
UNNAMED: Final = "<value out of range"  # how Arrow writes a date or time of a year that it does not know
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
    """See that rows of `schema` can have the column `embedding`, be kept, and be written.

    Raises:
        SourceError: they have such a column, or one that cannot be written.
    """
    arrow = pyarrow()
    if embedding in schema.names:
        raise SourceError(f"IN already has a column '{embedding}'.", "Give the new one another name: --embedding NAME.")
    for field in schema:
        depth = _depth(field.type)
        if depth > DEEPEST:
            raise SourceError(
                f"The column '{field.name}' is nested {depth} deep, and {DEEPEST} is the most.", "Leave it out of IN."
            )
        try:
            if form == LINES:
                json_type(field.type)
            elif form == PARQUET:
                arrow.parquet.ParquetWriter(arrow.BufferOutputStream(), arrow.schema([field])).close()
        except (ValueError, arrow.ArrowException) as error:
            other = "Parquet" if form == LINES else "JSON lines"
            raise SourceError(
                f"The column '{field.name}' cannot be written: {first_line(error)}.",
                f"Write {other}, or leave the column out of IN.",
            ) from error


def _depth(kind: Any) -> int:
    """Return how deep a type is nested; 1 where it holds no others."""
    depth, inside = 0, [kind]
    while inside:
        depth, inside = depth + 1, [each.field(i).type for each in inside for i in range(each.num_fields)]
    return depth


def json_type(kind: Any) -> Any:
    """Return what a type becomes in JSON: dates, times and decimals are text, exact to their last digit; durations count.

    Of what is left Python makes words of JSON, and of UUIDs text.

    Raises:
        ValueError: JSON cannot hold it, or nobody knows its time zone.
    """
    arrow, types = pyarrow(), pyarrow().types
    found = kind
    inside = [kind.field(i).with_type(json_type(kind.field(i).type)) for i in range(kind.num_fields)]
    if any(
        each(kind)
        for each in (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    ):
        raise ValueError("JSON has no bytes")
    if types.is_dictionary(kind):
        found = json_type(kind.value_type)
    elif isinstance(kind, arrow.BaseExtensionType) and kind.extension_name not in OF_PYTHON:
        found = json_type(kind.storage_type)
    elif types.is_duration(kind):
        found = arrow.int64()
    elif types.is_decimal(kind):
        found = arrow.string()
    elif types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        found = arrow.nulls(1, kind).cast(arrow.string()).type
    elif types.is_struct(kind):
        found = arrow.struct(inside)
    elif types.is_map(kind):
        found = arrow.map_(*inside[0].type)
    elif types.is_fixed_size_list(kind):
        found = arrow.list_(inside[0], kind.list_size)
    elif types.is_large_list(kind):
        found = arrow.large_list(inside[0])
    elif types.is_list(kind):
        found = arrow.list_(inside[0])
    elif inside != [kind.field(i) for i in range(kind.num_fields)]:
        raise ValueError(f"JSON has no {kind}")
    return found


def as_json(table: Any, text: str) -> Any:
    """Return a table as JSON can hold it; what is not UTF-8 in the column of texts is written as \\xNN.

    Raises:
        ValueError: another column is not UTF-8, or one holds a date or time that has no name; names it.
    """
    arrow = pyarrow()
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = column.cast(json_type(column.type))
        if columns[name].type != column.type and not all(map(_is_named, column.chunks)):
            raise ValueError(f"the column '{name}' holds a date or time outside of the years that have a name")
        try:
            columns[name].validate(full=True)
        except arrow.ArrowException as error:
            if name != text:
                raise ValueError(f"the column '{name}' holds text that is not valid Unicode") from error
            known = columns[name].cast(arrow.large_binary()).to_pylist()
            columns[name] = arrow.array([t if t is None else t.decode("utf-8", "backslashreplace") for t in known])
    return arrow.table(columns)


def _is_named(array: Any) -> bool:
    """Whether Arrow, whose years are of 16 bits, knows the names of all dates and times in an array, however deep they lie.

    Of those it does not know it says so where they have no time zone, and gives others where they have one.
    """
    arrow, types, kind = pyarrow(), pyarrow().types, array.type
    if types.is_dictionary(kind):
        return _is_named(array.dictionary_decode())
    if types.is_struct(kind):
        return all(map(_is_named, array.flatten()))
    if types.is_map(kind):
        return _is_named(array.cast(arrow.list_(kind.field(0))))
    if kind.num_fields:
        return _is_named(array.flatten())
    if not types.is_temporal(kind) or types.is_duration(kind):
        return True
    local = arrow.compute.local_timestamp(array) if types.is_timestamp(kind) and kind.tz else array
    return not arrow.compute.any(arrow.compute.match_substring(local.cast(arrow.string()), UNNAMED)).as_py()


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
            numbers = [NO_NUMBER.sub("null", each) for each in numbers]
            rows = table.drop_columns([embedding]).to_pylist()
            key = json.dumps(embedding, ensure_ascii=False)
            lines = [_line(row, key, each) for row, each in zip(rows, numbers, strict=True)]
        else:
            lines = [each.replace(",", " ") for each in numbers]
        stream.write("".join(f"{line}\n" for line in lines).encode())


def _write_parquet(stream: Any, tables: Iterable[Any], embedding: str, about: Mapping[str, Any]) -> None:
    arrow, coming = pyarrow(), iter(tables)
    table = next(coming)
    schema = table.schema.with_metadata({MADE_OF: json.dumps(about)})
    names = [name for name in table.column_names if name != embedding]  # no two vectors are the same
    with arrow.parquet.ParquetWriter(stream, schema, use_dictionary=names) as writer:
        for each in chain([table], coming):
            writer.write_table(each.replace_schema_metadata(schema.metadata))


def _numbers(column: Any) -> list[str]:
    """Return each vector with commas between its numbers; "" where there is none."""
    flat, missing = column.combine_chunks(), column.is_null().to_pylist()
    width = column.type.list_size
    digits = DIGITS[str(column.type.value_type)]
    row = ",".join([digits] * width)
    values = np.asarray(flat.values).reshape(-1, width)[flat.offset : flat.offset + len(flat)]
    return ["" if absent else row % tuple(value.tolist()) for value, absent in zip(values, missing, strict=True)]


def _line(row: Mapping[str, Any], key: str, numbers: str) -> str:
    try:
        written = json.dumps(row, ensure_ascii=False, default=_text, allow_nan=False)
    except ValueError:
        written = json.dumps(_finite(row), ensure_ascii=False, default=_text)
    return f"{written[:-1]}{', ' if row else ''}{key}: {f'[{numbers}]' if numbers else 'null'}}}"


def _text(value: Any) -> str:
    if not isinstance(value, UUID):
        raise TypeError(f"{type(value).__name__} is not of a `json_type`")
    return str(value)


def _finite(value: Any) -> Any:
    """Return a value of JSON with null in place of what is no number."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
        if is_there(files, path):
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
