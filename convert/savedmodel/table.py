"""The sorted string table that is ``variables.index``: LevelDB's format, as TensorFlow keeps it.

Layout (tensorflow/core/lib/io/format.h, table_builder.cc): data blocks, a metaindex block, an index block
whose values are the places of the data blocks, and a footer of 48 bytes. Every block is followed by its
compression type (1 byte) and a masked CRC32C. The blocks must fill the file exactly, so that no byte of it
goes unchecked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cramjam
import google_crc32c

from hub2hf.errors import FETCH_AGAIN, CheckpointError
from hub2hf.limits import MAX_ENTRIES, MAX_INDEX_BYTES

TABLE_MAGIC: Final = 0xDB4775248B80FB57  # kTableMagicNumber, tensorflow/core/lib/io/format.h
FOOTER_SIZE: Final = 48  # Footer::kEncodedLength: two block handles of at most 20 bytes, padded, and the magic
TRAILER_SIZE: Final = 5  # kBlockTrailerSize: one byte of compression type, four of masked CRC32C
_MASK_DELTA: Final = 0xA282EAD8  # kMaskDelta, tensorflow/core/lib/hash/crc32c.h
_SNAPPY_MAX_RATIO: Final = 64  # a snappy copy element of 2 or more bytes gives at most 64 bytes
_NO_COMPRESSION, _SNAPPY = 0, 1


def mask_crc(crc: int) -> int:
    """Return the masked form of a CRC32C, as stored (tensorflow/core/lib/hash/crc32c.h, ``Mask``)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


class VarintError(ValueError):
    """A varint is truncated, longer than 64 bits, or not in its shortest form."""


def read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Read a little-endian base-128 integer of at most 64 bits.

    Returns:
        The value and the position after it.

    Raises:
        VarintError: see the class; longer forms are refused so that each value has one spelling.
    """
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or value >= 1 << 64:
                raise VarintError
            return value, position
        shift += 7
    raise VarintError


@dataclass(frozen=True)
class _Handle:
    """Place of a block: bytes ``[offset, offset + size)``, then its trailer."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size + TRAILER_SIZE


def read_table(path: Path) -> dict[bytes, bytes]:
    """Read a whole table.

    Args:
        path: the ``.index`` file.

    Returns:
        Its entries, in the order of their keys.

    Raises:
        CheckpointError: the file is missing, truncated, corrupted, or not such a table.
    """
    try:
        size = path.stat().st_size
        if size > MAX_INDEX_BYTES:
            raise CheckpointError(f"{path} has {size} bytes, too many for a checkpoint index.", FETCH_AGAIN)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The checkpoint index {path} cannot be read: {error}.", FETCH_AGAIN) from None
    try:
        return _read_entries(data)
    except MemoryError:
        raise CheckpointError(f"{path} does not fit in memory.", "Use a machine with more memory.") from None
    except (_TableError, VarintError) as error:
        reason = str(error) or "a number in it is malformed"
        raise CheckpointError(f"The checkpoint index {path} is damaged: {reason}.", FETCH_AGAIN) from None


class _TableError(ValueError):
    """What is wrong with the table, in words; turned into a CheckpointError naming the file."""


def _read_entries(data: bytes) -> dict[bytes, bytes]:
    metaindex, index = _read_footer(data)
    if _read_block(data, metaindex):
        raise _TableError("its metaindex names filters, which checkpoints do not have")
    entries: dict[bytes, bytes] = {}
    position, previous, key_bytes, block_bytes = 0, None, 0, 0
    for last_key, value in _read_block(data, index):
        handle = _read_handle(value, 0, len(value))[0]
        if handle.offset != position:
            raise _TableError(f"the block at byte {handle.offset} does not follow the one before it")
        block = _read_block(data, handle)
        for key, entry in block:
            if previous is not None and key <= previous:
                raise _TableError(f"key {key!r} is repeated or out of order")
            entries[key] = entry
            previous = key
            key_bytes += len(key)
            block_bytes += len(entry)
        if key_bytes > MAX_INDEX_BYTES:
            raise _TableError("its keys are absurdly long")
        if block_bytes > MAX_INDEX_BYTES or len(entries) > MAX_ENTRIES:
            raise _TableError(f"it unpacks to more than {MAX_INDEX_BYTES} bytes or {MAX_ENTRIES} entries")
        if previous is not None and previous > last_key:
            raise _TableError(f"key {previous!r} lies outside the bounds of its block")
        position = handle.end
    if (position, metaindex.end, index.end) != (metaindex.offset, index.offset, len(data) - FOOTER_SIZE):
        raise _TableError("its blocks do not fill the file")
    return entries


def _read_footer(data: bytes) -> tuple[_Handle, _Handle]:
    if len(data) < FOOTER_SIZE:
        raise _TableError(f"it has {len(data)} bytes, fewer than its footer of {FOOTER_SIZE}")
    (magic,) = struct.unpack_from("<Q", data, len(data) - 8)
    if magic != TABLE_MAGIC:
        raise _TableError("its last 8 bytes are not those of a checkpoint index: truncated, or another kind of file")
    start, end = len(data) - FOOTER_SIZE, len(data) - 8
    metaindex, position = _read_handle(data, start, end)
    index, position = _read_handle(data, position, end)
    if any(data[position:end]):
        raise _TableError("the padding of its footer is not zero")
    return metaindex, index


def _read_handle(data: bytes, position: int, end: int) -> tuple[_Handle, int]:
    offset, position = read_varint(data, position, end)
    size, position = read_varint(data, position, end)
    return _Handle(offset, size), position


def _read_block(data: bytes, handle: _Handle) -> list[tuple[bytes, bytes]]:
    if handle.end > len(data) - FOOTER_SIZE:
        raise _TableError(f"a block of {handle.size} bytes at byte {handle.offset} ends after the end of the file")
    content = data[handle.offset : handle.offset + handle.size]
    kind, stored = struct.unpack_from("<BI", data, handle.offset + handle.size)
    crc = google_crc32c.extend(google_crc32c.value(content), bytes([kind]))
    if mask_crc(crc) != stored:
        raise _TableError(f"the block at byte {handle.offset} does not match its CRC32C")
    if kind == _SNAPPY:
        content = _decompress(content, handle.offset)
    elif kind != _NO_COMPRESSION:
        raise _TableError(f"the block at byte {handle.offset} has the unknown compression {kind}")
    return _decode_block(content, handle.offset)


def _decompress(content: bytes, offset: int) -> bytes:
    try:
        size = cramjam.snappy.decompress_raw_len(content)
        if size > min(_SNAPPY_MAX_RATIO * len(content), MAX_INDEX_BYTES):
            raise _TableError(f"the block at byte {offset} claims {size} bytes, more than snappy can give")
        return bytes(cramjam.snappy.decompress_raw(content))
    except cramjam.DecompressionError as error:
        raise _TableError(f"the block at byte {offset} cannot be decompressed: {error}") from None


def _decode_block(block: bytes, offset: int) -> list[tuple[bytes, bytes]]:
    """Undo the prefix compression: each entry is (shared, unshared, value length), key suffix, value."""
    if len(block) < 4:
        raise _TableError(f"the block at byte {offset} is too short")
    (count,) = struct.unpack_from("<I", block, len(block) - 4)
    if count < 1 or 4 * count > len(block) - 4:
        raise _TableError(f"the block at byte {offset} claims {count} restart points")
    end = len(block) - 4 - 4 * count
    restarts = struct.unpack_from(f"<{count}I", block, end)
    entries: list[tuple[bytes, bytes]] = []
    full_keys = {0} if end == 0 else set()
    key, position, key_bytes = b"", 0, 0
    while position < end:
        start = position
        shared, position = read_varint(block, position, end)
        unshared, position = read_varint(block, position, end)
        length, position = read_varint(block, position, end)
        if shared > len(key) or unshared + length > end - position:
            raise _TableError(f"an entry of the block at byte {offset} ends after the block")
        if shared == 0:
            full_keys.add(start)
        suffix = block[position : position + unshared]
        if entries and key[:shared] + suffix <= key:
            raise _TableError(f"key {key[:shared] + suffix!r} is repeated or out of order")
        key = key[:shared] + suffix
        key_bytes += len(key)
        if key_bytes > MAX_INDEX_BYTES:
            raise _TableError(f"the keys of the block at byte {offset} are absurdly long")
        position += unshared + length
        entries.append((key, block[position - length : position]))
        if len(entries) > MAX_ENTRIES:
            raise _TableError(f"the block at byte {offset} has more than {MAX_ENTRIES} entries")
    if restarts[0] != 0 or sorted(set(restarts)) != list(restarts) or not full_keys.issuperset(restarts):
        raise _TableError(f"the restart points of the block at byte {offset} are not at whole keys")
    return entries
