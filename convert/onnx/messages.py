"""The protobuf messages of an ONNX file that hub2hf writes, declared as a table.

Field numbers and types are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The package `onnx` would
bring the same messages, but also megabytes of code and a release that has to fit protobuf's. For writing, the table is
enough; the tests hold it against the package, and what is written against `onnx.checker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hub2hf.protobuf import classes

MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "ModelProto": (
        "1 ir_version int64",
        "2 producer_name string",
        "3 producer_version string",
        "7 graph GraphProto",
        "8 opset_import repeated OperatorSetIdProto",
    ),
    "OperatorSetIdProto": ("1 domain string", "2 version int64"),
    "GraphProto": (
        "1 node repeated NodeProto",
        "2 name string",
        "5 initializer repeated TensorProto",
        "11 input repeated ValueInfoProto",
        "12 output repeated ValueInfoProto",
    ),
    "NodeProto": (
        "1 input repeated string",
        "2 output repeated string",
        "3 name string",
        "4 op_type string",
        "5 attribute repeated AttributeProto",
    ),
    "AttributeProto": (
        "1 name string",
        "2 f oneof value float",
        "3 i oneof value int64",
        "4 s oneof value bytes",
        "8 ints repeated int64",
        "20 type int32",
    ),
    "ValueInfoProto": ("1 name string", "2 type TypeProto"),
    "TypeProto": ("1 tensor_type oneof value Tensor",),
    "Tensor": ("1 elem_type int32", "2 shape TensorShapeProto"),
    "TensorShapeProto": ("1 dim repeated Dimension",),
    "Dimension": ("1 dim_value oneof value int64", "2 dim_param oneof value string"),
    "TensorProto": (
        "1 dims repeated int64",
        "2 data_type int32",
        "8 name string",
        "9 raw_data bytes",
        "13 external_data repeated StringStringEntryProto",
        "14 data_location int32",
    ),
    "StringStringEntryProto": ("1 key string", "2 value string"),
}

# TensorProto.DataType, AttributeProto.AttributeType, TensorProto.DataLocation
DATA_TYPES: Final[Mapping[str, int]] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "bfloat16": 16,
}
FLOAT, INT, STRING, INTS = 1, 2, 3, 7
EXTERNAL = 1

_CLASSES: Final = classes(MESSAGES, "hub2hf/onnx.proto")


def new(kind: str, **fields: Any) -> Any:
    """Return a message of the kind, a name of `MESSAGES`, with these fields."""
    return _CLASSES[kind](**fields)
