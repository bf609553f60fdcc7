"""The index table: blocks, prefix compression, snappy, and every way to break it."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import google_crc32c
import pytest
from builders.bundles import encode_block, encode_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub2hf.errors import CheckpointError
from hub2hf.savedmodel import table as table_module
from hub2hf.savedmodel.table import VarintError, mask_crc, read_table, read_varint

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ENTRIES = [(f"layer_{i:03d}/kernel".encode() + b"x" * (i % 7), bytes([i % 256]) * (i % 9)) for i in range(300)]


@pytest.mark.parametrize("snappy", [False, True])
@pytest.mark.parametrize(("per_block", "interval"), [(1, 1), (7, 16), (64, 4), (1000, 16)])
def test_reads_back(tmp_path: Path, snappy: bool, per_block: int, interval: int) -> None:
    path = tmp_path / "t.index"
    path.write_bytes(encode_table(ENTRIES, per_block=per_block, snappy=snappy, restart_interval=interval))
    assert list(read_table(path).items()) == ENTRIES


@FEW
@given(
    entries=st.dictionaries(st.binary(max_size=12), st.binary(max_size=40), max_size=40),
    per_block=st.integers(1, 9),
    interval=st.integers(1, 5),
    snappy=st.booleans(),
)
def test_reads_any_table(
    tmp_path: Path, entries: dict[bytes, bytes], per_block: int, interval: int, snappy: bool
) -> None:
    path = tmp_path / "t.index"
    path.write_bytes(
        encode_table(sorted(entries.items()), per_block=per_block, restart_interval=interval, snappy=snappy)
    )
    assert list(read_table(path).items()) == sorted(entries.items())


@pytest.mark.parametrize(
    "entries",
    [
        [(b"b", b""), (b"a", b"")],
        [(b"a", b"1"), (b"a", b"2")],
        [(b"a", b""), (b"m", b""), (b"b", b""), (b"z", b"")],  # each block in order, and the last keys of both
    ],
)
@pytest.mark.parametrize("per_block", [1, 2])
def test_keys_out_of_order_or_repeated(tmp_path: Path, entries: list[tuple[bytes, bytes]], per_block: int) -> None:
    path = tmp_path / "t.index"
    path.write_bytes(encode_table(entries, per_block=per_block))
    with pytest.raises(CheckpointError, match="repeated or out of order"):
        read_table(path)


@pytest.mark.parametrize("snappy", [False, True])
@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_an_error(tmp_path: Path, snappy: bool, mask: int) -> None:
    data = encode_table(ENTRIES[:12], per_block=5, snappy=snappy)
    path = tmp_path / "t.index"
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ mask]) + data[i + 1 :])
        with pytest.raises(CheckpointError, match=r"t\.index"):
            read_table(path)


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    data = encode_table(ENTRIES[:12], per_block=5)
    path = tmp_path / "t.index"
    for end in range(len(data)):
        for content in (data[:end], data[end + 1 :] if end else data + b"\0"):
            path.write_bytes(content)
            with pytest.raises(CheckpointError):
                read_table(path)


def _with_block(block: bytes, kind: int = 0) -> bytes:
    """Return a table whose one data block has this content, checksums right."""

    def trailer(content: bytes, kind: int) -> bytes:
        crc = google_crc32c.extend(google_crc32c.value(content), bytes([kind]))
        return content + bytes([kind]) + struct.pack("<I", mask_crc(crc))

    def handle(offset: int, size: int) -> bytes:
        assert size < 128
        return bytes([offset, size])

    out = trailer(block, kind)
    meta = encode_block([])
    metaindex = handle(len(out), len(meta))
    out += trailer(meta, 0)
    index_block = encode_block([(b"\xff" * 4, handle(0, len(block)))])
    index = handle(len(out), len(index_block))
    out += trailer(index_block, 0)
    return out + (metaindex + index).ljust(40, b"\0") + struct.pack("<Q", table_module.TABLE_MAGIC)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (b"", 0),
        (b"\0\0\0", 0),
        (struct.pack("<I", 0), 0),  # no restart point
        (struct.pack("<I", 0xFFFFFFFF), 0),
        (b"\x01\x01\x00a" + struct.pack("<2I", 0, 1), 0),  # shares a byte with nothing
        (b"\x00\x7f\x00a" + struct.pack("<2I", 0, 1), 0),  # a key longer than the block
        (b"\x00\x01\x7fa" + struct.pack("<2I", 0, 1), 0),  # a value longer than the block
        (b"\x00\x81\x00\x00a" + struct.pack("<2I", 0, 1), 0),  # a number not in its shortest form
        (b"\x00" + b"\xff" * 10 + struct.pack("<2I", 0, 1), 0),  # a number of more than 64 bits
        (b"\x00\x01\x00a" + struct.pack("<2I", 2, 1), 0),  # a restart within an entry
        (b"\x00\x01\x00a" + struct.pack("<3I", 0, 9, 2), 0),  # a restart after the block
        (b"\xff\xff\xff\xff\x0f\x00a", 1),  # snappy that claims 4 GiB
        (b"\x05\x00a", 1),  # snappy cut off
        (b"", 1),
        (b"\x00\x01\x00a" + struct.pack("<2I", 0, 1), 2),  # unknown compression
    ],
)
def test_malformed_blocks(tmp_path: Path, block: bytes, kind: int) -> None:
    path = tmp_path / "t.index"
    path.write_bytes(_with_block(block, kind))
    with pytest.raises(CheckpointError, match="damaged"):
        read_table(path)


@FEW
@given(data=st.binary(max_size=200))
def test_any_block_is_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.index"
    for kind in (0, 1):
        path.write_bytes(_with_block(data[:100] + struct.pack("<2I", 0, 1), kind))
        with contextlib.suppress(CheckpointError):
            read_table(path)


def test_missing_and_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"no\.index"):
        read_table(tmp_path / "no.index")
    path = tmp_path / "t.index"
    path.write_bytes(encode_table(ENTRIES[:3]))
    monkeypatch.setattr(table_module, "MAX_INDEX_BYTES", 10)
    with pytest.raises(CheckpointError, match="too many"):
        read_table(path)


def test_keys_that_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.index"
    for per_block in (100, 1000):  # too long together, and within one block
        entries = [(b"x" * i, b"") for i in range(1000)]
        path.write_bytes(encode_table(entries, per_block=per_block, restart_interval=1000))
        monkeypatch.setattr(table_module, "MAX_INDEX_BYTES", 120_000)
        with pytest.raises(CheckpointError, match="absurdly long"):
            read_table(path)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x00", b"\xff" * 9 + b"\x02", b"\xff" * 11])
def test_bad_varints(data: bytes) -> None:
    with pytest.raises(VarintError):
        read_varint(data, 0, len(data))


def test_varints() -> None:
    assert read_varint(b"\xff" * 9 + b"\x01", 0, 10) == (2**64 - 1, 10)
    assert read_varint(b"\x00\x81\x01", 1, 3) == (129, 3)
