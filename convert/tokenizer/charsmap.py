"""A map from characters to strings as `tokenizers.normalizers.Precompiled` reads it: sentencepiece's form of one.

The form (sentencepiece, src/normalizer.cc, `EncodePrecompiledCharsMap`): the size of a trie in bytes, little-endian; the
trie, a double array of 32-bit units (darts-clone, `Details::DoubleArrayUnit`) over the UTF-8 bytes of the characters; and
the strings, each ended by a zero byte, where the trie's values are their places.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

LEAF = 1 << 8  # a unit whose node ends a character
VALUE = 1 << 31  # a unit that holds a value
OFFSET_BITS = 10  # where the offset to the children of a node begins in its unit
BLOCK = 256  # units that the labels of any node can reach
CONTINUATION, CONTINUATIONS = 0x80, 64  # bytes of UTF-8 after the first, which most nodes have as their labels


@dataclass
class _Trie:
    children: dict[int, _Trie] = field(default_factory=dict)
    value: int | None = None

    def labels(self) -> list[int]:
        """Return the labels of the children; 0 is that of the value."""
        return [*([0] if self.value is not None else []), *sorted(self.children)]


def charsmap(mapping: Mapping[str, str]) -> bytes:
    """Return the bytes for `normalizers.Precompiled`.

    Args:
        mapping: character → what it becomes, in any order; neither holds U+0000.
    """
    places: dict[str, int] = {}
    strings = bytearray()
    root = _Trie()
    for character, target in sorted(mapping.items()):
        if target not in places:
            places[target] = len(strings)
            strings += target.encode() + b"\0"
        node = root
        for byte in character.encode():
            node = node.children.setdefault(byte, _Trie())
        node.value = places[target]
    units = _Units().filled(root)
    return len(units).to_bytes(4, "little") + units + bytes(strings)


class _Units:
    """The double array while it is filled: the children of a node with offset o stand at o ^ label."""

    def __init__(self) -> None:
        self.units: dict[int, int] = {0: 0}
        self.offsets: set[int] = {0}  # each belongs to one node: a unit knows its label, not its parent
        self.end = BLOCK
        self.hole = 1

    def filled(self, root: _Trie) -> bytes:
        """Return the array of the trie at `root`, as bytes."""
        level = [(0, root)]
        while level:  # nodes with many children first: those with only a value fit between
            level.sort(key=lambda entry: (not entry[1].children, entry[0]))
            level = [child for at, node in level for child in self._place(at, node)]
        size = (max(self.units) // BLOCK + 2) * BLOCK
        whole = array("I", bytes(4 * size))
        for at, unit in self.units.items():
            whole[at] = unit
        if whole.itemsize != 4:
            raise AssertionError("unsigned int has another size here")
        return whole.tobytes()

    def _place(self, at: int, node: _Trie) -> list[tuple[int, _Trie]]:
        labels = node.labels()
        offset = self._offset(labels)
        self.offsets.add(offset)
        relative = at ^ offset
        if relative >= 1 << (32 - OFFSET_BITS - 1):
            raise AssertionError("the map is too large for one double array")
        self.units[at] |= relative << OFFSET_BITS | (LEAF if node.value is not None else 0)
        for label in labels:
            self.units[offset ^ label] = label if label else VALUE | (node.value or 0)
        return [(offset ^ label, node.children[label]) for label in labels if label]

    def _offset(self, labels: list[int]) -> int:
        """Return an offset at which every label falls on a free unit."""
        if labels == [0]:
            while self.hole in self.units or self.hole in self.offsets:
                self.hole += 1
            return self.hole
        if all(CONTINUATION <= label < CONTINUATION + CONTINUATIONS for label in labels):
            size, first = CONTINUATIONS, CONTINUATION
        else:
            size, first = BLOCK, 0
        start = -(-max(self.end, self.hole + 1) // size) * size
        self.end = start + size
        return start ^ first
