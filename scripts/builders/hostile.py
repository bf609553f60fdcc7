"""SavedModels that lie, made from the embedded one: each case is a number, and the same number gives the same bytes.

Families: raw bytes; the checkpoint's index with its checksums made to match; the data with its checksums made to match;
the graph; text (regexes, vocabulary); and a list of crafted graphs for every bound that a conversion has.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c

from builders.bundles import encode_table
from hub2hf.interpreter.catalog import operations
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.table import mask_crc, read_table
from hub2hf.sources import resolve

BASE = resolve("lealla-mini")
GRAPH, INDEX = "saved_model.pb", "variables/variables.index"
DATA, VOCABULARY = "variables/variables.data-00000-of-00001", "assets/vocab.txt"
FILES = (GRAPH, INDEX, DATA, VOCABULARY)
NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    256,
    65535,
    1 << 20,
    1 << 28,
    1 << 31,
    -(1 << 31),
    1 << 40,
    (1 << 63) - 1,
    -(1 << 63),
)
HOSTILE_REGEXES = (
    "(a*)*b",
    "(a|a)*b",
    "(a|aa)+$",
    "(?:a?){100}a{100}",
    "((a{0,100}){0,100}){0,100}",
    "(x+x+)+y",
    "(" * 5000 + "a" + ")" * 5000,
    "[a-z]{1000}" * 20,
    "(a|b|ab){40}c",
    "|".join(f"[{chr(0x4E00 + i)}-{chr(0x9000 + i)}]x" for i in range(500)),
    ".*" * 30,
    ".*(.*[a-m].*[n-z].*)*x.*$",
    "(?:.*a){12}",
    "(.*a.{12})",
    r"\p{L}" * 300,
    r"\C",
    "(?i)a",
    "[[:foo:]]",
    "a{1001}",
    "a**",
    *"()[\\\x00",
    "\\Q",
    "(?P<n>a)",
    "",
)
Case = Callable[[Path, random.Random], None]


def edit(folder: Path, name: str, change: Callable[[bytearray], bytes | bytearray | None]) -> None:
    """Rewrite a file of a copy; `change` may alter the bytes in place or return others."""
    data = bytearray((folder / name).read_bytes())
    found = change(data)
    (folder / name).write_bytes(data if found is None else found)


def varint(value: int) -> bytes:
    """Return a varint of 64 bits, negative numbers as protobuf has them."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def raw(folder: Path, rng: random.Random) -> None:
    """Change bytes without understanding them: flips, cuts, swaps, repeats, huge varints."""

    def change(data: bytearray) -> None:
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            at, size = rng.randrange(max(1, len(data))), rng.choice((1, 4, 64, 1024))
            kind = rng.randrange(7)
            if kind == 0 and data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            elif kind == 1:
                del data[at:]
            elif kind == 2:
                other = rng.randrange(max(1, len(data)))
                data[at : at + size], data[other : other + size] = data[other : other + size], data[at : at + size]
            elif kind == 3:
                data[at:at] = data[at : at + size] * rng.choice((1, 2, 50))
            elif kind == 4:
                data[at : at + rng.choice((1, 2, 4))] = varint(rng.choice(NUMBERS))
            elif kind == 5:
                del data[at : at + size]
            else:
                data[at : at + size] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) * size

    edit(folder, rng.choice((GRAPH, GRAPH, INDEX, INDEX, DATA, VOCABULARY)), change)


def index(folder: Path, rng: random.Random) -> None:
    """Change entries of the index and write it again, every CRC32C made to match."""
    table = read_table(folder / INDEX)
    keys = list(table)
    for _ in range(rng.choice((1, 1, 2, 4))):
        key = rng.choice(keys)
        kind = rng.randrange(8)
        if kind == 0:
            table.pop(key, None)
        elif kind == 1:
            table[rng.choice((key + b"x", key[:-1], bytes(rng.randbytes(5)), b"\0" + key, key * 100))] = table.get(
                key, b""
            )
        elif kind == 2:
            table[key] = table[rng.choice(list(table))]
        elif kind == 3:
            table[key] = rng.randbytes(rng.randrange(40))
        elif key in table:
            table[key] = _changed_entry(table, key, rng)
    data = encode_table(sorted(table.items()), snappy=rng.random() < 0.3, per_block=rng.choice((1, 8, 1000)))
    (folder / INDEX).write_bytes(data)


def _changed_entry(table: dict[bytes, bytes], key: bytes, rng: random.Random) -> bytes:
    kind = "BundleEntryProto" if key else "BundleHeaderProto"
    try:
        proto = messages.parse(kind, table[key])
    except messages.MalformedMessage:
        return b""
    scramble(proto, rng)
    return bytes(proto.SerializeToString())


def data(folder: Path, rng: random.Random) -> None:
    """Change the bytes of variables and their CRC32C with them: such a model is another one, and a whole one."""
    table = read_table(folder / INDEX)
    content = bytearray((folder / DATA).read_bytes())
    for key in rng.sample(sorted(k for k in table if k), 3):
        entry = messages.parse("BundleEntryProto", table[key])
        for _ in range(rng.choice((1, 10))):
            content[entry.offset + rng.randrange(max(1, entry.size))] = rng.choice((0, 0x7F, 0x80, 0xFF))
        entry.crc32c = mask_crc(google_crc32c.value(bytes(content[entry.offset : entry.offset + entry.size])))
        table[key] = entry.SerializeToString()
    (folder / DATA).write_bytes(content)
    (folder / INDEX).write_bytes(encode_table(sorted(table.items())))


def scramble(proto: Any, rng: random.Random) -> None:
    """Change one field of a message, at any depth, to something it should not be."""
    fields = list(proto.DESCRIPTOR.fields)
    present = [field for field, _ in proto.ListFields()] or fields
    field = rng.choice(present if rng.random() < 0.8 else fields)
    value = getattr(proto, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _scramble_map(value, field.message_type.fields_by_name["value"], rng)
    elif hasattr(value, "append"):
        _scramble_list(value, field, rng)
    elif field.message_type is not None:
        scramble(value, rng)
    else:
        setattr(proto, field.name, scalar(field, rng, value, []))


def _scramble_map(value: Any, inner: Any, rng: random.Random) -> None:
    if not value:
        return
    key = rng.choice(sorted(value))
    if inner.message_type is not None and rng.random() < 0.8:
        scramble(value[key], rng)
    elif rng.random() < 0.5:
        del value[key]
    elif inner.message_type is None:
        value[key] = rng.choice(sorted(value.values()))


def _scramble_list(value: Any, field: Any, rng: random.Random) -> None:
    if not len(value):
        if field.message_type is not None:
            value.add()
        return
    at = rng.randrange(len(value))
    if field.message_type is not None and rng.random() < 0.8:
        scramble(value[at], rng)
    elif rng.random() < 0.5:
        del value[at]
    elif field.message_type is not None:
        value.add().CopyFrom(value[at])
    else:
        value[at] = scalar(field, rng, value[at], list(value))


def scalar(field: Any, rng: random.Random, value: Any, others: list[Any]) -> Any:
    """Return another value of a scalar field."""
    if others and rng.random() < 0.4:
        return rng.choice(others)
    kind = field.cpp_type
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf"), 1e-30))
    if field.type == field.TYPE_STRING:
        return rng.choice(("", "x", str(value) + "x", "^" + str(value), f"{value}:9999999999", "../x", "é" * 50, "\0"))
    if field.type == field.TYPE_BYTES:
        regex = rng.choice(HOSTILE_REGEXES).encode()
        return rng.choice((bytes(value) * 3, bytes(value)[:-1], b"", b"\xff\xfe", regex, b"a" * 100_000))
    return not value if kind == field.CPPTYPE_BOOL else _number(field, rng.choice((*NUMBERS, value + 1, value - 1)))


def _number(field: Any, number: int) -> int:
    """Return a number as the field can hold it."""
    bits = 32 if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_UINT32) else 64
    if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64):
        return number % (1 << bits)
    return (number + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def open_graph(folder: Path) -> Any:
    """Return the SavedModel message of a copy."""
    return messages.parse("SavedModel", (folder / GRAPH).read_bytes())


def save_graph(folder: Path, proto: Any) -> None:
    """Write it back."""
    (folder / GRAPH).write_bytes(proto.SerializeToString())


def graph(folder: Path, rng: random.Random) -> None:
    """Change the graph: rewire it, swap operations, scramble attributes, constants, functions, signatures."""
    proto = open_graph(folder)
    meta = proto.meta_graphs[0]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        bodies = [meta.graph_def.node, *(f.node_def for f in meta.graph_def.library.function)]
        nodes = rng.choice(bodies) if rng.random() < 0.4 else bodies[0]
        node = rng.choice(nodes)
        kind = rng.randrange(9)
        if kind == 0 and node.input:
            other = rng.choice(nodes)
            node.input[rng.randrange(len(node.input))] = other.name + rng.choice(("", ":1", ":output:0", ":99"))
        elif kind == 1:
            node.op = rng.choice((*operations(), rng.choice(nodes).op, "Nonsense", "Const", "Enter", "While"))
        elif kind == 2:
            nodes.add().CopyFrom(node)
        elif kind == 3:
            node.name = rng.choice((rng.choice(nodes).name, "", "x", node.name + "/x"))
        elif kind == 4 and node.input:
            at = rng.randrange(len(node.input))
            del node.input[at]
        elif kind == 5:
            node.input.append(rng.choice(nodes).name)
        elif kind == 6:
            constants = [n for n in nodes if n.op == "Const"]
            scramble(rng.choice(constants or [node]).attr["value"], rng)
        elif kind == 7:
            scramble(meta, rng)
        else:
            scramble(node, rng)
    save_graph(folder, proto)


def _live(meta: Any) -> list[Any]:
    """Return the nodes of the main graph that reach the output of the signature in use."""
    by_name = {node.name: node for node in meta.graph_def.node}
    signatures = meta.signature_def
    signature = signatures["default"] if "default" in signatures else next(iter(signatures.values()))
    stack = [next(iter(signature.outputs.values())).name.split(":")[0]]
    live: dict[str, Any] = {}
    while stack:
        name = stack.pop()
        if name in by_name and name not in live:
            live[name] = by_name[name]
            stack.extend(given.split(":")[0].lstrip("^") for given in by_name[name].input)
    return list(live.values())


def live_graph(folder: Path, rng: random.Random) -> None:
    """As `graph`, but only nodes that reach the output, so that the interpreter meets what was changed."""
    proto = open_graph(folder)
    meta = proto.meta_graphs[0]
    nodes = _live(meta)
    for function in meta.graph_def.library.function:
        nodes += function.node_def if rng.random() < 0.5 else []
    for _ in range(rng.choice((1, 1, 2))):
        node = rng.choice(nodes)
        kind = rng.randrange(6)
        constants = [n for n in nodes if n.op == "Const"]
        if kind == 0:
            node.op = rng.choice(tuple(operations()))
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(nodes).name
        elif kind in (2, 3):
            _change_constant(rng.choice(constants), rng)
        elif kind == 4 and len(node.input) > 1:
            a, b = rng.sample(range(len(node.input)), 2)
            node.input[a], node.input[b] = node.input[b], node.input[a]
        else:
            scramble(node, rng)
    save_graph(folder, proto)


def _change_constant(node: Any, rng: random.Random) -> None:
    """Put other numbers into a constant, its form kept: shapes, axes, counts and limits in the graph are such."""
    tensor = node.attr["value"].tensor
    number = rng.choice((*NUMBERS, 3, 5, 1000, 100_000, 1 << 24, 1 << 26))
    if tensor.tensor_content:
        size = {1: 4, 3: 4, 9: 8}.get(tensor.dtype, 1)
        content = bytearray(tensor.tensor_content)
        at = rng.randrange(max(1, len(content) // size)) * size
        content[at : at + size] = (number % (1 << (8 * size))).to_bytes(size, "little")
        tensor.tensor_content = bytes(content)
        return
    for name in ("int_val", "int64_val", "float_val", "bool_val"):
        values = getattr(tensor, name)
        if len(values):
            limit = {"int_val": 31, "int64_val": 63}.get(name, 31)
            bounded = max(-(1 << limit), min((1 << limit) - 1, number))
            values[rng.randrange(len(values))] = bool(bounded) if name == "bool_val" else bounded
            return
    if len(tensor.string_val):
        tensor.string_val[0] = rng.choice(HOSTILE_REGEXES).encode()


def text(folder: Path, rng: random.Random) -> None:
    """Change patterns and attributes of text operations, or the vocabulary."""
    if rng.random() < 0.4:
        edit(folder, VOCABULARY, lambda data: _vocabulary(data, rng))
        return
    proto = open_graph(folder)
    meta = proto.meta_graphs[0]
    bodies = [meta.graph_def.node, *(f.node_def for f in meta.graph_def.library.function)]
    wanted = ("Regex", "Wordpiece", "UnicodeScript", "StringJoin", "HashTable", "InitializeTable")
    nodes = [n for body in bodies for n in body if any(w in n.op for w in wanted)]
    node = rng.choice(nodes)
    name = rng.choice(sorted(node.attr) or ["pattern"])
    value = node.attr[name]
    match value.WhichOneof("value"):
        case "s":
            value.s = rng.choice((*(r.encode() for r in HOSTILE_REGEXES), b"\xff", b"a" * 1_000_000, b"", b"[UNK]"))
        case "i":
            value.i = rng.choice(NUMBERS)
        case _:
            scramble(value, rng)
    if "pattern" in node.attr and rng.random() < 0.5:
        node.attr["pattern"].s = rng.choice(HOSTILE_REGEXES).encode()
    save_graph(folder, proto)


def _vocabulary(data: bytearray, rng: random.Random) -> bytes:
    lines = bytes(data).splitlines()
    at = rng.randrange(len(lines))
    odd = (b"", b"\xff", b"a\rb", b"\0", lines[0], b"x" * 10_000_000, b"[UNK]", b" ", "\u2028".encode(), b"a b")
    match rng.randrange(5):
        case 0:
            lines[at] = rng.choice(odd)
        case 1:
            lines.insert(at, rng.choice(odd))
        case 2:
            lines = lines * rng.choice((2, 1000))
        case 3:
            rng.shuffle(lines)
        case _:
            return b"".join(lines)
    return b"\n".join(lines) + rng.choice((b"", b"\n", b"\n\n"))


FAMILIES: dict[str, Case] = {
    "raw bytes": raw,
    "index, CRCs right": index,
    "data, CRCs right": data,
    "graph": graph,
    "graph that is run": live_graph,
    "text": text,
}


def make(family: str, number: int, folder: Path) -> None:
    """Write case `number` of a family into `folder`, which must not exist."""
    shutil.copytree(BASE, folder)
    rng = random.Random(f"{family} {number}")
    FAMILIES[family](folder, rng)
