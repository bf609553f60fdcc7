"""The message table against TensorFlow's own descriptors."""

from __future__ import annotations

from typing import Any

import pytest
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import (
    meta_graph_pb2,
    saved_model_pb2,
    tensor_bundle_pb2,
    trackable_object_graph_pb2,
)

from hub2hf.protobuf import PACKAGE
from hub2hf.savedmodel import messages

ROOTS = {
    "SavedModel": saved_model_pb2.SavedModel,
    "AssetFileDef": meta_graph_pb2.AssetFileDef,
    "BundleHeaderProto": tensor_bundle_pb2.BundleHeaderProto,
    "BundleEntryProto": tensor_bundle_pb2.BundleEntryProto,
    "TrackableObjectGraph": trackable_object_graph_pb2.TrackableObjectGraph,
}
ENUM, INT32 = 14, 5


def compare(ours: Any, theirs: Any, seen: dict[str, str]) -> None:
    if ours.full_name in seen:
        assert seen[ours.full_name] == theirs.full_name
        return
    seen[ours.full_name] = theirs.full_name
    for field in ours.fields:
        other = theirs.fields_by_number[field.number]
        where = f"{ours.full_name}.{field.name}"
        assert other.name == field.name, where
        assert field.is_repeated == other.is_repeated, where
        assert field.type == (INT32 if other.type == ENUM else other.type), where
        assert (field.containing_oneof is None) == (other.containing_oneof is None), where
        assert (field.message_type is None) == (other.message_type is None), where
        if field.message_type is not None:
            assert field.message_type.GetOptions().map_entry == other.message_type.GetOptions().map_entry, where
            compare(field.message_type, other.message_type, seen)


def test_fields_are_those_of_tensorflow() -> None:
    seen: dict[str, str] = {}
    for name, theirs in ROOTS.items():
        compare(messages.new(name).DESCRIPTOR, theirs.DESCRIPTOR, seen)
    compared = {name.removeprefix(PACKAGE + ".") for name in seen}
    assert compared.issuperset(messages.MESSAGES)


def test_a_graph_goes_through_unchanged() -> None:
    theirs = graph_pb2.GraphDef()
    node = theirs.node.add(name="n", op="Const", input=["a:1", "^b"])
    node.attr["value"].tensor.float_val.extend([1.5, -2])
    node.attr["list"].list.i.extend([1, -1])
    ours = messages.parse("GraphDef", theirs.SerializeToString())
    assert ours.node[0].attr["value"].tensor.float_val == [1.5, -2]
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(deterministic=True)


@pytest.mark.parametrize("data", [b"\x0a", b"\xff" * 20, b"\x0a\x02\x0a\xff", b"\x0a\x03\x0a\x01\xff"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(messages.MalformedMessage):
        messages.parse("GraphDef", data)


def test_deep_nesting_is_refused() -> None:
    data = b""
    for _ in range(5000):  # an attribute of a function of an attribute of ...
        entry = b"\x0a\x01a\x12" + _length(data) + data
        data = b"\x52" + _length(b"\x12" + _length(entry) + entry) + b"\x12" + _length(entry) + entry
    with pytest.raises(messages.MalformedMessage):
        messages.parse("AttrValue", data)


def _length(data: bytes) -> bytes:
    value, out = len(data), b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
