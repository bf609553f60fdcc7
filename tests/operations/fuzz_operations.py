"""Run single operations on hostile inputs: each must end in our error or a value, in seconds and 500 MB.

    python tests/operations/fuzz_operations.py               # as make fuzz runs it
    python tests/operations/fuzz_operations.py --cases 100   # of each operation

The cases are those that tests/test_operations.py holds against TensorFlow, with numbers, shapes, texts and
attributes changed to what they should not be, one at a time or several. The process is limited by the operating system.
Linux only.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES
from generated import Case, graph_def, ours

from hub2hf import limits
from hub2hf.errors import Hub2HFError

SECONDS, BYTES = 10.0, 500 << 20
CASES_EACH = 30
NUMBERS = (0, 1, -1, 2, 3, 7, 63, 64, 65, 1000, 100_000, 1 << 20, 1 << 24, 1 << 28, (1 << 31) - 1, -(1 << 31))
WIDE = (*NUMBERS, 1 << 40, (1 << 62) - 1, (1 << 63) - 1, -(1 << 63))


def changed(value: Any, rng: random.Random) -> Any:
    """Return an input with one thing changed: a number, a text, or its shape."""
    if isinstance(value, list):
        if not value:
            return value
        at = rng.randrange(len(value))
        return [changed(item, rng) if i == at else item for i, item in enumerate(value)]
    array = np.array(value, object if isinstance(value, (str, bytes)) else None)
    if rng.random() < 0.2:
        return array.reshape(rng.choice(((-1,), (1, *array.shape), (*array.shape, 1)))) if array.size else array
    if not array.size:
        return array
    flat = array.ravel()
    at = rng.randrange(flat.size)
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        flat[at] = max(info.min, min(info.max, rng.choice(WIDE if array.dtype.itemsize == 8 else NUMBERS)))
    elif array.dtype.kind == "f":
        flat[at] = rng.choice((0.0, -1.0, np.inf, -np.inf, np.nan, 1e38))
    elif array.dtype == object:
        flat[at] = rng.choice((b"", b"\xff", b"a" * 100_000, "犬".encode() * 1000, b"\0"))
    return flat.reshape(array.shape)


def hostile(case: Case, rng: random.Random) -> Case:
    """Return a case that lies."""
    inputs, attrs = list(case.inputs), dict(case.attrs)
    for _ in range(rng.choice((1, 1, 2, 3))):
        whole = [name for name, value in attrs.items() if isinstance(value, int) and not isinstance(value, bool)]
        if whole and rng.random() < 0.3:
            attrs[rng.choice(whole)] = rng.choice(WIDE)
        elif inputs:
            at = rng.randrange(len(inputs))
            inputs[at] = changed(inputs[at], rng)
    return Case(case.op, inputs, attrs)


def attempt(case: Case) -> str:
    """Run a case; return what must not be, in words."""
    try:
        proto = graph_def(case)
    except (TypeError, ValueError, OverflowError):
        return ""  # no such constant can be written
    start = time.process_time()
    try:
        with limits.budget(0):
            ours(proto, 1)
    except Hub2HFError as error:
        if isinstance(error.__cause__, MemoryError):  # its cost should have said so
            return f"asked for too much: {error}"
    except BaseException as error:
        return f"escaped: {type(error).__name__}: {error}"
    spent = time.process_time() - start
    return f"took {spent:.1f} s" if spent > SECONDS else ""


def main() -> None:
    """Run as many cases of each operation as are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES_EACH, help="of each operation")
    parser.add_argument("--operations", nargs="*", default=sorted(CASES), metavar="OP")
    asked = parser.parse_args()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, size + BYTES))
    bad = total = 0
    for op in asked.operations:
        rng = random.Random(op)
        for number in range(asked.cases):
            case = hostile(rng.choice(CASES[op]), rng)
            total += 1
            said = attempt(case)
            if said:
                bad += 1
                print(f"BAD {op} {number}: {said[:300]}\n    {case}"[:900], flush=True)
    print(f"{total} operations on hostile inputs: {total - bad} ended in one error or a value, {bad} did not")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
