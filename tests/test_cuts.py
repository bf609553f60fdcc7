"""Spaces around characters that are split off anyway are no operation: as keras-hub puts them, before and after marks go."""

from __future__ import annotations

import pytest

from hub2hf.blueprint.asked.cuts import without_needless
from hub2hf.blueprint.text import CaseFold, Normalize, ReplacePattern, SplitDelimiters, TextOperation

HAN, COMPATIBLE = r"[\x{4E00}-\x{9FFF}]", r"[\x{F900}-\x{F909}]"
SPLIT = SplitDelimiters(rf"\s|\p{{P}}|{HAN}", rf"\p{{P}}|{HAN}", "split")
AROUND, MARKS = ReplacePattern(HAN, r" \0 ", "around"), ReplacePattern(r"\p{Mn}", "", "marks")


def of_compatible(*between: TextOperation) -> tuple[TextOperation, ...]:
    """Spaces around characters that become others when they are decomposed."""
    return (ReplacePattern(COMPATIBLE, r" \0 ", "around"), *between, SPLIT)


@pytest.mark.parametrize(
    "operations",
    [(AROUND, SPLIT), (AROUND, Normalize("NFD", "nfd"), MARKS, SPLIT), of_compatible(Normalize("NFD", "nfd"))],
)
def test_they_are_left_out(operations: tuple[TextOperation, ...]) -> None:
    assert without_needless(operations) == operations[1:]


@pytest.mark.parametrize(
    "operations",
    [
        (AROUND,),
        (SPLIT, AROUND),
        of_compatible(),  # stay as they are, and are not split off
        (AROUND, Normalize("NFKC", "nfkc"), SPLIT),
        (AROUND, CaseFold("fold"), SPLIT),
        (AROUND, ReplacePattern(" ", "_", "spaces"), SPLIT),
        (AROUND, ReplacePattern(f" {HAN}", "", "with its space"), SPLIT),
        (ReplacePattern(HAN, r" \0", "before"), SPLIT),
        (ReplacePattern(f"{HAN}+", r" \0 ", "runs"), SPLIT),
        (ReplacePattern("x", r" \0 ", "letter"), SPLIT),
        (AROUND, SplitDelimiters(r"\t|[\x{4E00}-\x{9FFF}]", HAN, "tabs")),
        (AROUND, SplitDelimiters(rf"\s|{HAN}", "", "all go")),
    ],
)
def test_they_stay_where_they_do_something(operations: tuple[TextOperation, ...]) -> None:
    assert without_needless(operations) == operations
