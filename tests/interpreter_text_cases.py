"""One small TensorFlow computation for each list, ragged, text and control-flow op of the interpreter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text
from interpreter_cases import WORDS, Case, integers, reals

R = tf.raw_ops
VOCABULARY = {b"[UNK]": 1, b"a": 2, b"ab": 3, b"##b": 4, b"##bc": 5, "я".encode(): 6}


def lists() -> Iterator[tuple[str, Case]]:
    x = reals(3, 2, dtype=np.float32)
    scalar, row = np.zeros(0, np.int32), np.asarray([2], np.int32)

    def start() -> Any:
        return R.TensorListFromTensor(tensor=x, element_shape=row)

    def reserved() -> Any:
        return R.TensorListReserve(element_shape=row, num_elements=2, element_dtype=tf.float32)

    def stacked(handle: Any, shape: Any = row, kind: Any = tf.float32) -> Any:
        return R.TensorListStack(input_handle=handle, element_shape=shape, element_dtype=kind)

    yield "TensorListStack", lambda: stacked(start())
    yield (
        "TensorListGetItem",
        lambda: R.TensorListGetItem(input_handle=start(), index=1, element_shape=row, element_dtype=tf.float32),
    )
    yield "TensorListSetItem", lambda: stacked(R.TensorListSetItem(input_handle=reserved(), index=1, item=x[0]))
    yield "TensorListReserve", lambda: stacked(reserved())
    yield (
        "TensorListGetItem unset",
        lambda: R.TensorListGetItem(input_handle=reserved(), index=0, element_shape=row, element_dtype=tf.float32),
    )
    empty = {"element_shape": scalar, "max_num_elements": -1, "element_dtype": tf.string}
    yield "EmptyTensorList", lambda: stacked(R.EmptyTensorList(**empty), scalar, tf.string)
    pushed = lambda: R.TensorListPushBack(input_handle=R.EmptyTensorList(**empty), tensor="a")  # noqa: E731
    yield "TensorListPushBack", lambda: stacked(pushed(), scalar, tf.string)
    yield "TensorListLength", lambda: R.TensorListLength(input_handle=start())
    yield (
        "TensorListConcat",
        lambda: R.TensorListConcat(input_handle=start(), element_dtype=tf.float32, element_shape=[2]),
    )
    yield (
        "TensorListConcatV2",
        lambda: R.TensorListConcatV2(
            input_handle=start(), element_dtype=tf.float32, element_shape=row, leading_dims=np.zeros(0, np.int64)
        ),
    )


def ragged() -> Iterator[tuple[str, Case]]:
    outer, inner = np.asarray([0, 2, 2, 3]), np.asarray([0, 1, 4, 6])
    values = integers(6)
    yield (
        "RaggedGather",
        lambda: R.RaggedGather(
            params_nested_splits=[outer, inner], params_dense_values=values, indices=[2, 0, 1], OUTPUT_RAGGED_RANK=2
        ),
    )
    yield (
        "RaggedGather none",
        lambda: R.RaggedGather(
            params_nested_splits=[inner],
            params_dense_values=values,
            indices=np.zeros(0, np.int64),
            OUTPUT_RAGGED_RANK=1,
        ),
    )
    yield "RaggedRange", lambda: R.RaggedRange(starts=[0, 5, 8], limits=[3, 5, 0], deltas=[1, 1, -3])
    yield "RaggedRange broadcast", lambda: R.RaggedRange(starts=1, limits=[3, 1], deltas=1, Tsplits=tf.int32)
    for name, shape in (("", [-1, -1]), (" wide", [3, 4]), (" narrow", [-1, 2])):
        yield (
            f"RaggedTensorToTensor{name}",
            lambda s=shape: R.RaggedTensorToTensor(
                shape=s,
                values=values,
                default_value=0,
                row_partition_tensors=[inner],
                row_partition_types=["ROW_SPLITS"],
            ),
        )
    yield (
        "RaggedTensorToTensor of row ids",
        lambda: R.RaggedTensorToTensor(
            shape=[-1, -1],
            values=["a", "b", "c"],
            default_value="",
            row_partition_tensors=[np.int64(3), np.asarray([0, 2, 2])],
            row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"],
        ),
    )

    def round_trip(splits: list[Any], batched: bool, rank: int) -> Any:
        packed = R.RaggedTensorToVariant(rt_nested_splits=splits, rt_dense_values=values, batched_input=batched)
        back = {"input_ragged_rank": -1, "output_ragged_rank": rank, "Tvalues": tf.int32}
        return R.RaggedTensorFromVariant(encoded_ragged=packed, **back)

    yield "RaggedTensorToVariant", lambda: round_trip([outer, inner], False, 2)
    yield "RaggedTensorFromVariant", lambda: round_trip([outer, inner], True, 2)
    yield "RaggedTensorFromVariant of rows", lambda: round_trip([inner], True, 1)


def strings() -> Iterator[tuple[str, Case]]:
    texts = ["naïve café, 犬dog犬!", "", "a\tb\u00adc", "я😀  3,5%", "e\u0301x"]
    flat = np.asarray([ord(c) for c in "".join(texts)], np.int32)
    splits = np.cumsum([0, *map(len, texts)])
    yield "RegexReplace", lambda: R.RegexReplace(input=texts, pattern=r"\p{Cc}|\p{Cf}", rewrite="")
    yield "StaticRegexReplace", lambda: R.StaticRegexReplace(input=texts, pattern=r"[[:space:]]+", rewrite=r"<\\>")
    yield "RegexFullMatch", lambda: R.RegexFullMatch(input=[*texts, "犬犬"], pattern=r"\p{Han}+")
    yield "Substr of one", lambda: R.Substr(input=["é犬x"], pos=[1], len=[1], unit="UTF8_CHAR")
    for one in ("犬犬", ["犬"], [["x犬"]]):
        yield f"RegexFullMatch of {one}", lambda one=one: R.RegexFullMatch(input=one, pattern=r"\p{Han}+")
    yield (
        "StaticRegexFullMatch",
        lambda: R.StaticRegexFullMatch(input=[["?!", "a?"], ["|", ""]], pattern=r"[\p{P}|\p{S}]+"),
    )
    decode = {"input": texts, "input_encoding": "UTF-8", "errors": "replace"}
    yield "UnicodeDecode", lambda: R.UnicodeDecode(**decode)
    yield "UnicodeDecodeWithOffsets", lambda: R.UnicodeDecodeWithOffsets(**decode)
    yield "UnicodeEncode", lambda: R.UnicodeEncode(input_values=flat, input_splits=splits, output_encoding="UTF-8")
    scripts = tf_text.UnicodeScriptTokenizer()
    yield (
        "UnicodeScriptTokenizeWithOffsets",
        lambda: [
            part for ragged in scripts.tokenize_with_offsets(texts) for part in (ragged.values, ragged.row_splits)
        ],
    )
    yield "StringLength", lambda: R.StringLength(input=texts)
    yield "StringLength of characters", lambda: R.StringLength(input=[texts], unit="UTF8_CHAR")
    yield "StringJoin", lambda: R.StringJoin(inputs=[["a", "b"], ["c", "d"]])
    yield "StringToHashBucketFast", lambda: R.StringToHashBucketFast(input=texts, num_buckets=1)
    yield from _words()
    yield from _vocabulary()


def _words() -> Iterator[tuple[str, Case]]:
    texts = ["naïve CAFÉ, 犬dog犬!", "", "ß ſ ς İ ﬁ ½ \u00ad", "각 e\u0301x\u3000  A\t.", "Ꭰꭰ K Å"]
    split = tf_text.regex_split_with_offsets

    def rows() -> list[Any]:
        return [
            tf.ragged.constant(values, tf.int32) for values in ([[1, 2, 3, 4], [], [5]], [[6], [7, 8], [9, 10, 11]])
        ]

    def parts(ragged: Any) -> list[Any]:
        return [part for each in ragged for part in (each.values, each.row_splits)]

    yield "CaseFoldUTF8 and NFD", lambda: tf_text.normalize_utf8(tf_text.case_fold_utf8(texts), "NFD")
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield f"NormalizeUTF8 {form}", lambda form=form: tf_text.normalize_utf8([texts], form)
    yield "RegexSplitWithOffsets", lambda: parts(split(texts, r"\s+|[\p{P}]|[\x{4E00}-\x{9FFF}]", r"[\p{P}]|\p{Han}"))
    yield "RegexSplitWithOffsets, none kept", lambda: parts(split(texts, r"\s|,", ""))
    nulls = ["a\0b c", "\0a", "a\0", "a b\0c", "a"]
    yield "RegexSplitWithOffsets, null characters", lambda: parts(split(nulls, r"\s|\x00", ""))
    for budget in (0, 3, 5, 9):
        yield f"RoundRobinTrim {budget}", lambda n=budget: parts(tf_text.RoundRobinTrimmer(n).trim(rows()))


def _vocabulary() -> Iterator[tuple[str, Case]]:
    def table() -> Any:
        keys, ids = [key.decode() for key in VOCABULARY], list(VOCABULARY.values())
        entries = tf.lookup.KeyValueTensorInitializer(keys, ids, tf.string, tf.int64)
        return tf.lookup.StaticHashTable(entries, -1)

    def pieces(**options: Any) -> Any:
        tokenizer = tf_text.WordpieceTokenizer(table(), max_bytes_per_word=11, token_out_type=tf.string, **options)
        return [part for r in tokenizer.tokenize_with_offsets(WORDS) for part in (r.values, r.row_splits)]

    yield "LookupTableFindV2", lambda: table().lookup(tf.constant([WORDS]))
    yield "LookupTableSizeV2", lambda: table().size()
    yield "WordpieceTokenizeWithOffsets", pieces


def control() -> Iterator[tuple[str, Case]]:
    function = tf.function(lambda x, y: (x + y, x - y), autograph=False)

    def concrete(body: Any, *kinds: Any) -> Any:
        return tf.function(body, autograph=False).get_concrete_function(*(tf.TensorSpec([], kind) for kind in kinds))

    def loop(op: Any) -> Any:
        condition = concrete(lambda i, x: i < 5, tf.int32, tf.float32)
        body = concrete(lambda i, x: (i + 1, x * 2), tf.int32, tf.float32)
        return op(input=[tf.constant(0), tf.constant(1.5)], cond=condition, body=body)

    def branch(op: Any, taken: bool) -> Any:
        then, other = (concrete(lambda x, n=n: x * n, tf.float32) for n in (3.0, 4.0))
        return op(cond=taken, input=[tf.constant(2.0)], Tout=[tf.float32], then_branch=then, else_branch=other)

    for op in ("While", "StatelessWhile"):
        yield op, lambda op=op: loop(getattr(R, op))
    for op in ("If", "StatelessIf"):
        for taken in (True, False):
            yield f"{op} {taken}", lambda op=op, t=taken: branch(getattr(R, op), t)
    yield "PartitionedCall", lambda: function(tf.constant(2.0), tf.constant(3.0))


def legacy() -> Iterator[tuple[str, Case]]:
    x = reals(3, 2, dtype=np.float32)

    def chosen(taken: bool) -> Any:
        no, yes = R.Switch(data=x, pred=tf.constant(taken))
        return R.Merge(inputs=[tf.square(no), tf.exp(yes)])

    def array(size: int, **options: Any) -> Any:
        handle, flow = R.TensorArrayV3(size=size, dtype=tf.float32, element_shape=[2], **options)
        return handle, flow

    def scattered() -> Any:
        handle, flow = array(3)
        return handle, R.TensorArrayScatterV3(handle=handle, indices=[2, 0, 1], value=x, flow_in=flow)

    def written() -> Any:
        handle, flow = array(0, dynamic_size=True)
        return handle, R.TensorArrayWriteV3(handle=handle, index=0, value=x[1], flow_in=flow)

    def gathered(array: Any, indices: Any) -> Any:
        handle, flow = array
        return R.TensorArrayGatherV3(
            handle=handle, indices=np.asarray(indices, np.int32), flow_in=flow, dtype=tf.float32, element_shape=[2]
        )

    for taken in (True, False):
        yield f"Switch and Merge {taken}", lambda t=taken: chosen(t)
    yield "TensorArrayScatterV3", lambda: gathered(scattered(), [0, 2])
    yield "TensorArrayGatherV3 of nothing", lambda: gathered(array(0), [])
    yield "TensorArrayWriteV3", lambda: gathered(written(), [0])
    yield (
        "TensorArrayReadV3",
        lambda: R.TensorArrayReadV3(
            **dict(zip(("handle", "flow_in"), scattered(), strict=True)), index=1, dtype=tf.float32
        ),
    )
    yield "TensorArraySizeV3", lambda: R.TensorArraySizeV3(**dict(zip(("handle", "flow_in"), array(3), strict=True)))


def cases() -> dict[str, Case]:
    """Return every case by name."""
    return {name: case for group in (lists, ragged, strings, control, legacy) for name, case in group()}
