"""Cases of operations whose inputs are constants and that stand in none of the other files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from generated import Case, values


def crosses() -> Iterator[Case]:
    """Yield columns of texts and numbers, sparse, dense and ragged."""
    indices, shape = np.asarray([[0, 0], [1, 0], [1, 1]]), np.asarray([2, 2])
    splits = np.asarray([0, 1, 3])
    for first in (tf.string, tf.int64):
        for second in (tf.string, tf.int64):
            sparse = [[indices], [values(first, (3,))], [shape]]
            dense = [[values(second, (2, 2), 3)]]
            yield Case("SparseCrossV2", [*sparse, *dense, b"-"])
            for hashed in (True, False):
                attrs = {"hashed_output": hashed, "num_buckets": 97 * hashed, "hash_key": 956888297470}
                kind = tf.int64 if hashed else tf.string
                yield Case("SparseCross", [*sparse, *dense], attrs | {"out_type": kind, "internal_type": first})
                more = {"out_values_type": kind, "out_row_splits_type": tf.int64}
                columns = [[values(first, (3,), 5)], [splits], *sparse, *dense]
                for order in ("RSD", "DSR"):
                    yield Case("RaggedCross", columns, attrs | more | {"input_order": order})


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    yield from crosses()
    yield Case("NoOp")
    yield Case("ControlTrigger")
    yield Case("InTopK", [values(tf.float32, (4, 3)), np.asarray([0, 2, 1, 3], np.int32)], {"k": 1})
    for k in (1, 2, 5):
        for kind in (np.int32, np.int64):
            x = values(tf.float32, (4, 3))
            x[1, 0] = np.inf
            x[2, 2] = np.nan
            targets = np.asarray([0, 2, -1, 1], kind)
            yield Case("InTopK", [x, targets], {"k": k})
            yield Case("InTopKV2", [x, targets, np.asarray(k, kind)])
