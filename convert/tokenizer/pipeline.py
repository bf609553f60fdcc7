r"""The text operations of a graph as `tokenizers` parts: normalizers, one or two splits and a WordPiece model.

The normalizer leaves a text in which words are cut apart by single spaces and no other white space exists:

1. the graph's own changes of characters (`characters`);
2. for words split at delimiters: those that go become a space, and a space comes before and after each that stays;
   for words split by script: white space between two characters of its own script goes, `n. 286` has the words `n` and
   `.286`, and a space comes after each run of one script;
3. one space in front of the text;
4. words over the byte limit become one character that is no piece. No regex can add up byte lengths, so
   each character of a long word is given as many tabs as it has bytes, the tabs are counted, and then go.
   Tabs are free for this: step 2 has left none.

The pre-tokenizer splits at the spaces, then cuts the words that the graph cuts into characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hub2hf.blueprint.text import (
    CaseFold,
    Normalize,
    Pack,
    ReplacePattern,
    SplitAround,
    SplitCharacters,
    SplitDelimiters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from hub2hf.errors import GraphError
from hub2hf.unicode.automaton import TooComplexError, to_regex, words_matching
from hub2hf.unicode.codepoints import CodePoints, regex_class
from hub2hf.unicode.delimiters import read_delimiters
from hub2hf.unicode.re2 import Chars, parse, unsupported
from hub2hf.unicode.tables import scripts, whitespace

from .characters import Step, character_steps

# Oniguruma tries alternatives in order, so the scripts most text is in come first. Only speed depends on it.
FREQUENT_SCRIPTS = (
    *("Latin", "Common", "Cyrillic", "Arabic", "Han", "Hiragana", "Katakana"),
    *("Devanagari", "Hangul", "Inherited", "Greek", "Hebrew", "Thai", "Bengali"),
)
LONGEST_UTF8 = 4  # bytes in one character
MOST_BYTES = 100_000  # ONIG_MAX_REPEAT_NUM in Oniguruma's regint.h: the largest n in {n}
END_OF_WORD = "(?![^ ])"


@dataclass(frozen=True)
class Pipeline:
    """What goes before the model.

    Attributes:
        steps: of the normalizer, in order: see `characters.Step`.
        cut: a regex that matches at the start of a word exactly when it is to be cut, or None.
        only_spaces: whether U+0020 alone parts words; other white space may then be in them.
    """

    steps: tuple[Step, ...]
    cut: str | None
    only_spaces: bool

    @property
    def characters(self) -> str | None:
        """The regex that finds every single character of a word to be cut."""
        return rf"\G(?:(?!\A)|(?={self.cut}))(?m:.)" if self.cut is not None else None


def build_pipeline(text: TextBlueprint, never_a_piece: str) -> Pipeline:
    """Compile the operations of `text`.

    Args:
        text: the blueprint.
        never_a_piece: a character that, as a word, the vocabulary does not cover.

    Raises:
        GraphError: an operation, an order of operations or a pattern that is not understood.
    """
    check_order(text.operations)
    own = character_steps([op for op in text.operations if isinstance(op, CaseFold | Normalize | ReplacePattern)])
    cut = cut_condition([op for op in text.operations if isinstance(op, SplitCharacters)])
    delimiters = [op for op in text.operations if isinstance(op, SplitDelimiters)]
    words = delimiter_steps(delimiters[0]) if delimiters else script_steps()
    around = [step for op in text.operations if isinstance(op, SplitAround) for step in around_steps(op)]
    steps = [*own, *words, *around, *byte_limit_steps(text.wordpiece, cut, never_a_piece)]
    return Pipeline(tuple(steps), cut, only_spaces=bool(delimiters))


# The operations that are understood, in stages. Of those marked there is one.
STAGES: tuple[tuple[tuple[type, ...], bool], ...] = (
    ((CaseFold, Normalize, ReplacePattern), False),
    ((SplitScripts, SplitDelimiters), True),
    ((SplitAround,), False),
    ((SplitCharacters,), False),
    ((WordPiece,), True),
    ((Pack,), True),
)


def check_order(operations: tuple[TextOperation, ...]) -> None:
    """Only changes of characters, one split into words, cuts into characters, WordPiece, packing are understood."""
    stages = [next(i for i, (kinds, _) in enumerate(STAGES) if isinstance(op, kinds)) for op in operations]
    for previous, stage, operation in zip([-1, *stages], stages, operations, strict=False):
        if stage < previous or (stage == previous and STAGES[stage][1]):
            raise GraphError(
                f"{operation.evidence}: {type(operation).__name__} is not understood in this place.",
                "The order known is: replacements, scripts or delimiters, characters, WordPiece, packing.",
            )
    for stage, (kinds, needed) in enumerate(STAGES):
        if needed and stage not in stages:
            raise GraphError(
                f"The text operations hold no {' or '.join(kind.__name__ for kind in kinds)}.",
                "hub2hf converts graphs that split words by script or at delimiters and look them up as WordPieces.",
            )


def cut_condition(operations: list[SplitCharacters]) -> str | None:
    """A regex that holds at the start of a word exactly when some full-match pattern matches it."""
    if not operations:
        return None
    patterns = tuple(pattern for op in operations for pattern in op.patterns)
    evidence = operations[0].evidence
    try:
        return to_regex(words_matching(patterns, evidence), END_OF_WORD)
    except TooComplexError as error:
        raise unsupported(" | ".join(patterns), evidence, str(error)) from error


def script_steps() -> Iterator[Step]:
    """White space inside a script goes; one space comes in front of the text and after each run of a script.

    The first space comes in a step of its own: an empty match at the start would be found twice and make
    the library skip a character.
    """
    table, blank = scripts(), whitespace()
    inside = []
    for codes in table.values():
        if codes & blank:
            word = regex_class(codes - blank)
            gap = regex_class(codes & blank)
            inside.append(f"{gap}(?<={word}{gap}){gap}*+(?={word})")
    yield "|".join(inside), ""
    yield r"\A", " "
    names = [*FREQUENT_SCRIPTS, *sorted(table.keys() - set(FREQUENT_SCRIPTS))]
    runs = "|".join(regex_class(table[name] - blank) + "++" for name in names)
    yield rf"(?:\A|{runs})\K{regex_class(blank)}*+", " "


def delimiter_steps(operation: SplitDelimiters) -> Iterator[Step]:
    """Delimiters that go become one space, and one comes in front of the text; those that stay stand between spaces.

    The first space comes in a step of its own: see `script_steps`.
    """
    found = read_delimiters(operation.delimiters, operation.kept, operation.evidence)
    for needed in " \t":
        if ord(needed) not in found.dropped:
            raise GraphError(
                f"Node '{operation.evidence}' splits text, but not at U+{ord(needed):04X}.",
                "Only text that is split at white space can be converted: report the model.",
            )
    yield regex_class(found.dropped) + "++", " "
    yield r"\A", " "
    if found.kept:
        yield spaced(found.kept)


def around_steps(operation: SplitAround) -> Iterator[Step]:
    """Characters that are words of their own stand between spaces."""
    node = parse(operation.characters, operation.evidence)
    if not isinstance(node, Chars):
        raise unsupported(operation.characters, operation.evidence, "it is not one class of characters")
    yield spaced(node.codes)


def spaced(codes: CodePoints) -> Step:
    """Return the step that puts a space between each of `codes` and what stands beside it."""
    kept = regex_class(codes)
    return rf"(?={kept})(?<=[^ ])|(?<={kept})(?=[^ ])", " "


def byte_limit_steps(model: WordPiece, cut: str | None, never_a_piece: str) -> Iterator[Step]:
    """Words of more than `max_bytes_per_word` bytes become `never_a_piece`, unless they are cut anyway."""
    limit = model.max_bytes_per_word
    if not LONGEST_UTF8 <= limit <= MOST_BYTES:
        raise GraphError(
            f"{model.evidence}: max_bytes_per_word is {limit}.",
            f"Limits from {LONGEST_UTF8} to {MOST_BYTES} can be converted.",
        )
    spared = f"(?!{cut})" if cut is not None else ""
    yield rf" \K(?=[^ ]{{{limit // LONGEST_UTF8 + 1}}}){spared}", "\t"  # before words that may be too long
    yield r"\G(?:(?<=[^ ])[^ ]|[^\t]*+\t[^ ])\K(?=[^ ])", "\t"  # before each other character of theirs
    yield r"\t\K(?=[\x{80}-\x{10FFFF}])", "\t"  # a second one for two bytes
    yield r"\t\K(?=[\x{800}-\x{10FFFF}])", "\t"
    yield r"\t\K(?=[\x{10000}-\x{10FFFF}])", "\t"
    yield rf"(?<= )\t(?:[^ \t]?\t){{{limit}}}[^ ]*+", never_a_piece
    yield r"\t", ""
