r"""The steps for `@huggingface/tokenizers` and `@huggingface/transformers`, which run a `tokenizer.json` in JavaScript.

What was found in their sources and by running them (0.2.0 and 4.3.2; Node 20 and 24):

- `Replace` is `text.replaceAll(new RegExp(regex, "gu"), content)`. So `\K`, `\G`, `(?m:…)` and possessive loops do not
  exist, and in `content` a dollar sign is special: `$1` is what the group matched, `$$` a dollar sign.
- An empty match is also found between the two halves of a character beyond U+FFFF, where a negative look-around holds.
  So no regex here matches the empty string: what stays is matched, and put back as `$1`.
- `Precompiled` ignores its map: it is always one and the same approximation of NFKC. So a map is a `Replace` for each string
  that characters become.
- NFD and NFC are those of the engine's Unicode, which is newer than TensorFlow Text's. All that is decomposed is in the
  map, so that they only sort marks and compose, and decompose what every version of Unicode decomposes in the same way.
  What TensorFlow Text does not know stands between two control characters meanwhile.
- `Split` at a string, `removed`, keeps the separators. With a regex and `invert` it is `text.match`: the words themselves.
- `WhitespaceSplit` takes U+FEFF for white space, and not U+0085.
- WordPiece, and the template around the pieces, are those of the Rust library. Nothing truncates unless it is asked to, and
  then Transformers.js loses the id of the end: `hub2hf.mjs` in a folder for the browser truncates as the graph does.

Look-behind is needed: Chrome 62, Firefox 78, Safari 16.4. `scripts/fuzz_tokenizer.py --javascript` finds no difference from
the Rust library's ids in 1,134,967 texts of LEALLA's rules and BERT's, cased and uncased.

Why not one file for both: Rust pays for every match and every character of it, so what is fast there needs `\K` and `\G`;
and without `Precompiled`, folding would take thousands of replacements there too. The Rust library refuses this file, and
these libraries refuse that one, so that neither is used by mistake.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub2hf.errors import GraphError
from hub2hf.unicode.codepoints import CodePoints
from hub2hf.unicode.dialect import JAVASCRIPT
from hub2hf.unicode.tables import UNLISTED_SCRIPT, scripts

from .engine import LONGEST_UTF8, PARTING, CharacterMap, Prepend, TextStep

TOKENIZER_CONFIG = {
    "tokenizer_class": "BertTokenizer"
}  # the one whose encodings have token types, as BERT's inputs have


class JavaScript:
    """The libraries that make JavaScript's regexes of those in the file."""

    dialect = JAVASCRIPT

    def literal(self, content: str) -> str:
        """A dollar sign is written twice."""
        return content.replace("$", "$$")

    def mapped(self, characters: CharacterMap) -> Iterator[TextStep]:
        """As replacements, a normalization that finds little to do, and replacements again."""
        changes = {c: target for c, target in characters.mapping.items() if target != _anywhere(c)}
        yield from self._replacements(changes)
        yield f"({self.dialect.one_of(scripts()[UNLISTED_SCRIPT])})", f"{PARTING}$1{PARTING}"
        yield characters.form
        yield from self._replacements(characters.restored)

    def _replacements(self, mapping: Mapping[str, str]) -> Iterator[TextStep]:
        for target, sources in _in_order(mapping):
            yield self.dialect.one_of(CodePoints.of(*((ord(c), ord(c)) for c in sources))), self.literal(target)

    def spaces_after(self, runs: Sequence[CodePoints], gone: CodePoints) -> TextStep:
        """What is kept is put back; a second space at the start does no harm."""
        loops = "|".join(self.dialect.at_least_one(self.dialect.one_of(codes)) for codes in runs)
        return f"({self.dialect.start} |{loops}){self.dialect.any_number(self.dialect.one_of(gone))}", "$1 "

    def spaces_around(self, codes: CodePoints) -> TextStep:
        """A second space does no harm here either."""
        return f"({self.dialect.one_of(codes)})", " $1 "

    def long_words(self, limit: int, spared: str | None, unknown: str) -> Iterator[TextStep]:
        """Tabs after the characters of words that may be too long, and one after any other word, where it does no harm."""
        not_spared = f"(?!{spared})" if spared is not None else ""
        suspect = rf"(?=[^ ]{{{limit // LONGEST_UTF8 + 1}}}){not_spared}"
        yield rf"((?<= )(?!{suspect})[^ ]+|[^ ])", "$1\t"
        yield r"([\u{80}-\u{10FFFF}])(?=\t)", "$1\t"  # a second one for two bytes
        yield r"([\u{800}-\u{10FFFF}])(?=\t)", "$1\t"
        yield r"([\u{10000}-\u{10FFFF}])(?=\t)", "$1\t"
        yield rf"(?<= )(?:[^ \t]?\t){{{limit + 1}}}[^ ]*", self.literal(unknown)
        yield r"\t", ""


def _anywhere(character: str) -> str | None:
    """The decomposition that a character has had in every Unicode since 3.2, where it has one."""
    found = unicodedata.ucd_3_2_0.normalize("NFD", character)
    return found if found != character else None


def _in_order(mapping: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return what characters become, with those characters, so that none of it becomes anything else later.

    Raises:
        GraphError: there is no such order.
    """
    sources: dict[str, list[str]] = {}
    for character, target in sorted(mapping.items()):
        sources.setdefault(target, []).append(character)
    found: list[tuple[str, list[str]]] = []
    entered: set[str] = set()
    todo = [(target, False) for target in reversed(sources)]
    while todo:  # depth first: what a target's characters become themselves is replaced before it
        target, seen = todo.pop()
        if seen:
            found.append((target, sources[target]))
        elif target not in entered:
            entered.add(target)
            todo.append((target, True))
            todo += [(mapping[c], False) for c in target if c in mapping]
    done: set[str] = set()
    for target, characters in found:
        done.update(characters)
        late = [c for c in target if c in mapping and c not in done]
        if late:
            raise GraphError(
                f"U+{ord(characters[0]):04X} becomes {target!r}, of which U+{ord(late[0]):04X} becomes something else.",
                "JavaScript's tokenizers change characters one after another: this folder cannot be exported for them.",
            )
    return found


def tokenizer_parts(steps: Iterable[TextStep], cut: str | None) -> dict[str, Any]:
    """Return the parts of a `tokenizer.json` that differ between engines."""
    whole = "[^ ]+" if cut is None else rf"(?<= )(?!{cut})[^ ]+|[^ ]"
    split = {"type": "Split", "pattern": {"Regex": whole}, "behavior": "Removed", "invert": True}
    return {
        "normalizer": {"type": "Sequence", "normalizers": [_normalizer(step) for step in steps]},
        "pre_tokenizer": split,
    }


def _normalizer(step: TextStep) -> dict[str, Any]:
    if isinstance(step, Prepend):
        return {"type": "Prepend", "prepend": step.content}
    if isinstance(step, tuple):
        return {"type": "Replace", "pattern": {"Regex": step[0]}, "content": step[1]}
    assert not isinstance(step, bytes)
    return {"type": step}
