"""Writers that TensorFlow does not offer: an index table of any shape, and bundles with crafted entries."""

from __future__ import annotations

import struct
from bisect import bisect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cramjam
import google_crc32c

from hub2hf.savedmodel.table import TABLE_MAGIC, mask_crc


def varint(value: int) -> bytes:
    """Return a number as protobuf and LevelDB write it, seven bits a byte, the lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def encode_block(entries: list[tuple[bytes, bytes]], restart_interval: int = 16) -> bytes:
    """Return a block of a table: keys without what they share with the one before, but for every so many."""
    out, restarts, previous = bytearray(), [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % restart_interval == 0:
            restarts.append(len(out))
        else:
            shared = bisect(range(1, min(len(key), len(previous)) + 1), False, key=lambda n: key[:n] != previous[:n])
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def encode_table(
    entries: Iterable[tuple[bytes, bytes]],
    *,
    per_block: int = 8,
    snappy: bool = False,
    restart_interval: int = 4,
) -> bytes:
    """Return a table of sorted entries, with blocks of so many, compressed or not."""
    items, out, index = list(entries), bytearray(), []

    def add(block: bytes, compress: bool) -> bytes:
        content = bytes(cramjam.snappy.compress_raw(block)) if compress else block
        handle = varint(len(out)) + varint(len(content))
        kind = bytes([int(compress)])
        crc = google_crc32c.extend(google_crc32c.value(content), kind)
        out.extend(content + kind + struct.pack("<I", mask_crc(crc)))
        return handle

    for start in range(0, len(items), per_block):
        part = items[start : start + per_block]
        index.append((part[-1][0], add(encode_block(part, restart_interval), snappy)))
    metaindex = add(encode_block([]), False)
    handles = metaindex + add(encode_block(index, 1), snappy)
    return bytes(out) + handles.ljust(40, b"\0") + struct.pack("<Q", TABLE_MAGIC)


def copy_bundle(source: Path, target: Path, table: dict[bytes, bytes], **options: Any) -> Path:
    """Write a table beside copies of the data shards of a bundle; return the new prefix."""
    target.mkdir(parents=True, exist_ok=True)
    for shard in source.parent.glob(source.name + ".data-*"):
        (target / shard.name).write_bytes(shard.read_bytes())
    (target / (source.name + ".index")).write_bytes(encode_table(sorted(table.items()), **options))
    return target / source.name
