r"""The steps for the `tokenizers` library, whose regexes are Oniguruma's.

`\K` and `\G` are what makes them fast: the library pays for each character of a match, and for each match.

`Precompiled` looks a text up by grapheme cluster, and takes the first character's entry for a cluster of fewer than six
bytes. So a control character, which is always a cluster of its own, is put between the characters of such clusters
before, and taken away after.

No regex can add up byte lengths, so each character of a long word is given four tabs, of which as many are counted as it has
bytes, and then all go. Most texts have no long word, and pay for each step that looks for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenizers import Regex, normalizers, pre_tokenizers

from hub2hf.unicode.codepoints import NOTHING, CodePoints, union
from hub2hf.unicode.dialect import ONIGURUMA
from hub2hf.unicode.tables import re2_class

from .charsmap import charsmap
from .engine import LONGEST_UTF8, NFD, SEPARATOR, CharacterMap, Prepend, TextStep
from .pipeline import END_OF_WORD, Pipeline

# Categories that begin a cluster and never go on with one (Unicode Standard Annex 29, table 2), but for these: the emoji
# modifiers, the half-width kana marks, Thai and Lao AM. Whatever is unassigned here may be a mark in newer tables.
STARTING = "LNPSZ"
CONTINUING = CodePoints.parse("A E33 EB3 FF9E-FF9F 1F3FB-1F3FF")


class Oniguruma:
    """`tokenizers`, in Rust and in Python."""

    dialect = ONIGURUMA

    def literal(self, content: str) -> str:
        """Everything stands for itself."""
        return content

    def mapped(self, characters: CharacterMap) -> Iterator[TextStep]:
        """As one `Precompiled`, a stock normalization, and another one."""
        one_of = self.dialect.one_of
        changed = (ord(c) for c in characters.mapping if ord(c) > 0x7F)
        prepended = CodePoints.of(*((code, code) for code in changed)) & (re2_class("Cf") or NOTHING)
        starting = union(re2_class(name) or NOTHING for name in STARTING)
        continuing = one_of(~starting | CONTINUING)
        after = rf"|(?<={one_of(prepended)})(?=(?m:.))" if prepended else ""
        yield rf"(?={continuing})(?<=(?m:.)){after}", SEPARATOR
        yield charsmap(characters.mapping)
        yield f"\\x{{{ord(SEPARATOR):X}}}", ""
        yield characters.form
        yield charsmap(characters.restored)

    def spaces_after(self, runs: Sequence[CodePoints], gone: CodePoints) -> TextStep:
        """What matched before `\\K` is not part of the match, which goes on over spaces; a second one does no harm."""
        one_of, space = self.dialect.one_of, CodePoints.single(ord(" "))
        over = "|".join(f"{one_of(codes)}{self.dialect.any_number(one_of(codes | space))}" for codes in runs)
        return rf"(?:\A|{over})\K{self.dialect.any_number(self.dialect.one_of(gone))}", " "

    def spaces_around(self, codes: CodePoints) -> TextStep:
        """Where there is no space yet."""
        kept = self.dialect.one_of(codes)
        return rf"(?={kept})(?<=[^ ])|(?<={kept})(?=[^ ])", " "

    def long_words(self, limit: int, spared: str | None, unknown: str) -> Iterator[TextStep]:
        """Four tabs before each character of words that may be too long, of which as many are counted as it has bytes.

        Where a search begins there is the space at the start of the text, or a character of such a word.
        """
        spared_too = f"|(?={spared})[^ ]*+" if spared is not None else ""
        others = rf"(?: (?:(?>[^ ]{{0,{limit // LONGEST_UTF8}}})(?![^ ]){spared_too}))*+"
        yield rf"\G(?:[^ ]\K(?=[^ ])|[^ ]*+{others} \K(?=[^ ]))", "\t" * LONGEST_UTF8
        left_out = r"\t{3}(?=\t[\x{0}-\x{7F}])|\t{2}(?=\t{2}[\x{80}-\x{7FF}])|\t(?=\t{3}[\x{800}-\x{FFFF}])"
        yield rf"(?<= )(?:[^ \t]?(?>{left_out}|)\t){{{limit + 1}}}[^ ]*+", unknown
        yield r"\t", ""


def normalizer(step: TextStep) -> normalizers.Normalizer:
    """Return the part of the library that does a step."""
    if isinstance(step, bytes):
        return normalizers.Precompiled(step)
    if isinstance(step, Prepend):
        return normalizers.Prepend(step.content)
    if isinstance(step, tuple):
        return normalizers.Replace(Regex(step[0]), step[1])
    return normalizers.NFD() if step == NFD else normalizers.NFC()


def pre_tokenizer(pipeline: Pipeline) -> pre_tokenizers.PreTokenizer:
    """Return the part that takes words, which stand behind spaces, and the characters of those that are cut.

    Most words are seen to be none of these by their characters alone.
    """
    if pipeline.cut is not None:
        whole = f"{ONIGURUMA.at_least_one(pipeline.whole)}{END_OF_WORD}|" if pipeline.whole else ""
        return pre_tokenizers.Split(Regex(rf" \K(?:{whole}(?!{pipeline.cut})[^ ]++)|[^ ]"), "removed", invert=True)
    return pre_tokenizers.Split(" ", "removed") if pipeline.only_spaces else pre_tokenizers.WhitespaceSplit()
