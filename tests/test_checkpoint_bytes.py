"""Small checkpoints written byte by byte, without TensorFlow: what is read of them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import google_crc32c
import numpy as np
import pytest
from builders.bundles import encode_table, varint

from hub2hf.errors import CheckpointError, GraphError, SourceError
from hub2hf.savedmodel import messages
from hub2hf.savedmodel.assets import read_assets
from hub2hf.savedmodel.attributes import decode_attribute, decode_tensor
from hub2hf.savedmodel.checkpoint import Checkpoint
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.savedmodel.slices import SliceError, SliceSpec, check_tiling, encode_slice_key, parse_slice_spec
from hub2hf.savedmodel.table import mask_crc

FLOAT, STRING = 1, 7
ROWS = np.arange(10, dtype=np.float32).reshape(5, 2)
WHOLE = np.arange(6, dtype=np.float32).reshape(2, 3)
TEXTS = (b"ab", b"", b"cde")


def piece(entry: Any, data: bytearray, content: bytes, crc: int | None = None) -> Any:
    entry.offset, entry.size = len(data), len(content)
    entry.crc32c = mask_crc(google_crc32c.value(content) if crc is None else crc)
    data += content
    return entry


def shaped(dtype: int, *shape: int) -> Any:
    entry = messages.new("BundleEntryProto")
    entry.dtype = dtype
    for size in shape:
        entry.shape.dim.add().size = size
    return entry


class Bundle:
    """A checkpoint of a whole variable, one in two slices, and one of strings."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.header = messages.new("BundleHeaderProto")
        self.header.num_shards = 1
        self.header.version.producer = 1
        self.entries = {b"whole": piece(shaped(FLOAT, 2, 3), self.data, WHOLE.tobytes())}
        rows = shaped(FLOAT, 5, 2)
        for start, length in ((0, 3), (3, 2)):
            extents = ((start, length), (0, -1))
            extent = rows.slices.add().extent.add()
            extent.start, extent.length = start, length
            rows.slices[-1].extent.add()
            key = encode_slice_key(b"rows", extents)
            self.entries[key] = piece(shaped(FLOAT, length, 2), self.data, ROWS[start : start + length].tobytes())
        self.entries[b"rows"] = rows
        lengths = b"".join(varint(len(text)) for text in TEXTS)
        crc = google_crc32c.value(b"".join(len(text).to_bytes(4, "little") for text in TEXTS))
        checksum = mask_crc(crc).to_bytes(4, "little")
        rest = checksum + b"".join(TEXTS)
        self.entries[b"texts"] = piece(shaped(STRING, 3), self.data, lengths + rest, google_crc32c.extend(crc, rest))

    def saved(self, folder: Path) -> Path:
        table = {b"": self.header, **self.entries}
        (folder / "v.index").write_bytes(
            encode_table(sorted((key, proto.SerializeToString()) for key, proto in table.items()))
        )
        (folder / "v.data-00000-of-00001").write_bytes(self.data)
        return folder / "v"


@pytest.fixture
def bundle() -> Bundle:
    return Bundle()


def test_what_was_written_is_read(bundle: Bundle, tmp_path: Path) -> None:
    found = Checkpoint.open(bundle.saved(tmp_path))
    assert list(found.variables) == ["rows", "texts", "whole"]
    assert found.read("whole").tolist() == WHOLE.tolist()
    assert found.read("rows").tolist() == ROWS.tolist()
    assert found.read("texts").tolist() == list(TEXTS)
    assert found.variables["rows"].nbytes == ROWS.nbytes
    for name, value in (("whole", WHOLE), ("rows", ROWS)):
        assert b"".join(bytes(chunk) for chunk in found.stream(name, 5)) == value.tobytes()
        found.verify(name)


@pytest.mark.parametrize("read", ["read", "stream", "verify"])
def test_every_flipped_byte_of_the_data_is_found(bundle: Bundle, tmp_path: Path, read: str) -> None:
    prefix = bundle.saved(tmp_path)
    path = tmp_path / "v.data-00000-of-00001"
    for at in range(len(bundle.data)):
        changed = bytearray(bundle.data)
        changed[at] ^= 0x40
        path.write_bytes(changed)
        found = Checkpoint.open(prefix)
        damaged = 0
        for name, variable in found.variables.items():
            if read == "stream" and variable.is_string:
                continue
            try:
                list(getattr(found, read)(name) or ()) if read != "read" else found.read(name)
            except CheckpointError as error:
                damaged += 1
                assert name in error.problem
        assert damaged == (0 if read == "stream" and at >= bundle.entries[b"texts"].offset else 1), at


def test_a_file_that_is_too_short_or_missing_is_found_at_once(bundle: Bundle, tmp_path: Path) -> None:
    prefix = bundle.saved(tmp_path)
    path = tmp_path / "v.data-00000-of-00001"
    path.write_bytes(bundle.data[:-1])
    with pytest.raises(CheckpointError, match="truncated: variable texts"):
        Checkpoint.open(prefix)
    path.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        Checkpoint.open(prefix)


def slice_of(bundle: Bundle) -> bytes:
    return next(key for key in bundle.entries if key.startswith(b"\0"))


def changed(key: bytes, **values: int) -> Callable[[Bundle], None]:
    def change(bundle: Bundle) -> None:
        for name, value in values.items():
            setattr(bundle.header if not key else bundle.entries[key], name, value)

    return change


BAD: dict[str, tuple[Callable[[Bundle], Any], str]] = {
    "no shards": (changed(b"", num_shards=0), "claims 0 data shards"),
    "big-endian": (changed(b"", endianness=1), "big-endian"),
    "newer": (lambda b: setattr(b.header.version, "min_consumer", 2), "newer format"),
    "another shard": (changed(b"whole", shard_id=1), "lies in data shard 1 of 1"),
    "too small for its shape": (changed(b"whole", size=20), "does not fit float32"),
    "too few bytes for its texts": (changed(b"texts", size=6), "too few for 3 strings"),
    "before the file": (changed(b"whole", offset=-1), "at byte -1"),
    "unknown dtype": (changed(b"whole", dtype=99), "unsupported DataType 99"),
    "a slice that is missing": (lambda b: b.entries.pop(slice_of(b)), "is missing"),
    "a slice of nothing": (lambda b: b.entries.pop(b"rows"), "belongs to no variable"),
    "a gap": (lambda b: setattr(b.entries[b"rows"].shape.dim[0], "size", 6), "gap or overlap"),
    "a slice of another dtype": (lambda b: setattr(b.entries[slice_of(b)], "dtype", 3), "is DataType 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_index_that_lies_is_refused(name: str, bundle: Bundle, tmp_path: Path) -> None:
    change, said = BAD[name]
    change(bundle)
    with pytest.raises(CheckpointError, match=said):
        Checkpoint.open(bundle.saved(tmp_path))


def test_what_is_not_there_is_named(bundle: Bundle, tmp_path: Path) -> None:
    found = Checkpoint.open(bundle.saved(tmp_path))
    assert (found.has("rows"), found.has("row")) == (True, False)
    with pytest.raises(CheckpointError, match="no variable row"):
        found.read("row")
    with pytest.raises(CheckpointError, match="holds strings"):
        found.stream("texts")


class TestSlices:
    def test_specs_are_read_as_tensorflow_writes_them(self) -> None:
        assert parse_slice_spec("") is None
        assert parse_slice_spec("4 6 0,2:-") == SliceSpec((4, 6), (0, 0), (2, 6))
        assert parse_slice_spec("4 6 2,2:1,5") == SliceSpec((4, 6), (2, 1), (2, 5))
        for wrong in ("4 6 0,2", "4 6 3,2:-", "4 6 -1,2:-", "4 6 x:-"):
            with pytest.raises(SliceError):
                parse_slice_spec(wrong)

    @pytest.mark.parametrize(
        ("places", "whole"),
        [
            (((0, 0, 2, 3), (2, 0, 1, 3)), True),
            (((0, 0, 2, 3),), False),
            (((0, 0, 2, 3), (1, 0, 1, 3)), False),
            (((0, 0, 3, 2), (0, 1, 3, 1)), False),
            (((0, 0, 3, 2), (0, 2, 3, 1)), True),
        ],
    )
    def test_they_must_cover_the_tensor_once(self, places: tuple[tuple[int, ...], ...], whole: bool) -> None:
        specs = [SliceSpec((3, 3), place[:2], place[2:]) for place in places]
        if whole:
            check_tiling(specs, (3, 3))
        else:
            with pytest.raises(SliceError):
                check_tiling(specs, (3, 3))

    def test_only_whole_rows_are_streamed(self) -> None:
        assert SliceSpec((3, 3), (1, 0), (2, 3)).rows_only
        assert not SliceSpec((3, 3), (0, 1), (3, 2)).rows_only

    def test_their_keys_are_those_of_ordered_code(self) -> None:
        assert encode_slice_key(b"a\0\xff", ((0, 64), (-1, 300))) == (
            b"\x00a\x00\xff\xff\x00\x00\x01\x01\x02\x80\xc0\x40\x7f\xc1\x2c"
        )


def tensor(dtype: int, *shape: int, **values: Any) -> Any:
    proto = messages.new("TensorProto")
    proto.dtype = dtype
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    for name, value in values.items():
        proto.tensor_content = value if name == "tensor_content" else proto.tensor_content
        if name != "tensor_content":
            getattr(proto, name).extend(value)
    return proto


class TestConstants:
    @pytest.mark.parametrize(
        ("proto", "value"),
        [
            (tensor(1, 2, 2, float_val=[1, 2]), [[1, 2], [2, 2]]),
            (tensor(1, 3, float_val=[7]), [7, 7, 7]),
            (tensor(3, 2, tensor_content=b"\1\0\0\0\2\0\0\0"), [1, 2]),
            (tensor(19, 1, half_val=[0x3C00]), [1.0]),
            (tensor(10, 2, bool_val=[True, False]), [True, False]),
            (tensor(7, 3, string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
            (tensor(1, 2), [0, 0]),
        ],
    )
    def test_the_last_value_fills_the_rest(self, proto: Any, value: object) -> None:
        assert decode_tensor(proto, "x").tolist() == value

    @pytest.mark.parametrize(
        "proto",
        [
            tensor(1, 2, float_val=[1, 2, 3]),
            tensor(3, 2, tensor_content=b"\1\0\0\0"),
            tensor(1, -1, float_val=[1]),
            tensor(20, 1),
        ],
    )
    def test_what_does_not_fit_is_refused(self, proto: Any) -> None:
        with pytest.raises(GraphError, match="the thing"):
            decode_tensor(proto, "the thing")

    def test_attributes_have_defaults_and_are_missed(self) -> None:
        own, default = messages.new("AttrValue"), messages.new("AttrValue")
        own.i, default.b = 7, True
        node = Node(
            "n", "Op", (TensorRef("a"), TensorRef("b", 1)), (), "", {"own": own}, {"default": default, "own": default}
        )
        assert (node.attr("own"), node.attr("default"), node.attr("none", 3)) == (7, True, 3)
        with pytest.raises(GraphError, match="no attribute none"):
            node.attr("none")
        with pytest.raises(GraphError, match="has 2 inputs, not 3"):
            node.input(2)
        with pytest.raises(GraphError, match="has no value"):
            decode_attribute(messages.new("AttrValue"), "x")
        assert str(TensorRef("b", 1)) == "b:1"


class TestAssets:
    def graph(self, *names: str, tensor: str = "Const:0") -> Any:
        files = []
        for number, name in enumerate(names):
            proto = messages.new("AssetFileDef")
            proto.filename, proto.tensor_info.name = name, tensor if len(names) == 1 else f"Const_{number}:0"
            files.append(proto)
        return SimpleNamespace(asset_file_def=files, collection_def={})

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "model" / "assets").mkdir(parents=True)
        (tmp_path / "model" / "assets" / "vocab.txt").write_text("a\n")
        (tmp_path / "model" / "secret").write_text("s")
        return tmp_path / "model"

    def test_are_found(self, folder: Path) -> None:
        assert read_assets(folder, self.graph("vocab.txt")) == {"Const:0": folder / "assets" / "vocab.txt"}

    @pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "", "..\\secret", "c:x", "a\nb"])
    def test_do_not_lead_elsewhere(self, folder: Path, name: str) -> None:
        with pytest.raises(SourceError, match="not among its assets"):
            read_assets(folder, self.graph(name))

    def test_are_no_links_out_and_not_missing(self, folder: Path) -> None:
        (folder / "assets" / "link").symlink_to(folder / "secret")
        with pytest.raises(SourceError, match="is a link to"):
            read_assets(folder, self.graph("link"))
        with pytest.raises(SourceError, match="is missing"):
            read_assets(folder, self.graph("none"))
