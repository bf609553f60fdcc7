"""Names and number of the outputs of ops, needed to read function bodies.

A function body names a tensor ``node:output_name:i``, a graph ``node:flat_index``. A SavedModel brings the
OpDef of every op it uses (``meta_info_def.stripped_op_list``); where that was stripped, the tables here cover
the ops of text encoders (from TensorFlow 2.21 and TF.Text 2.21, ``op_def_registry``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convert.errors import GraphError
from convert.limits import tick
from convert.savedmodel.attributes import REPORT

# Output name -> ops that have this one output, a single tensor.
_SINGLE: Final[Mapping[str, str]] = {
    "output": """All Any ArgMax BatchMatMul BatchMatMulV2 BatchMatMulV3 BiasAdd BroadcastTo Bucketize
        CaseFoldUTF8 ConcatV2 Const DecodeBase64 Einsum EnsureShape Enter Exit ExpandDims Fill
        Gather GatherNd GatherV2 Identity L2Loss LinSpace LoopCond LowerBound MatrixDiagV3 Max Mean
        Min NextIteration NormalizeUTF8 OneHot Pack Pad PadV2 Placeholder PlaceholderWithDefault
        Prod Range Rank RegexFullMatch RegexReplace Reshape ResourceGather ReverseV2 ScatterNd
        SegmentMax SegmentMean SegmentSum Select SelectV2 Shape Size Slice SparseSegmentSum Squeeze
        StaticRegexFullMatch StaticRegexReplace StopGradient StridedSlice StringFormat StringJoin
        StringLength StringLower StringStrip StringToHashBucketFast StringToNumber StringUpper
        Substr Sum TensorScatterUpdate Tile UnicodeEncode UnicodeScript UnicodeTranscode
        UnsortedSegmentMax UnsortedSegmentSum UpperBound""",
    "z": """Add AddV2 Equal FloorDiv FloorMod Greater GreaterEqual Less LessEqual LogicalAnd
        LogicalOr Maximum Minimum Mul NotEqual Pow RealDiv SquaredDifference Sub Xdivy""",
    "y": """Abs Cast Erf Erfc Exp Floor LogicalNot Neg OnesLike Reciprocal Rsqrt Sigmoid Sqrt Square
        Tanh Transpose ZerosLike""",
    "activations": "LeakyRelu Relu Relu6 Softplus",
    "band": "MatrixBandPart",
    "dense": "SparseToDense",
    "element_shape": "TensorListElementShape",
    "encoded_ragged": "RaggedTensorToVariant",
    "flow_out": "TensorArrayScatterV3 TensorArrayWriteV3",
    "handle": "SentencepieceOp TensorListReserve",
    "index": "Where",
    "is_initialized": "VarIsInitializedOp",
    "item": "TensorListGetItem",
    "length": "TensorListLength",
    "merged": "DynamicStitch",
    "out": "Cumsum",
    "output_handle": "TensorListFromTensor TensorListResize TensorListSetItem",
    "output_ref": "Assign",
    "product": "MatMul",
    "r0": "BroadcastArgs",
    "ref": "Variable VariableV2",
    "resource": "VarHandleOp",
    "result": "RaggedTensorToTensor",
    "size": "LookupTableSizeV2 TensorArraySizeV3",
    "softmax": "Softmax",
    "sum": "AddN",
    "table_handle": "HashTableV2",
    "tensor": "TensorListStack",
    "value": "ReadVariableOp TensorArrayGatherV3 TensorArrayReadV3",
    "values": "LookupTableFindV2",
}

# Op -> its outputs in order; "name*attr" is a list as long as the attribute tells (a number, or types).
_SEVERAL: Final[Mapping[str, str]] = {
    "DynamicPartition": "outputs*num_partitions",
    "FastBertNormalize": "output_values output_offsets output_row_splits",
    "FastWordpieceTokenizeWithOffsets": "output_subwords output_ids output_row_splits start_values end_values",
    "FusedBatchNormV3": "y batch_mean batch_variance reserve_space_1 reserve_space_2 reserve_space_3",
    "IdentityN": "output*T",
    "If": "output*Tout",
    "Merge": "output value_index",
    "NormalizeUTF8WithOffsetsMap": "output offsets_map",
    "PartitionedCall": "output*Tout",
    "RaggedGather": "output_nested_splits*OUTPUT_RAGGED_RANK output_dense_values",
    "RaggedRange": "rt_nested_splits rt_dense_values",
    "RaggedTensorFromVariant": "output_nested_splits*output_ragged_rank output_dense_values",
    "RegexSplitWithOffsets": "tokens begin_offsets end_offsets row_splits",
    "RestoreV2": "tensors*dtypes",
    "SentencepieceTokenizeOp": "output_values output_splits",
    "SentencepieceTokenizeWithOffsetsOp": "output_values output_splits output_offset_starts output_offset_limits",
    "ShapeN": "output*N",
    "SparseFillEmptyRows": "output_indices output_values empty_row_indicator reverse_index_map",
    "SparseReshape": "output_indices output_shape",
    "Split": "output*num_split",
    "SplitMergeTokenizeWithOffsets": "output_values output_row_splits start_values limit_values",
    "SplitV": "output*num_split",
    "StatefulPartitionedCall": "output*Tout",
    "StatelessIf": "output*Tout",
    "StatelessWhile": "output*T",
    "StringSplit": "indices values shape",
    "StringSplitV2": "indices values shape",
    "Switch": "output_false output_true",
    "TFText>RoundRobinTrim": "values*N row_splits*N",
    "TensorArrayV3": "handle flow",
    "TensorListConcatV2": "tensor lengths",
    "TopKV2": "values indices",
    "UnicodeDecode": "row_splits char_values",
    "UnicodeDecodeWithOffsets": "row_splits char_values char_to_byte_starts",
    "UnicodeScriptTokenizeWithOffsets": "output_values output_values_inner_splits output_offset_starts "
    "output_offset_limits output_outer_splits",
    "Unique": "y idx",
    "UniqueV2": "y idx",
    "UniqueWithCounts": "y idx count",
    "UniqueWithCountsV2": "y idx count",
    "Unpack": "output*num",
    "WhitespaceTokenizeWithOffsets": "output_values output_values_inner_splits output_offset_starts "
    "output_offset_limits output_outer_splits",
    "While": "output*T",
    "WordpieceTokenizeWithOffsets": "output_values output_row_lengths start_values limit_values",
}

# An output: its name, and the attribute that tells how many tensors it is ("" when it is one).
Output = tuple[str, str]


def _output(text: str) -> Output:
    name, _, attribute = text.partition("*")
    return name, attribute


KNOWN_OUTPUTS: Final[Mapping[str, tuple[Output, ...]]] = {
    **{op: ((name, ""),) for name, ops in _SINGLE.items() for op in ops.split()},
    **{op: tuple(_output(text) for text in outs.split()) for op, outs in _SEVERAL.items()},
}


def outputs_of(op_def: Any) -> tuple[Output, ...]:
    """Return the outputs an OpDef declares."""
    return tuple((arg.name, arg.number_attr or arg.type_list_attr) for arg in op_def.output_arg)


class OpRegistry:
    """What is known of ops: from the SavedModel's OpList, its functions, then the tables of this module."""

    def __init__(self, op_list: Any, library: Mapping[str, Any]) -> None:
        """Take in an OpList, and FunctionDefs by name (a function can be called by a node whose op it is)."""
        self._known: dict[str, tuple[Output, ...]] = dict(KNOWN_OUTPUTS)
        self._defaults: dict[str, Mapping[str, Any]] = {}
        for op_def in op_list.op:
            self._known[op_def.name] = outputs_of(op_def)
            has_default = (attr for attr in op_def.attr if attr.HasField("default_value"))
            self._defaults[op_def.name] = {attr.name: attr.default_value for attr in has_default}
        self._known.update({name: outputs_of(proto.signature) for name, proto in library.items()})

    def knows(self, op: str) -> bool:
        """Tell whether the outputs of an op are known."""
        return op in self._known

    def defaults(self, op: str) -> Mapping[str, Any]:
        """Return the AttrValues that nodes of an op leave out; empty if the SavedModel has no OpDef."""
        return self._defaults.get(op, {})

    def flat_index(self, node_def: Any, out_name: str, index: int, where: str) -> int | None:
        """Return the flat index of output ``out_name:index`` of a node; None when its op is not known.

        Raises:
            GraphError: the op has no such output, or the node does not tell how many it has.
        """
        outputs = self._known.get(node_def.op)
        if outputs is None:
            return None
        flat = 0
        for name, attribute in outputs:
            tick(where)
            count = self._count(node_def, attribute, where) if attribute else 1
            if name == out_name and index < count:
                return flat + index
            flat += count
        raise GraphError(f"The {where} has no output {out_name}:{index} (its op is {node_def.op}).", REPORT)

    def _count(self, node_def: Any, attribute: str, where: str) -> int:
        default = self.defaults(node_def.op).get(attribute)
        proto: Any = node_def.attr.get(attribute, default)
        kind = proto.WhichOneof("value") if proto is not None else None
        if kind == "i" and proto.i >= 0:
            return int(proto.i)
        if kind == "list":
            return len(proto.list.type)
        raise GraphError(f"The {where} does not tell its number of outputs ({attribute}).", REPORT)
