r"""The text operations of a graph as `tokenizers` parts: replacements, two splits and a WordPiece model.

The normalizer leaves a text in which words are cut apart by single spaces and no other white space exists:

1. the graph's own replacements;
2. white space between two characters of its own script goes: `n. 286` has the words `n` and `.286`;
3. a space after each run of one script, and one in front of the text;
4. words over the byte limit become one character that is no piece. No regex can add up byte lengths, so
   each character of a long word is given as many tabs as it has bytes, the tabs are counted, and then go.
   Tabs are free for this: step 3 has left no white space but its own spaces.

The pre-tokenizer splits at the spaces, then cuts the words that the graph cuts into characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convert.blueprint.text import (
    Pack,
    ReplacePattern,
    SplitCharacters,
    SplitScripts,
    TextBlueprint,
    TextOperation,
    WordPiece,
)
from convert.errors import GraphError
from convert.unicode.automaton import TooComplexError, full_match, to_regex
from convert.unicode.codepoints import regex_class
from convert.unicode.patterns import replacement
from convert.unicode.re2 import parse, unsupported
from convert.unicode.tables import scripts, whitespace

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
        replacements: (regex, content) pairs for the normalizer, in order.
        cut: a regex that matches at the start of a word exactly when it is to be cut, or None.
    """

    replacements: tuple[tuple[str, str], ...]
    cut: str | None

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
    own = [replacement(op.pattern, op.rewrite, op.evidence) for op in text.operations if isinstance(op, ReplacePattern)]
    cut = cut_condition([op for op in text.operations if isinstance(op, SplitCharacters)])
    steps = [*own, *script_steps(), *byte_limit_steps(text.wordpiece, cut, never_a_piece)]
    return Pipeline(tuple(steps), cut)


def check_order(operations: tuple[TextOperation, ...]) -> None:
    """Only the order ReplacePattern* SplitScripts SplitCharacters* WordPiece Pack is understood."""
    order = [ReplacePattern, SplitScripts, SplitCharacters, WordPiece, Pack]
    stages = [order.index(type(op)) for op in operations]
    for previous, stage, operation in zip([-1, *stages], stages, operations, strict=False):
        if stage < previous or (stage == previous and isinstance(operation, SplitScripts | WordPiece | Pack)):
            raise GraphError(
                f"{operation.evidence}: {type(operation).__name__} is not understood in this place.",
                "The order known is: replacements, scripts, characters, WordPiece, packing.",
            )
    for stage, kind in enumerate(order):
        if kind in (SplitScripts, WordPiece, Pack) and stage not in stages:
            raise GraphError(
                f"The text operations hold no {kind.__name__}.",
                "hub2hf converts graphs that split words by script and look them up as WordPieces.",
            )


def cut_condition(operations: list[SplitCharacters]) -> str | None:
    """A regex that holds at the start of a word exactly when some full-match pattern matches it."""
    if not operations:
        return None
    nodes = tuple(parse(pattern, op.evidence) for op in operations for pattern in op.patterns)
    try:
        return to_regex(full_match(nodes, ~whitespace()), END_OF_WORD)
    except TooComplexError as error:
        patterns = " | ".join(pattern for op in operations for pattern in op.patterns)
        raise unsupported(patterns, operations[0].evidence, str(error)) from error


def script_steps() -> Iterator[tuple[str, str]]:
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


def byte_limit_steps(model: WordPiece, cut: str | None, never_a_piece: str) -> Iterator[tuple[str, str]]:
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
