"""Every operation that the interpreter computes, held against TensorFlow on drawn values, and the list of them all."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import ops
import pytest
from cases import CASES
from generated import Case, differences

from hub2hf.errors import GraphError
from hub2hf.interpreter.catalog import operations
from hub2hf.interpreter.registry import OPERATIONS

MOST = 12  # cases of each operation, drawn by a seed; all of them with HUB2HF_EVERY_CASE=1, in minutes


ASKED = os.environ.get("HUB2HF_OPERATION", "").split() or sorted(CASES)  # one alone, while its kernel is written


def _drawn(cases: list[Case]) -> Iterator[Case]:
    """Some of the cases: one of each type of the first input, and then whatever comes."""
    if os.environ.get("HUB2HF_EVERY_CASE"):
        yield from cases
        return
    shuffled = random.Random(cases[0].op).sample(cases, len(cases))
    by_type: dict[str, list[Case]] = defaultdict(list)
    for case in shuffled:
        by_type[_type(case)].append(case)
    first = [found.pop() for found in by_type.values()]
    rest = [case for found in by_type.values() for case in found]
    yield from [*first, *rest][: max(MOST, len(first))]


def _type(case: Case) -> str:
    first = case.inputs[0] if case.inputs else 0
    return np.asarray(first[0] if isinstance(first, list) and first else first).dtype.name


@pytest.mark.parametrize("group", range(8))
def test_operations_give_what_tensorflow_gives(group: int) -> None:
    names = ASKED[group::8]
    assert differences(case for name in names for case in _drawn(CASES[name])) == {}


def test_no_operation_is_unexplained() -> None:
    found = ops.count()
    assert found.unexplained == ()
    assert found.listed == len(found.computed) + sum(map(len, found.excluded.values()))


def test_the_table_of_outputs_is_that_of_tensorflow() -> None:
    assert ops.TABLE.read_text(encoding="ascii") == ops.table()


def test_rules_exclude_nothing_that_is_computed_and_none_is_idle_without_reason() -> None:
    computed = set(operations())
    for rule, names in ops.count().excluded.items():
        assert not computed & set(names), rule


@pytest.mark.parametrize("name", ["StringJoin", "RaggedGather", "UnsortedSegmentSum", "Substr", "Cast"])
def test_a_planted_fault_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: a kernel that turns its last output around is found out."""
    from dataclasses import replace

    sound = operations()[name]

    def faulty(node: object, inputs: object, run: object) -> tuple[object, ...]:
        *first, last = sound.kernel(node, inputs, run)  # type: ignore[arg-type]
        return (*first, np.flip(last) if np.size(last) > 1 else last)

    monkeypatch.setitem(OPERATIONS, name, replace(sound, kernel=faulty))  # type: ignore[arg-type]
    assert differences(_drawn(CASES[name]))


def test_what_tensorflow_itself_does_wrong_is_refused() -> None:
    from generated import graph_def, ours

    for op, dtype in (("OnesLike", np.uint32), ("Round", np.int32)):
        with pytest.raises(GraphError, match="TensorFlow"):
            ours(graph_def(Case(op, [np.ones(2, dtype)])), 1)
