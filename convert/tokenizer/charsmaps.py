r"""The normalizer of a SentencePiece model as stock parts of `tokenizers`.

sentencepiece replaces the longest beginning of the text that its map knows, and goes on behind it. `Precompiled` reads the
same map, but looks up grapheme clusters, and takes the shortest beginning of a cluster of fewer than six bytes: so Hangul
that is typed by letters, and marks beside zero-width characters, come out otherwise.

Here the text is first parted as sentencepiece parts it, by one regex of all that the map knows of several characters; a
control character stands between the parts, and another one between the characters of a part. Then every character is alone
in its cluster, and `Precompiled` maps it by itself. What the map does to several characters is, in the maps that come with
sentencepiece, what NFC does to them once each is mapped: the stock NFC does that within each part. The few of which that
is not true are replaced one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

from tokenizers import Regex, normalizers

from hub2hf.errors import GraphError
from hub2hf.savedmodel.sentencepiece import charsmap_parts
from hub2hf.unicode.codepoints import NOTHING, CodePoints, union
from hub2hf.unicode.dialect import ONIGURUMA
from hub2hf.unicode.folding import decomposed
from hub2hf.unicode.tables import everywhere, re2_class

from .charsmap import charsmap
from .oniguruma import CONTINUING, STARTING

BETWEEN, WITHIN = "\x01", "\x02"  # parts; the characters of one
MOST_ODD = 64  # of what the map does to several characters and NFC does not
MOST_NODES = 1 << 22  # of the tree of a map; that of nmt_nfkc has 463,000, written as 19,000 units that share branches
JAMO = CodePoints.parse("1161-1175 11A8-11C2")  # vowels and finals, which compose (The Unicode Standard, 3.12)
LABEL, LEAF, WIDE, VALUE = 0xFF, 1 << 8, 1 << 9, 1 << 31  # see `charsmap`


class _Array:
    """The double array of a map, whose nodes share their branches: node → its children, and the string of its value."""

    def __init__(self, data: bytes, evidence: str) -> None:
        self.units, self.strings = charsmap_parts(data, evidence)
        self.evidence = evidence
        self._children: dict[int, list[int]] = defaultdict(list)
        for at, unit in enumerate(self.units):
            if not unit & VALUE and unit & LABEL:
                self._children[at ^ (unit & LABEL)].append(at)

    def children(self, at: int) -> Iterator[tuple[int, int]]:
        """Yield the byte and the node of each child."""
        base = self._base(at)
        return ((base ^ child, child) for child in self._children.get(base, ()))

    def value(self, at: int) -> str | None:
        """Return what a text that ends at a node becomes; None where none ends there.

        Raises:
            GraphError: it points out of the strings, or they are not UTF-8.
        """
        if not self.units[at] & LEAF:
            return None
        try:
            place = self.units[self._base(at)] & ~VALUE
            return self.strings[place : self.strings.index(b"\0", place)].decode()
        except (IndexError, ValueError):
            raise GraphError(f"The map of node '{self.evidence}' is damaged.", "Fetch the model again.") from None

    def _base(self, at: int) -> int:
        return at ^ (self.units[at] >> 10) << ((self.units[at] & WIDE) >> 6)


@lru_cache(maxsize=2)
def mapping_of(data: bytes, evidence: str) -> Mapping[str, str]:
    """Return all that the map of a normalizer knows: text → what it becomes.

    Raises:
        VocabularyError, GraphError: the map is damaged.
    """
    tree = _Array(data, evidence)
    found: dict[bytes, str] = {}
    todo, seen = [(0, b"")] if tree.units else [], 0
    while todo:
        at, key = todo.pop()
        value = tree.value(at) if key else None
        if value is not None:
            found[key] = value
        todo += [(child, key + bytes([byte])) for byte, child in tree.children(at)]
        seen += 1
        if seen > MOST_NODES:
            raise GraphError(f"The map of node '{evidence}' is too large.", "Fetch the model again.")
    try:
        return {key.decode(): value for key, value in found.items()}
    except UnicodeDecodeError:
        raise GraphError(f"The map of node '{evidence}' is damaged.", "Fetch the model again.") from None


@lru_cache(maxsize=2)
def charsmap_steps(data: bytes, evidence: str) -> Sequence[normalizers.Normalizer]:
    """Return what does to a text what the map `data` of a normalizer does; the text holds no U+0001 and U+0002.

    Raises:
        GraphError: the map does something that these parts cannot do.
        VocabularyError: it is damaged.
    """
    mapping = mapping_of(data, evidence)
    if not mapping:
        return []
    single = {key: value for key, value in mapping.items() if len(key) == 1}
    several = {key: value for key, value in mapping.items() if len(key) > 1}
    one_of = ONIGURUMA.one_of
    joining = _joining(single, several)
    part = f"(?>{_any_of(several)}|(?m:.))" if several else "(?m:.)"
    changed = (ord(c) for c in single if ord(c) > 0x7F)
    before = CodePoints.of(*((code, code) for code in changed)) & (re2_class("Cf") or NOTHING)
    beside = rf"(?={one_of(joining)})(?<=[^\x{{1}}])"
    if before:
        beside += rf"|(?<={one_of(before)})(?=[^\x{{1}}])"
    return [
        _replace(rf"\G(?>(?:{part}(?!{one_of(joining)}))*){part}\K(?={one_of(joining)})", BETWEEN),
        *_odd(single, several, joining, evidence),
        _replace(beside, WITHIN),
        normalizers.Precompiled(charsmap(_checked(single, evidence))),
        normalizers.Replace(WITHIN, ""),
        normalizers.NFC(),
        normalizers.Replace(BETWEEN, ""),
    ]


def _replace(regex: str, content: str) -> normalizers.Normalizer:
    return normalizers.Replace(Regex(regex), content)


def _joining(single: Mapping[str, str], several: Mapping[str, str]) -> CodePoints:
    """The characters that may do something with the one before: in a cluster, in NFC, or in the map."""
    follow = ~union(re2_class(name) or NOTHING for name in STARTING) | CONTINUING | JAMO | _seconds()
    tails = {ord(c) for key in several for c in key[1:]}
    tails |= {ord(c) for c, target in single.items() if target and ord(target[0]) in follow}
    return (follow | CodePoints.of(*((code, code) for code in tails))) - CodePoints.of((1, 2))


@cache
def _seconds() -> CodePoints:
    """The characters that others decompose to, but for the first of each."""
    found = {c for code in everywhere() for c in decomposed(chr(code))[1:]}
    return CodePoints.of(*((ord(c), ord(c)) for c in found))


def _checked(single: Mapping[str, str], evidence: str) -> dict[str, str]:
    nfc = normalizers.NFC()
    for key, target in single.items():
        if nfc.normalize_str(target) != target or {BETWEEN, WITHIN} & {*target}:
            raise _unlike(key, target, evidence)
    if " " in single and single[" "] != " ":
        raise _unlike(" ", single[" "], evidence)
    return {key: target for key, target in single.items() if key not in ("\0", BETWEEN, WITHIN)}


def _odd(
    single: Mapping[str, str], several: Mapping[str, str], joining: CodePoints, evidence: str
) -> Iterator[normalizers.Normalizer]:
    """Replace what the map makes of several characters where NFC would make something else of them."""
    nfc = normalizers.NFC()
    composed = {key: nfc.normalize_str("".join(single.get(c, c) for c in key)) for key in several}
    odd: dict[str, list[str]] = defaultdict(list)
    for key in sorted(key for key, target in several.items() if composed[key] != target):
        odd[several[key]].append(key)
    if len(odd) > MOST_ODD:
        target, (key, *_) = next(iter(odd.items()))
        raise _unlike(key, target, evidence)
    behind = f"(?!{ONIGURUMA.one_of(joining)})"
    for target, keys in odd.items():
        if any(c in single for c in target) or nfc.normalize_str(target) != target:
            raise _unlike(keys[0], target, evidence)
        alone = "|".join(_alone(key, joining) for key in keys)
        yield _replace(f"(?:{alone}){behind}", target)


def _alone(key: str, joining: CodePoints) -> str:
    """A regex for `key` where it is a part: what may join the one before stands behind a mark, or at the start."""
    text = "".join(f"\\x{{{ord(c):X}}}" for c in key)
    return rf"(?:(?<=\x{{1}})|\A){text}" if ord(key[0]) in joining else text


def _unlike(key: str, target: str, evidence: str) -> GraphError:
    points = " ".join(f"U+{ord(c):04X}" for c in key)
    return GraphError(
        f"The normalizer of node '{evidence}' makes {target!r} of {key!r} ({points}), which no part of "
        "tokenizers does.",
        "The maps nmt_nfkc, nfkc and identity of sentencepiece can be converted: report the model.",
    )


@dataclass
class _Trie:
    children: dict[str, _Trie] = field(default_factory=dict)
    ends: bool = False


def _any_of(keys: Mapping[str, str]) -> str:
    """Return a regex that matches the longest of `keys`: a tree of characters, whose equal branches are written once."""
    root = _Trie()
    for key in keys:
        node = root
        for character in key:
            node = node.children.setdefault(character, _Trie())
        node.ends = True
    return _written(root)


def _written(node: _Trie) -> str:
    branches: dict[str, list[int]] = defaultdict(list)
    for character, child in node.children.items():
        branches[_written(child)].append(ord(character))
    if not branches:
        return ""
    options = [
        ONIGURUMA.one_of(CodePoints.of(*((code, code) for code in codes))) + rest
        for rest, codes in sorted(branches.items(), key=lambda item: min(item[1]))
    ]
    whole = f"(?:{'|'.join(options)})" if len(options) > 1 or node.ends else options[0]
    return f"{whole}?" if node.ends else whole
