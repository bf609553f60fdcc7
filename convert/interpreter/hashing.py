"""Hashes of strings, bit for bit: FarmHash's Fingerprint64, SipHash-2-4, and the Hash64 of TensorFlow.

Published algorithms: FarmHash (farmhashna::Hash64, Pike & Alakuijala 2014), SipHash (Aumasson & Bernstein 2012), MurmurHash
2 with 64 bits (Appleby 2008), which `tsl/platform/hash.cc` varies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from hub2hf.interpreter.registry import Caller, Value, operation
from hub2hf.interpreter.utf import flat
from hub2hf.limits import tick
from hub2hf.savedmodel.node import Node

MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
HASH64_SEED = 0xDECAFCAFFE  # tsl::Hash64(data, n)
_CHUNK = 1 << 12  # rounds between two looks at the clock


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rotated(value: int, shift: int) -> int:
    """To the right."""
    return ((value >> shift) | (value << (64 - shift))) & MASK


def _shift_mix(value: int) -> int:
    return value ^ (value >> 47)


def _mixed(u: int, v: int, multiplier: int) -> int:
    """FarmHash's HashLen16."""
    a = _shift_mix(((u ^ v) * multiplier) & MASK)
    b = _shift_mix(((v ^ a) * multiplier) & MASK)
    return (b * multiplier) & MASK


def fingerprint64(data: bytes) -> int:
    """Return FarmHash's Fingerprint64, unsigned."""
    size = len(data)
    if size <= 16:
        return _up_to_16(data)
    if size <= 32:
        return _up_to_32(data)
    if size <= 64:
        return _up_to_64(data)
    return _longer(data)


def _up_to_16(data: bytes) -> int:
    size = len(data)
    multiplier = (_K2 + size * 2) & MASK
    if size >= 8:
        a, b = (_word(data, 0) + _K2) & MASK, _word(data, size - 8)
        c = (_rotated(b, 37) * multiplier + a) & MASK
        d = ((_rotated(a, 25) + b) * multiplier) & MASK
        return _mixed(c, d, multiplier)
    if size >= 4:
        return _mixed((size + (_word(data, 0, 4) << 3)) & MASK, _word(data, size - 4, 4), multiplier)
    if size > 0:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[size - 1] << 2)
        return (_shift_mix((y * _K2 ^ z * _K0) & MASK) * _K2) & MASK
    return _K2


def _up_to_32(data: bytes) -> int:
    size = len(data)
    multiplier = (_K2 + size * 2) & MASK
    a, b = (_word(data, 0) * _K1) & MASK, _word(data, 8)
    c, d = (_word(data, size - 8) * multiplier) & MASK, (_word(data, size - 16) * _K2) & MASK
    first = (_rotated((a + b) & MASK, 43) + _rotated(c, 30) + d) & MASK
    return _mixed(first, (a + _rotated((b + _K2) & MASK, 18) + c) & MASK, multiplier)


def _up_to_64(data: bytes) -> int:
    size = len(data)
    multiplier = (_K2 + size * 2) & MASK
    a, b = (_word(data, 0) * _K2) & MASK, _word(data, 8)
    c, d = (_word(data, size - 8) * multiplier) & MASK, (_word(data, size - 16) * _K2) & MASK
    y = (_rotated((a + b) & MASK, 43) + _rotated(c, 30) + d) & MASK
    z = _mixed(y, (a + _rotated((b + _K2) & MASK, 18) + c) & MASK, multiplier)
    e, f = (_word(data, 16) * multiplier) & MASK, _word(data, 24)
    g, h = ((y + _word(data, size - 32)) * multiplier) & MASK, ((z + _word(data, size - 24)) * multiplier) & MASK
    first = (_rotated((e + f) & MASK, 43) + _rotated(g, 30) + h) & MASK
    return _mixed(first, (e + _rotated((f + a) & MASK, 18) + g) & MASK, multiplier)


def _weak(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """FarmHash's WeakHashLen32WithSeeds, of 32 bytes."""
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a = (a + w) & MASK
    b = _rotated((b + a + z) & MASK, 21)
    c = a
    a = (a + x + y) & MASK
    b = (b + _rotated(a, 44)) & MASK
    return (a + z) & MASK, (b + c) & MASK


def _longer(data: bytes) -> int:
    seed, size = 81, len(data)
    x = (seed * _K2 + _word(data, 0)) & MASK
    y = (seed * _K1 + 113) & MASK
    z = (_shift_mix((y * _K2 + 113) & MASK) * _K2) & MASK
    v = w = (0, 0)
    end = (size - 1) // 64 * 64
    for at in range(0, end, 64):
        if not at % _CHUNK:
            tick("a hash")
        x = (_rotated((x + y + v[0] + _word(data, at + 8)) & MASK, 37) * _K1) & MASK
        y = (_rotated((y + v[1] + _word(data, at + 48)) & MASK, 42) * _K1) & MASK
        x ^= w[1]
        y = (y + v[0] + _word(data, at + 40)) & MASK
        z = (_rotated((z + w[0]) & MASK, 33) * _K1) & MASK
        v = _weak(data, at, (v[1] * _K1) & MASK, (x + w[0]) & MASK)
        w = _weak(data, at + 32, (z + w[1]) & MASK, (y + _word(data, at + 16)) & MASK)
        z, x = x, z
    multiplier = (_K1 + ((z & 0xFF) << 1)) & MASK
    at = size - 64
    w = ((w[0] + ((size - 1) & 63)) & MASK, w[1])
    v = ((v[0] + w[0]) & MASK, v[1])
    w = ((w[0] + v[0]) & MASK, w[1])
    x = (_rotated((x + y + v[0] + _word(data, at + 8)) & MASK, 37) * multiplier) & MASK
    y = (_rotated((y + v[1] + _word(data, at + 48)) & MASK, 42) * multiplier) & MASK
    x ^= (w[1] * 9) & MASK
    y = (y + v[0] * 9 + _word(data, at + 40)) & MASK
    z = (_rotated((z + w[0]) & MASK, 33) * multiplier) & MASK
    v = _weak(data, at, (v[1] * multiplier) & MASK, (x + w[0]) & MASK)
    w = _weak(data, at + 32, (z + w[1]) & MASK, (y + _word(data, at + 16)) & MASK)
    z, x = x, z
    first = (_mixed(v[0], w[0], multiplier) + _shift_mix(y) * _K0 + z) & MASK
    return _mixed(first, (_mixed(v[1], w[1], multiplier) + x) & MASK, multiplier)


def fingerprint_cat64(a: int, b: int) -> int:
    """Return how TensorFlow joins two fingerprints (`FingerprintCat64`, tsl/platform/fingerprint.h)."""
    multiplier = 0xC6A4A7935BD1E995
    joined = a ^ multiplier ^ ((_shift_mix((b * multiplier) & MASK) * multiplier) & MASK)
    joined = (joined * multiplier) & MASK
    joined = (_shift_mix(joined) * multiplier) & MASK
    return _shift_mix(joined)


def siphash(key: Sequence[int], data: bytes) -> int:
    """Return SipHash-2-4 under a key of two unsigned numbers of 64 bits, unsigned."""
    a, b = key
    state = [a ^ 0x736F6D6570736575, b ^ 0x646F72616E646F6D, a ^ 0x6C7967656E657261, b ^ 0x7465646279746573]
    whole = len(data) // 8 * 8
    words = [_word(data, at) for at in range(0, whole, 8)]
    words.append((len(data) & 0xFF) << 56 | _word(data, whole, len(data) - whole))
    for number, word in enumerate(words):
        if not number % _CHUNK:
            tick("a hash")
        state[3] ^= word
        _sip_rounds(state, 2)
        state[0] ^= word
    state[2] ^= 0xFF
    _sip_rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_rounds(v: list[int], count: int) -> None:
    for _ in range(count):
        v[0] = (v[0] + v[1]) & MASK
        v[1] = _rotated(v[1], 51) ^ v[0]
        v[0] = _rotated(v[0], 32)
        v[2] = (v[2] + v[3]) & MASK
        v[3] = _rotated(v[3], 48) ^ v[2]
        v[0] = (v[0] + v[3]) & MASK
        v[3] = _rotated(v[3], 43) ^ v[0]
        v[2] = (v[2] + v[1]) & MASK
        v[1] = _rotated(v[1], 47) ^ v[2]
        v[2] = _rotated(v[2], 32)


def hash64(data: bytes) -> int:
    """Return the Hash64 of `tsl/platform/hash.cc`, unsigned."""
    multiplier, shift = 0xC6A4A7935BD1E995, 47
    h = HASH64_SEED ^ (len(data) * multiplier & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        if not at % _CHUNK:
            tick("a hash")
        k = (_word(data, at) * multiplier) & MASK
        k = ((k ^ (k >> shift)) * multiplier) & MASK
        h = ((h ^ k) * multiplier) & MASK
    if whole < len(data):
        h = ((h ^ _word(data, whole, len(data) - whole)) * multiplier) & MASK
    h = ((h ^ (h >> shift)) * multiplier) & MASK
    return h ^ (h >> shift)


def _hasher(node: Node) -> Callable[[bytes], int]:
    if node.op == "StringToHashBucketFast":
        return fingerprint64
    if node.op == "StringToHashBucketStrong":
        key = [int(word) & MASK for word in node.attr("key")]
        return lambda text: siphash(key, text)
    return hash64


@operation("StringToHashBucket", "StringToHashBucketFast", "StringToHashBucketStrong")
def _hash_bucket(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    buckets, texts = int(node.attr("num_buckets")), flat(inputs[0])
    if buckets < 1:
        raise ValueError(f"{buckets} buckets")
    if buckets == 1:  # what a vocabulary has for unknown pieces
        return (np.zeros(np.shape(inputs[0]), np.int64),)
    hasher = _hasher(node)
    found = [hasher(text) % buckets for text in texts]
    return (np.asarray(found, np.int64).reshape(np.shape(inputs[0])),)


@operation("Fingerprint", cost=lambda node, inputs: np.size(inputs[0]) + 8 * len(inputs[0]))
def _fingerprint(node: Node, inputs: Sequence[Value], run: Caller) -> tuple[Value, ...]:
    """Eight bytes for each row, of the bytes of its elements; texts in a row are joined by their fingerprints."""
    data = np.asarray(inputs[0])
    method = inputs[1].item() if isinstance(inputs[1], np.ndarray) else inputs[1]
    if method != b"farmhash64":
        raise ValueError(f"the method {method!r}")
    if data.dtype == object:
        rows = data.reshape(len(data), math.prod(data.shape[1:]))
        if rows.shape[1] == 1 or data.ndim == 1:
            texts = [row[0] for row in rows.tolist()]
        else:
            prints = [[fingerprint64(text).to_bytes(8, "little") for text in row] for row in rows.tolist()]
            texts = [b"".join(row) for row in prints]
    else:
        kind = node.attr("T", data.dtype)
        exact = data.astype(kind) if data.dtype == np.float64 else data
        texts = [row.tobytes() for row in exact.reshape(len(exact), math.prod(exact.shape[1:]))]
    found = np.asarray([fingerprint64(text) for text in texts], "<u8")
    return (found.view(np.uint8).reshape(len(data), 8),)
