"""Every case of an operation, by its name."""

from __future__ import annotations

from collections import defaultdict

import array_cases
import elementwise_cases
import flow_cases
import picking_cases
import sparse_cases
import text_cases
from generated import Case

FILES = (array_cases, elementwise_cases, flow_cases, picking_cases, sparse_cases, text_cases)


def _cases() -> dict[str, list[Case]]:
    by_op: dict[str, list[Case]] = defaultdict(list)
    for file in FILES:
        for case in file.cases():
            by_op[case.op].append(case)
    return dict(by_op)


CASES = _cases()
