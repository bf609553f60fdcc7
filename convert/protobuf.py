"""Protobuf messages declared as a table, and built at import: no generated code has to follow protobuf's version.

The classes live in a descriptor pool of their own, so they never clash with those of TensorFlow or ONNX in one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "hub2hf"


def classes(messages: Mapping[str, tuple[str, ...]], file_name: str) -> dict[str, Any]:
    """Return the class of every message of a table.

    Args:
        messages: message → "number name type" of each field. A type is a scalar of protobuf or a message of the table, with
            "repeated" before it, or "map" (the key is a string), or "oneof NAME", which also tells a field that was set to 0
            from one that was not set. An enum is an int32, which has the same wire form.
        file_name: of the descriptor, for protobuf's own messages.
    """
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package=PACKAGE, syntax="proto3")
    for name, fields in messages.items():
        descriptor = file.message_type.add(name=name)
        for field in fields:
            _add_field(descriptor, field, messages)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in messages}


def _add_field(
    descriptor: descriptor_pb2.DescriptorProto, declaration: str, messages: Mapping[str, tuple[str, ...]]
) -> None:
    number, name, *modifiers, type_name = declaration.split()
    proto = descriptor_pb2.FieldDescriptorProto
    field = descriptor.field.add(name=name, number=int(number), label=proto.LABEL_OPTIONAL)
    if modifiers[:1] == ["oneof"]:
        groups = [group.name for group in descriptor.oneof_decl]
        if modifiers[1] not in groups:
            descriptor.oneof_decl.add(name=modifiers[1])
            groups.append(modifiers[1])
        field.oneof_index = groups.index(modifiers[1])
    elif modifiers:
        field.label = proto.LABEL_REPEATED
    if modifiers == ["map"]:
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = descriptor.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        _add_field(entry, "1 key string", messages)
        _add_field(entry, f"2 value {type_name}", messages)
        field.type = proto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{descriptor.name}.{entry_name}"
    elif type_name in messages:
        field.type = proto.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{type_name}"
    else:
        field.type = proto.Type.Value(f"TYPE_{type_name.upper()}")
