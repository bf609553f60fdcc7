"""TensorFlow computations for operations on lists, arrays, maps and branches, which take more than one node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from interpreter_cases import Case, reals

R = tf.raw_ops
X = reals(4, 2, dtype=np.float32)
ROW = np.asarray([2], np.int32)


def lists() -> Iterator[tuple[str, Case]]:
    def start(x: Any = X) -> Any:
        return R.TensorListFromTensor(tensor=x, element_shape=ROW)

    def stacked(handle: Any) -> Any:
        return R.TensorListStack(input_handle=handle, element_shape=ROW, element_dtype=tf.float32)

    def popped() -> Any:
        handle, item = R.TensorListPopBack(input_handle=start(), element_shape=ROW, element_dtype=tf.float32)
        return [stacked(handle), item]

    yield "TensorListPopBack", popped
    yield "TensorListElementShape", lambda: R.TensorListElementShape(input_handle=start(), shape_type=tf.int64)
    options = {"element_shape": ROW, "element_dtype": tf.float32}
    yield "TensorListGather", lambda: R.TensorListGather(input_handle=start(), indices=[2, 0, 2], **options)
    yield (
        "TensorListGather of nothing",
        lambda: R.TensorListGather(input_handle=start(), indices=np.zeros(0, np.int32), **options),
    )
    for size in (2, 6):
        yield f"TensorListResize {size}", lambda n=size: stacked(R.TensorListResize(input_handle=start(), size=n))
    scatter = {"tensor": X[:2], "indices": [3, 1], "element_shape": ROW}
    yield "TensorListScatter", lambda: stacked(R.TensorListScatter(**scatter))
    yield "TensorListScatterV2", lambda: stacked(R.TensorListScatterV2(**scatter, num_elements=6))
    yield (
        "TensorListScatterIntoExistingList",
        lambda: stacked(R.TensorListScatterIntoExistingList(input_handle=start(), tensor=-X[:2], indices=[3, 1])),
    )
    yield (
        "TensorListSplit",
        lambda: R.TensorListConcatV2(
            input_handle=R.TensorListSplit(tensor=X, element_shape=[-1, 2], lengths=np.asarray([1, 0, 3])),
            element_shape=[-1, 2],
            leading_dims=np.zeros(0, np.int64),
            element_dtype=tf.float32,
        ),
    )
    yield (
        "TensorListConcatLists",
        lambda: stacked(R.TensorListConcatLists(input_a=start(), input_b=start(-X), element_dtype=tf.float32)),
    )
    yield "TensorListPushBackBatch", _batch


def _batch() -> Any:
    empty = [R.EmptyTensorList(element_shape=ROW, max_num_elements=-1, element_dtype=tf.float32) for _ in range(2)]
    pushed = R.TensorListPushBackBatch(input_handles=tf.stack(empty), tensor=X[:2])
    return [
        R.TensorListStack(input_handle=handle, element_shape=ROW, element_dtype=tf.float32)
        for handle in tf.unstack(pushed)
    ]


def arrays() -> Iterator[tuple[str, Case]]:
    def made(size: int = 4, **options: Any) -> tuple[Any, Any]:
        handle, flow = R.TensorArrayV3(size=size, dtype=tf.float32, element_shape=[None, 2], **options)
        return handle, flow

    def split() -> tuple[Any, Any]:
        handle, flow = made(3)
        return handle, R.TensorArraySplitV3(handle=handle, value=X, lengths=np.asarray([1, 2, 1]), flow_in=flow)

    def joined() -> Any:
        handle, flow = split()
        return R.TensorArrayConcatV3(handle=handle, flow_in=flow, dtype=tf.float32)

    yield "TensorArrayConcatV3 and SplitV3", joined


def maps() -> Iterator[tuple[str, Case]]:
    def filled() -> Any:
        start = R.TensorMapInsert(input_handle=R.EmptyTensorMap(), key="a", value=1.5)
        return R.TensorMapInsert(input_handle=start, key="b", value=2.5)

    yield "TensorMapLookup", lambda: R.TensorMapLookup(input_handle=filled(), key="b", value_dtype=tf.float32)
    yield "TensorMapSize", lambda: R.TensorMapSize(input_handle=filled())
    for key in ("a", "c"):
        yield f"TensorMapHasKey {key}", lambda k=key: R.TensorMapHasKey(input_handle=filled(), key=k)
    erased = lambda: R.TensorMapErase(input_handle=filled(), key="a", value_dtype=tf.float32)  # noqa: E731
    yield "TensorMapErase", lambda: R.TensorMapHasKey(input_handle=erased(), key="a")
    yield "TensorMapStackKeys", lambda: R.TensorMapStackKeys(input_handle=erased(), key_dtype=tf.string)


def branches() -> Iterator[tuple[str, Case]]:
    def concrete(body: Any, *kinds: Any) -> Any:
        return tf.function(body, autograph=False).get_concrete_function(*(tf.TensorSpec([], kind) for kind in kinds))

    def case(op: Any, index: int) -> Any:
        made = [concrete(lambda x, n=n: x * n, tf.float32) for n in (2.0, 3.0, 4.0)]
        return op(branch_index=index, input=[tf.constant(5.0)], Tout=[tf.float32], branches=made)

    for op in ("Case", "StatelessCase"):
        for index in (0, 2, 7, -1):
            yield f"{op} {index}", lambda op=op, i=index: case(getattr(R, op), i)
    for start, limit, delta in ((0, 4, 1), (5, 0, -2), (2, 2, 1)):
        body = lambda i, x: x * 2 + tf.cast(i, tf.float32)  # noqa: E731
        yield (
            f"For {start} {limit} {delta}",
            lambda a=start, b=limit, c=delta, body=body: R.For(
                start=a, limit=b, delta=c, input=[tf.constant(1.5)], body=concrete(body, tf.int32, tf.float32)
            ),
        )


def cases() -> dict[str, Case]:
    """Return every case by name."""
    return {name: case for group in (lists, arrays, maps, branches) for name, case in group()}
