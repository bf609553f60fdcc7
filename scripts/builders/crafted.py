"""Crafted SavedModels, one for each way that was thought of, or found, to hang, to fill the memory or to end a reader."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from builders.bundles import encode_table
from builders.crafted_graph import (
    FLOAT,
    Change,
    Crafted,
    calls,
    constants,
    cycle,
    deep,
    diamonds,
    doubling,
    endless,
    graph_case,
    growing,
    held,
    identities,
    many_inputs,
    many_nodes,
    outer,
    outputs_of_outputs,
    recursion,
)
from builders.hostile import BASE, DATA, GRAPH, HOSTILE_REGEXES, INDEX, VOCABULARY, open_graph, save_graph, varint
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.slices import encode_slice_key
from hub2hf.savedmodel.table import read_table


def text_node(change: Callable[[Any], None], op: str) -> Callable[[Crafted], None]:
    """Change a text operation wherever it stands."""

    def build(g: Crafted) -> None:
        bodies = [g.nodes, *(f.node_def for f in g.meta.graph_def.library.function)]
        for node in (n for body in bodies for n in body if op in n.op):
            change(node)

    return build


def pattern(regex: str, op: str) -> Change:
    """A case of a hostile regex."""

    def change(node: Any) -> None:
        node.attr["pattern"].s = regex.encode()

    return graph_case(text_node(change, op))


def attribute(op: str, name: str, **value: Any) -> Change:
    """A case of one attribute of a text operation."""

    def change(node: Any) -> None:
        for kind, content in value.items():
            setattr(node.attr[name], kind, content)

    return graph_case(text_node(change, op))


def longer_text(g: Crafted) -> None:
    """Every space becomes a megabyte, again and again."""
    text = next(iter(next(iter(g.meta.signature_def.values())).inputs.values())).name.split(":")[0]
    name = text
    for _ in range(4):
        kinds: dict[str, Any] = {
            "pattern": {"s": b" "},
            "rewrite": {"s": b" " * 100_000},
            "replace_global": {"b": True},
        }
        name = g.add("StaticRegexReplace", [name], **kinds)
    for node in list(g.nodes)[:-4]:
        for i, given in enumerate(node.input):
            if given.split(":")[0] == text:
                node.input[i] = name


def index_case(change: Callable[[dict[bytes, bytes]], None], **options: Any) -> Change:
    """A case of another index, its checksums right."""

    def write(folder: Path) -> None:
        table = read_table(folder / INDEX)
        change(table)
        (folder / INDEX).write_bytes(encode_table(sorted(table.items()), **options))

    return write


def _entry(size: int = 0, shape: Sequence[int] = (0,), slices: Sequence[tuple[int, int]] = ()) -> bytes:
    entry = messages.new("BundleEntryProto")
    entry.dtype, entry.size = FLOAT, size
    for dim in shape:
        entry.shape.dim.add(size=dim)
    for start, length in slices:
        extent = entry.slices.add().extent.add()
        extent.start, extent.length = start, length
    return bytes(entry.SerializeToString())


def many_slices(count: int, name: bytes) -> Callable[[dict[bytes, bytes]], None]:
    """A variable in very many slices, each of nothing or all over one another."""

    def change(table: dict[bytes, bytes]) -> None:
        table[name] = _entry(shape=(count,), slices=[(i, 1) for i in range(count)])
        for i in range(count):
            table[encode_slice_key(name, [(i, 1)])] = _entry(shape=(1,), size=4)

    return change


def many_entries(table: dict[bytes, bytes]) -> None:
    """Empty variables without end."""
    table.update({f"v{i}".encode(): _entry() for i in range(200_000)})


def long_keys(table: dict[bytes, bytes]) -> None:
    """Keys that share a long beginning, which the file holds once."""
    table.update({b"k" * 100_000 + str(i).encode(): _entry() for i in range(5_000)})


def big_values(table: dict[bytes, bytes]) -> None:
    """Values that compress away."""
    table.update({f"z{i:05d}".encode(): bytes(1 << 20) for i in range(100)})


def huge_shape(table: dict[bytes, bytes]) -> None:
    """A variable of the model claims to be as large as memory."""
    key = next(k for k in table if k.endswith(b"embeddings/word_embeddings"))
    entry = messages.parse("BundleEntryProto", table[key])
    entry.shape.dim[0].size = 1 << 40
    entry.size = entry.shape.dim[1].size << 42
    table[key] = entry.SerializeToString()


def vocabulary(content: Callable[[bytes], bytes]) -> Change:
    """A case of another vocabulary."""

    def change(folder: Path) -> None:
        (folder / VOCABULARY).write_bytes(content((folder / VOCABULARY).read_bytes()))

    return change


def bytes_case(name: str, content: Callable[[bytes], bytes]) -> Change:
    """A case of other bytes in a file."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content((folder / name).read_bytes()))

    return change


def asset(name: str) -> Change:
    """A case of an asset by another name."""

    def change(folder: Path) -> None:
        proto = open_graph(folder)
        meta = proto.meta_graphs[0]
        for declared in meta.asset_file_def:
            declared.filename = name
        for item in meta.collection_def["saved_model_assets"].any_list.value:
            declared = messages.parse("AssetFileDef", item.value)
            declared.filename = name
            item.value = declared.SerializeToString()
        save_graph(folder, proto)

    return change


def linked(name: str, target: str) -> Change:
    """A case of a file that is a link to elsewhere."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return change


def piped(name: str) -> Change:
    """A case of a file that is a pipe: opening it waits for ever."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def nested_bytes(depth: int) -> bytes:
    """A message that holds itself, as bytes, to any depth."""
    data = b""
    for _ in range(depth):
        data = b"\x12" + varint(len(data)) + data
        if len(data) > 200_000:
            break
    return data


WORDPIECE = "WordpieceTokenizeWithOffsets"
SPLITS = [0, 60_000] * 3_000
CRAFTED: dict[str, Change] = {
    "unchanged": lambda folder: None,
    "a value doubled 40 times": graph_case(doubling(40)),
    "a value doubled 40 times at the output": graph_case(doubling(40), ids=False),
    **{
        f"a column and a row: {op}": graph_case(outer(op))
        for op in ("AddV2", "Mul", "Equal", "MatMul", "SquaredDifference")
    },
    "a column and a row chosen": graph_case(
        lambda g: g.add("SelectV2", [g.constant([1], 3, (1 << 20, 1)), g.scalar(1), g.constant([1], 3, (1, 1 << 20))])
    ),
    "an Einsum of a column and a row": graph_case(
        lambda g: g.add(
            "Einsum",
            [g.constant([1.0], FLOAT, (1 << 20,)), g.constant([1.0], FLOAT, (1 << 20,))],
            equation={"s": b"i,j->ij"},
        )
    ),
    "an Einsum of three": graph_case(
        lambda g: g.add("Einsum", [g.constant([1.0], FLOAT, (1 << 14,))] * 3, equation={"s": b"i,j,k->"})
    ),
    "a Fill": graph_case(lambda g: g.add("Fill", [g.constant([1 << 30]), g.scalar(1)])),
    "a Fill of overflowing sizes": graph_case(
        lambda g: g.add("Fill", [g.constant([0, 1 << 30, 1 << 30]), g.scalar(1)])
    ),
    "a Tile": graph_case(lambda g: g.add("Tile", [g.constant([1]), g.constant([1 << 30])])),
    "a Range": graph_case(lambda g: g.add("Range", [g.scalar(0), g.scalar(2**31 - 1), g.scalar(1)])),
    "a Range of tiny steps": graph_case(
        lambda g: g.add("Range", [g.scalar(0.0, FLOAT), g.scalar(1e30, FLOAT), g.scalar(1e-30, FLOAT)])
    ),
    "a RaggedRange": graph_case(
        lambda g: g.add("RaggedRange", [g.constant([0]), g.constant([2**31 - 1]), g.constant([1])]) + ":1"
    ),
    "a Pad": graph_case(lambda g: g.add("Pad", [g.constant([1]), g.constant([0, 1 << 30], 3, (1, 2))])),
    "a OneHot": graph_case(lambda g: g.add("OneHot", [g.constant([1]), g.scalar(2**31 - 1), g.scalar(1), g.scalar(0)])),
    "a Gather of all again and again": graph_case(
        lambda g: g.add(
            "GatherV2", [g.constant([1.0], FLOAT, (2, 1 << 20)), g.constant([1], 3, (1 << 20,)), g.scalar(0)]
        )
    ),
    "a Where of many axes": graph_case(lambda g: g.add("Where", [g.constant([1], 3, (1 << 22, *[1] * 30))])),
    "a BroadcastTo that is used": graph_case(
        lambda g: g.add("Neg", [g.add("BroadcastTo", [g.constant([1]), g.constant([1 << 26])])])
    ),
    "an Unpack into millions": graph_case(lambda g: g.add("Unpack", [g.constant([1], 3, (1 << 22,))])),
    "a DynamicPartition into 2**62": graph_case(
        lambda g: g.add("DynamicPartition", [g.constant([1]), g.constant([0])], num_partitions={"i": 1 << 62})
    ),
    "a Split into 2**62": graph_case(
        lambda g: g.add("Split", [g.scalar(0), g.constant([], 3, (0,))], num_split={"i": 1 << 62})
    ),
    "segments by the million": graph_case(
        lambda g: g.add(
            "UnsortedSegmentSum",
            [g.add("Range", [g.scalar(0), g.scalar(1 << 20), g.scalar(1)])] * 2 + [g.scalar(1 << 20)],
        )
    ),
    "a list of millions": graph_case(
        lambda g: g.add(
            "TensorListStack", [g.add("TensorListFromTensor", [g.constant([1], 3, (1 << 22,))]), g.constant([])]
        )
    ),
    "rows of the same again and again": graph_case(
        lambda g: g.add("StringLength", [g.add("UnicodeEncode", [g.constant([97], 3, (60_000,)), g.constant(SPLITS)])])
    ),
    "many values held": graph_case(held),
    "many constants": graph_case(constants(200)),
    "as many constants as a run may hold": graph_case(constants(4)),
    "a constant of 2**28": graph_case(lambda g: g.constant([1.0], FLOAT, (1 << 28,))),
    "a constant that repeats to 2**28": graph_case(lambda g: g.constant([1.0, 2.0], FLOAT, (1 << 28,))),
    "a constant of sizes below zero": graph_case(lambda g: g.constant([1.0], FLOAT, (-5,))),
    "a loop without end": graph_case(endless),
    "a loop that grows": graph_case(growing),
    "calls to the power of 20": graph_case(calls(20, 8)),
    "calls 60 deep": graph_case(calls(60, 1)),
    "calls to the power of 20 at the output": graph_case(calls(20, 8), ids=False),
    "functions that call each other": graph_case(recursion),
    "100,000 identities": graph_case(identities(100_000)),
    "ways that double 60 times": graph_case(diamonds),
    "nodes that take each other": graph_case(cycle),
    "two million inputs": graph_case(many_inputs(2_000_000)),
    "900,000 inputs": graph_case(many_inputs(900_000)),
    "300,000 nodes": graph_case(many_nodes(300_000)),
    "190,000 nodes": graph_case(many_nodes(190_000)),
    "outputs by the square": graph_case(outputs_of_outputs),
    "attributes 40 deep": graph_case(deep),
    "text that grows": graph_case(longer_text),
    **{f"pattern {i} replaced": pattern(regex, "RegexReplace") for i, regex in enumerate(HOSTILE_REGEXES)},
    **{f"pattern {i} matched": pattern(regex, "RegexFullMatch") for i, regex in enumerate(HOSTILE_REGEXES)},
    "a long pattern": pattern("a" * 1_000_000, "RegexReplace"),
    "words without a limit": attribute(WORDPIECE, "max_bytes_per_word", i=1 << 40),
    "words of 1,000 bytes": attribute(WORDPIECE, "max_bytes_per_word", i=1000),
    "words of no bytes": attribute(WORDPIECE, "max_bytes_per_word", i=-1),
    "a long suffix": attribute(WORDPIECE, "suffix_indicator", s=b"#" * 1_000_000),
    "a long unknown piece": attribute(WORDPIECE, "unknown_token", s=b"u" * 1_000_000),
    "a name that cannot be printed": graph_case(lambda g: g.add("NoOp", (), "\x1b[31mred")),
    "16,000 slices": index_case(many_slices(16_000, b"s")),
    "4,000 slices of a long name": index_case(many_slices(4_000, b"n" * 4000)),
    "200,000 variables": index_case(many_entries, per_block=1000),
    "long keys": index_case(long_keys, per_block=5000, restart_interval=5000),
    "values that compress away": index_case(big_values, snappy=True),
    "a variable as large as memory": index_case(huge_shape),
    "a graph of nested messages": bytes_case(GRAPH, lambda data: nested_bytes(5000)),
    "a graph of empty nodes": bytes_case(
        GRAPH, lambda data: b"\x12" + varint(1_000_008) + b"\x12" + varint(1_000_004)[:4] + b"\x0a\x00" * 500_002
    ),
    "a graph of varints": bytes_case(GRAPH, lambda data: b"\x08\xff" * 100_000),
    "an empty graph": bytes_case(GRAPH, lambda data: b""),
    "an index of 100 MB": bytes_case(INDEX, lambda data: bytes(100 << 20)),
    "a vocabulary of one line": vocabulary(lambda data: b"x" * (30 << 20)),
    "a vocabulary of 100 MB": vocabulary(lambda data: b"ab\n" * (33 << 20)),
    "a vocabulary of 10 million lines": vocabulary(lambda data: b"a\n" * 10_000_000),
    "a vocabulary of empty lines": vocabulary(lambda data: b"\n" * 1_000_000),
    "a vocabulary that is not UTF-8": vocabulary(lambda data: data + b"\xff\xfe\n"),
    "a vocabulary with the unknown piece last": vocabulary(
        lambda data: b"".join(f"p{i}\n".encode() for i in range(3_000_000)) + b"[UNK]\n"
    ),
    "a vocabulary that is a pipe": piped(VOCABULARY),
    "a graph that is a pipe": piped(GRAPH),
    "data that is a pipe": piped(DATA),
    "an index that is a pipe": piped(INDEX),
    "a vocabulary elsewhere": linked(VOCABULARY, "/etc/passwd"),
    "a vocabulary that is itself": linked(VOCABULARY, "vocab.txt"),
    "data without end": linked(DATA, "/dev/zero"),
    "a graph without end": linked(GRAPH, "/dev/zero"),
    "an asset above": asset("../saved_model.pb"),
    "an asset at the root": asset("/etc/passwd"),
    "an asset of a long name": asset("a" * 10_000),
    "an asset that is the folder": asset("."),
    "an asset with escape codes": asset("\x1b[2J"),
}


def make(name: str, folder: Path) -> None:
    """Write the crafted model `name` into `folder`, which must not exist."""
    random.seed(0)
    shutil.copytree(BASE, folder)
    CRAFTED[name](folder)
