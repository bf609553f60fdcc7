"""Operations that change a text character by character, as one map of characters.

Case folding, NFD and the deletion of marks that follow each other are a map from characters to strings: folding looks at
one character (and so does lower case, but at a final sigma, which a step of its own replaces before), NFD undoes whatever
folding composed, and patterns of one character look at one.

NFD also sorts the marks that follow one letter. A mark that is deleted changes the places of no others, so the map deletes
it before they are sorted; the stock NFD sorts those that stay. What is deleted, but is no mark to NFD, parts the marks on
its two sides: a control character keeps its place meanwhile. And for marks that the stock NFD does not know, others go
through it: see `marks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hub2hf.blueprint.text import CaseFold, FoldWords, LowerCase, Normalize, ReplacePattern, TextOperation
from hub2hf.errors import REPORT, GraphError
from hub2hf.unicode.casing import CASED, FINAL_SIGMA, IGNORED, SIGMA, capitals, lower_case
from hub2hf.unicode.codepoints import NOTHING, CodePoints, union
from hub2hf.unicode.folding import case_folded, decomposed, folded_characters, mark_classes, uncomposed, unsorted_marks
from hub2hf.unicode.patterns import replacement
from hub2hf.unicode.re2 import Alternate, Chars, Regex, parse

from .engine import NFC, PARTING, RESERVED, CharacterMap, Engine, TextStep
from .marks import stand_ins

GAP = "\t"  # in place of the spaces that folding makes inside a word


@dataclass(frozen=True)
class _Class:
    """Each of the characters `codes` becomes `content`."""

    codes: frozenset[str]
    content: str


def character_steps(operations: Sequence[TextOperation], engine: Engine) -> list[TextStep]:
    """Compile the operations before the split: folding, normalization, replacements.

    Args:
        operations: in the graph's order.
        engine: what is to read them.

    Raises:
        GraphError: a normalization that is not a map of characters, or a pattern that is not understood.
    """
    steps: list[TextStep] = []
    waiting = list(operations)
    gone = NOTHING
    while waiting:
        if isinstance(waiting[0], ReplacePattern):
            operation = waiting.pop(0)
            assert isinstance(operation, ReplacePattern)
            regex, content = replacement(operation.pattern, operation.rewrite, operation.evidence, engine.dialect)
            steps.append((regex, engine.literal(content)))
            if not content:
                gone |= characters_of(parse(operation.pattern, operation.evidence)) or NOTHING
        else:
            if isinstance(waiting[0], LowerCase):
                steps.append(_final_sigma(waiting[0], engine))
            steps += _map_steps(_folding(waiting), _classes(waiting), engine, gone)
    return steps


def _final_sigma(operation: LowerCase, engine: Engine) -> TextStep:
    cased, ignored = (characters_of(parse(pattern, operation.evidence)) or NOTHING for pattern in (CASED, IGNORED))
    over = engine.dialect.any_number(engine.dialect.one_of(ignored))
    letter = engine.dialect.one_of(cased - ignored)
    return engine.dialect.after(f"{letter}{over}", f"{SIGMA}(?!{over}{letter})"), FINAL_SIGMA


def fold_words(operation: FoldWords, parting: CodePoints, unknown: str, engine: Engine) -> Iterator[TextStep]:
    """Fold the case of words, which stand behind spaces, and compose them.

    Words in which that makes a space, as of U+00A8, become `unknown`.

    Args:
        operation: the folding.
        parting: the characters that no word holds.
        unknown: a character that is no piece.
        engine: what is to read it.

    Raises:
        GraphError: words may hold characters that stand for others here.
    """
    kept = next((c for c in (*RESERVED, GAP) if ord(c) not in parting), None)
    if kept is not None:
        raise GraphError(f"Node '{operation.evidence}' folds words that may hold U+{ord(kept):04X}.", REPORT)
    images = {c: map_all(decomposed, case_folded(c)).replace(" ", GAP) for c in folded_characters()}
    changed = {c: image for c, image in images.items() if c != image and ord(c) not in parting}
    yield from engine.mapped(CharacterMap(changed, {PARTING: ""}, NFC))
    yield f"(?<![^ ])[^ {GAP}]*{GAP}[^ ]*", engine.literal(unknown)


def never_in_pieces(operations: Iterable[TextOperation]) -> frozenset[str]:
    """Return characters that no piece may hold, so that a word which does is unknown, however it is written.

    Folding may make spaces inside a word; and the library neither sorts nor composes what its Unicode does not have yet.
    """
    folds = any(isinstance(operation, FoldWords) for operation in operations)
    return frozenset({" "}) | unsorted_marks() | uncomposed() if folds else frozenset()


# What is done to characters before NFD, and which it changes.
_Folding = tuple[Callable[[str], str], tuple[str, ...]]


def _folding(waiting: list[TextOperation]) -> _Folding:
    """Take NFD, or case folding or lower case and then NFD, off the front; return what is done before NFD.

    Raises:
        GraphError: it is another normalization, or folding without NFD, which composes characters.
    """
    first = waiting.pop(0)
    folds = isinstance(first, CaseFold | LowerCase)
    form = waiting.pop(0) if folds and waiting and isinstance(waiting[0], Normalize) else first
    if not isinstance(form, Normalize) or form.form != "NFD":
        told = f"normalizes to {form.form}" if isinstance(form, Normalize) else "folds case without NFD after it"
        raise GraphError(
            f"Node '{first.evidence}' {told}.", "NFD, and case folding with NFD, can be converted: report it."
        )
    if isinstance(first, LowerCase):
        return lower_case, capitals()
    return (case_folded if folds else str), ()  # those that are folded are among those below


def _classes(waiting: list[TextOperation]) -> list[_Class]:
    """Take the replacements of single characters off the front."""
    found = []
    while waiting and isinstance(waiting[0], ReplacePattern):
        operation = waiting[0]
        codes = characters_of(parse(operation.pattern, operation.evidence))
        if codes is None:
            break
        _, content = replacement(operation.pattern, operation.rewrite, operation.evidence)
        members = frozenset(characters_in(codes))
        if content and not mark_classes().keys().isdisjoint(members.union(content)):
            break  # what NFD sorts first
        found.append(_Class(members, content))
        waiting.pop(0)
    return found


def characters_of(node: Regex) -> CodePoints | None:
    """Return the characters that a pattern matches one by one; None for any other pattern."""
    if isinstance(node, Chars):
        return node.codes
    if isinstance(node, Alternate):
        found = [characters_of(option) for option in node.options]
        return union(codes for codes in found if codes) if None not in found else None
    return None


def characters_in(codes: CodePoints) -> Iterable[str]:
    """Yield the characters of a set."""
    return (chr(code) for low, high in codes.ranges for code in range(low, high + 1) if not 0xD800 <= code < 0xE000)


def map_all(function: Callable[[str], str], text: str) -> str:
    """Return what a function of characters makes of a text."""
    return "".join(map(function, text))


def _map_steps(folding: _Folding, classes: Sequence[_Class], engine: Engine, gone: CodePoints) -> Iterator[TextStep]:
    folded, also = folding

    def replaced(text: str) -> str:
        for each in classes:
            text = "".join(each.content if c in each.codes else c for c in text)
        return text

    deleted = {mark for mark in mark_classes() if not replaced(mark)}
    through = stand_ins(mark_classes().keys() - deleted, deleted)

    def image(character: str) -> str:
        text = map_all(decomposed, folded(character))
        return "".join(through.get(c, replaced(c) or ("" if c in deleted else PARTING)) for c in text)

    changed = {*folded_characters(), *also, *through, *(c for each in classes for c in each.codes)}
    mapping = {c: target for c in changed if (target := image(c)) != c}
    reserved = {c: mapping.pop(c, c) for c in RESERVED if ord(c) not in gone}
    for character, target in reserved.items():
        if character == replaced(character) or image(target) != target:
            raise GraphError(
                f"The graph keeps the control character U+{ord(character):04X} while it folds case.",
                REPORT,
            )
    for target in dict.fromkeys(reserved.values()):
        codes = CodePoints.of(*((ord(c), ord(c)) for c in reserved if reserved[c] == target))
        yield engine.dialect.one_of(codes), engine.literal(target)
    yield from engine.mapped(CharacterMap(mapping, {PARTING: "", **{other: mark for mark, other in through.items()}}))
