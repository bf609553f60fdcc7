r"""The text operations of a graph as steps for an engine, and what is cut after them.

The normalizer leaves a text in which words are cut apart by spaces and no other white space exists:

1. the graph's own changes of characters (`characters`);
2. for words split at delimiters: those that go become a space, and a space comes before and after each that stays;
   for words split by script: white space between two characters of its own script goes, `n. 286` has the words `n` and
   `.286`, and with it what the graph deletes last; and a space comes after each run of one script;
3. one space in front of the text;
4. words whose case is folded by themselves are (`fold_words`);
5. words over the byte limit become one character that is no piece. Tabs are free to count bytes with: step 2 has
   left none.

What comes after the normalizer splits at the spaces, and cuts the words that the graph cuts into characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hub2hf.blueprint.text import (
    CaseFold,
    FoldWords,
    LowerCase,
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
    WordPieceOfCharacters,
)
from hub2hf.errors import GraphError
from hub2hf.unicode.automaton import TooComplexError, to_regex, words_matching
from hub2hf.unicode.codepoints import NOTHING, CodePoints
from hub2hf.unicode.delimiters import read_delimiters
from hub2hf.unicode.dialect import Dialect
from hub2hf.unicode.re2 import Chars, parse, unsupported
from hub2hf.unicode.tables import scripts, whitespace

from .characters import character_steps, characters_of, fold_words
from .engine import LONGEST_UTF8, Engine, Prepend, TextStep

# Engines try alternatives in order, so the scripts most text is in come first. Only speed depends on it.
FREQUENT_SCRIPTS = (
    *("Latin", "Common", "Cyrillic", "Arabic", "Han", "Hiragana", "Katakana"),
    *("Devanagari", "Hangul", "Inherited", "Greek", "Hebrew", "Thai", "Bengali"),
    *("Tamil", "Telugu", "Kannada", "Malayalam", "Gujarati", "Gurmukhi", "Oriya", "Sinhala"),
    *("Georgian", "Armenian", "Ethiopic", "Khmer", "Lao", "Myanmar", "Tibetan"),
)
MOST_BYTES = 100_000  # ONIG_MAX_REPEAT_NUM in Oniguruma's regint.h: the largest n in {n}
END_OF_WORD = "(?![^ ])"


@dataclass(frozen=True)
class Pipeline:
    """What goes before the model.

    Attributes:
        steps: of the normalizer, in order.
        cut: a regex that matches at the start of a word exactly when it is to be cut, or None.
        whole: a set of characters, as a regex; a word that has no others is not cut. Empty where every character may cut.
        only_spaces: whether U+0020 alone parts words; other white space may then be in them.
    """

    steps: tuple[TextStep, ...]
    cut: str | None
    whole: str
    only_spaces: bool


def build_pipeline(text: TextBlueprint, never_a_piece: str, engine: Engine) -> Pipeline:
    """Compile the operations of `text`.

    Args:
        text: the blueprint.
        never_a_piece: a character that, as a word, the vocabulary does not cover.
        engine: what is to read them.

    Raises:
        GraphError: an operation, an order of operations or a pattern that is not understood.
    """
    check_order(text.operations)
    own = [op for op in text.operations if isinstance(op, CaseFold | LowerCase | Normalize | ReplacePattern)]
    cut, whole = cut_condition([op for op in text.operations if isinstance(op, SplitCharacters)], engine.dialect)
    split = next(op for op in text.operations if isinstance(op, SplitDelimiters | SplitScripts))
    if isinstance(split, SplitDelimiters):
        words = [*character_steps(own, engine), *delimiter_steps(split, engine)]
    else:
        gone = _deleted_last(own)
        words = [*character_steps(own[:-1] if gone else own, engine), *script_steps(split.table, gone, engine)]
    steps = [
        *words,
        *(around_step(op, engine) for op in text.operations if isinstance(op, SplitAround)),
        *(
            step
            for op in text.operations
            if isinstance(op, FoldWords)
            for step in fold_words(op, _dropped(split), never_a_piece, engine)
        ),
        *byte_limit_steps(text.wordpiece, cut, never_a_piece, engine),
    ]
    return Pipeline(tuple(steps), cut, whole, only_spaces=isinstance(split, SplitDelimiters))


# The operations that are understood, in stages. Of those marked there is one.
STAGES: tuple[tuple[tuple[type, ...], bool], ...] = (
    ((CaseFold, LowerCase, Normalize, ReplacePattern), False),
    ((SplitScripts, SplitDelimiters), True),
    ((SplitAround,), False),
    ((FoldWords,), False),
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


def cut_condition(operations: list[SplitCharacters], dialect: Dialect) -> tuple[str | None, str]:
    """Return `cut` and `whole` of a `Pipeline`: a word is cut where some full-match pattern matches it."""
    if not operations:
        return None, ""
    patterns = tuple(pattern for op in operations for pattern in op.patterns)
    evidence = operations[0].evidence
    try:
        found = words_matching(patterns, evidence)
        harmless = ~whitespace() - found.needed
        return to_regex(found, END_OF_WORD, dialect), dialect.one_of(harmless) if harmless else ""
    except TooComplexError as error:
        raise unsupported(" | ".join(patterns), evidence, str(error)) from error


def _deleted_last(operations: Sequence[TextOperation]) -> CodePoints:
    """The characters that the last of the graph's own changes deletes; none where it does more, or others fold case."""
    if not operations or not all(isinstance(operation, ReplacePattern) for operation in operations):
        return NOTHING
    last = operations[-1]
    assert isinstance(last, ReplacePattern)
    return (characters_of(parse(last.pattern, last.evidence)) or NOTHING) if not last.rewrite else NOTHING


def script_steps(of: str, gone: CodePoints, engine: Engine) -> Iterator[TextStep]:
    """White space inside a script goes; one space comes in front of the text and after each run of a script.

    The first space comes in a step of its own: an empty match at the start would be found twice and make the library skip a
    character.

    Args:
        of: the table of scripts.
        gone: characters that are deleted before; in the same step, as each goes through the whole text.
        engine: what is to read it.
    """
    table, blank, dialect = scripts(of), whitespace(), engine.dialect
    inside, beginning = [], gone
    for codes in table.values():
        if codes & blank:
            beginning |= codes - blank
            word = dialect.one_of(codes - blank - gone)
            between = dialect.at_least_one(dialect.one_of(codes & blank | gone))
            inside.append(dialect.after(word, f"{between}(?={word})"))
    yield dialect.beginning_with(beginning, "|".join([*inside, *([dialect.one_of(gone)] if gone else [])])), ""
    yield Prepend(" ")
    names = [*FREQUENT_SCRIPTS, *sorted(table.keys() - set(FREQUENT_SCRIPTS))]
    yield engine.spaces_after([table[name] - blank for name in names], blank)


def delimiter_steps(operation: SplitDelimiters, engine: Engine) -> Iterator[TextStep]:
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
    yield engine.dialect.at_least_one(engine.dialect.one_of(found.dropped)), " "
    yield Prepend(" ")
    if found.kept:
        yield engine.spaces_around(found.kept)


def _dropped(operation: SplitDelimiters | SplitScripts) -> CodePoints:
    """The characters that a split leaves in no word."""
    if isinstance(operation, SplitScripts):
        return whitespace()
    return read_delimiters(operation.delimiters, operation.kept, operation.evidence).dropped


def around_step(operation: SplitAround, engine: Engine) -> TextStep:
    """Characters that are words of their own stand between spaces."""
    node = parse(operation.characters, operation.evidence)
    if not isinstance(node, Chars):
        raise unsupported(operation.characters, operation.evidence, "it is not one class of characters")
    return engine.spaces_around(node.codes)


def byte_limit_steps(model: WordPiece, cut: str | None, never_a_piece: str, engine: Engine) -> Iterable[TextStep]:
    """Words of more than `max_bytes_per_word` bytes become `never_a_piece`, unless they are cut anyway.

    A limit in characters is for the model of the library to keep.
    """
    if isinstance(model, WordPieceOfCharacters):
        return ()
    limit = model.max_bytes_per_word
    if not LONGEST_UTF8 <= limit <= MOST_BYTES:
        raise GraphError(
            f"{model.evidence}: max_bytes_per_word is {limit}.",
            f"Limits from {LONGEST_UTF8} to {MOST_BYTES} can be converted.",
        )
    return engine.long_words(limit, cut, never_a_piece)
