"""The protobuf messages of a SavedModel that hub2hf reads, declared as a table and built at import.

Field numbers and types are those of TensorFlow's ``tensorflow/core/framework/*.proto`` and
``tensorflow/core/protobuf/*.proto``; fields that are not needed are left out and skipped by the parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import message

from hub2hf.protobuf import classes

# In the form that hub2hf.protobuf takes.
MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    # tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, saver.proto
    "SavedModel": ("1 saved_model_schema_version int64", "2 meta_graphs repeated MetaGraphDef"),
    "MetaGraphDef": (
        "1 meta_info_def MetaInfoDef",
        "2 graph_def GraphDef",
        "3 saver_def SaverDef",
        "4 collection_def map CollectionDef",
        "5 signature_def map SignatureDef",
        "6 asset_file_def repeated AssetFileDef",
        "7 object_graph_def SavedObjectGraph",
    ),
    "MetaInfoDef": ("2 stripped_op_list OpList", "4 tags repeated string", "5 tensorflow_version string"),
    "OpList": ("1 op repeated OpDef",),
    "CollectionDef": ("2 bytes_list oneof kind BytesList", "5 any_list oneof kind AnyList"),
    "BytesList": ("1 value repeated bytes",),
    "AnyList": ("1 value repeated Any",),
    "Any": ("1 type_url string", "2 value bytes"),
    "SaverDef": (
        "1 filename_tensor_name string",
        "2 save_tensor_name string",
        "3 restore_op_name string",
        "5 sharded bool",
        "7 version int32",
    ),
    "SignatureDef": ("1 inputs map TensorInfo", "2 outputs map TensorInfo", "3 method_name string"),
    "TensorInfo": ("1 name oneof encoding string", "2 dtype int32", "3 tensor_shape TensorShapeProto"),
    "AssetFileDef": ("1 tensor_info TensorInfo", "2 filename string"),
    # tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto, function.proto, op_def.proto
    "GraphDef": (
        "1 node repeated NodeDef",
        "2 library FunctionDefLibrary",
        "3 version int32",
        "4 versions VersionDef",
    ),
    "NodeDef": (
        "1 name string",
        "2 op string",
        "3 input repeated string",
        "4 device string",
        "5 attr map AttrValue",
    ),
    "AttrValue": (
        "1 list oneof value ListValue",
        "2 s oneof value bytes",
        "3 i oneof value int64",
        "4 f oneof value float",
        "5 b oneof value bool",
        "6 type oneof value int32",
        "7 shape oneof value TensorShapeProto",
        "8 tensor oneof value TensorProto",
        "9 placeholder oneof value string",
        "10 func oneof value NameAttrList",
    ),
    "ListValue": (
        "2 s repeated bytes",
        "3 i repeated int64",
        "4 f repeated float",
        "5 b repeated bool",
        "6 type repeated int32",
        "7 shape repeated TensorShapeProto",
        "8 tensor repeated TensorProto",
        "9 func repeated NameAttrList",
    ),
    "NameAttrList": ("1 name string", "2 attr map AttrValue"),
    "FunctionDefLibrary": ("1 function repeated FunctionDef",),
    "FunctionDef": (
        "1 signature OpDef",
        "3 node_def repeated NodeDef",
        "4 ret map string",
        "5 attr map AttrValue",
        "6 control_ret map string",
    ),
    "OpDef": (
        "1 name string",
        "2 input_arg repeated ArgDef",
        "3 output_arg repeated ArgDef",
        "4 attr repeated AttrDef",
        "17 is_stateful bool",
        "20 control_output repeated string",
    ),
    "ArgDef": (
        "1 name string",
        "3 type int32",
        "4 type_attr string",
        "5 number_attr string",
        "6 type_list_attr string",
    ),
    "AttrDef": ("1 name string", "2 type string", "3 default_value AttrValue"),
    # tensorflow/core/framework/tensor.proto, tensor_shape.proto, tensor_slice.proto, versions.proto
    "TensorProto": (
        "1 dtype int32",
        "2 tensor_shape TensorShapeProto",
        "3 version_number int32",
        "4 tensor_content bytes",
        "5 float_val repeated float",
        "6 double_val repeated double",
        "7 int_val repeated int32",
        "8 string_val repeated bytes",
        "9 scomplex_val repeated float",
        "10 int64_val repeated int64",
        "11 bool_val repeated bool",
        "12 dcomplex_val repeated double",
        "13 half_val repeated int32",
        "16 uint32_val repeated uint32",
        "17 uint64_val repeated uint64",
    ),
    "TensorShapeProto": ("2 dim repeated Dim", "3 unknown_rank bool"),
    "Dim": ("1 size int64", "2 name string"),
    "TensorSliceProto": ("1 extent repeated Extent",),
    "Extent": ("1 start int64", "2 length oneof has_length int64"),
    "VersionDef": ("1 producer int32", "2 min_consumer int32", "3 bad_consumers repeated int32"),
    # tensorflow/core/protobuf/tensor_bundle.proto
    "BundleHeaderProto": ("1 num_shards int32", "2 endianness int32", "3 version VersionDef"),
    "BundleEntryProto": (
        "1 dtype int32",
        "2 shape TensorShapeProto",
        "3 shard_id int32",
        "4 offset int64",
        "5 size int64",
        "6 crc32c fixed32",
        "7 slices repeated TensorSliceProto",
    ),
    # tensorflow/core/protobuf/trackable_object_graph.proto, saved_object_graph.proto
    "TrackableObjectGraph": ("1 nodes repeated TrackableObject",),
    "TrackableObject": ("1 children repeated ObjectReference", "2 attributes repeated SerializedTensor"),
    "ObjectReference": ("1 node_id int32", "2 local_name string"),
    "SerializedTensor": ("1 name string", "2 full_name string", "3 checkpoint_key string"),
    "SavedObjectGraph": ("1 nodes repeated SavedObject", "2 concrete_functions map SavedConcreteFunction"),
    "SavedObject": (
        "1 children repeated ObjectReference",
        "5 asset oneof kind SavedAsset",
        "6 function oneof kind SavedFunction",
        "7 variable oneof kind SavedVariable",
        "9 constant oneof kind SavedConstant",
        "10 resource oneof kind SavedResource",
    ),
    "SavedFunction": ("1 concrete_functions repeated string", "2 function_spec FunctionSpec"),
    "FunctionSpec": ("1 fullargspec StructuredValue", "2 is_method bool"),
    "SavedConcreteFunction": (
        "2 bound_inputs repeated int32",
        "3 canonicalized_input_signature StructuredValue",
        "4 output_signature StructuredValue",
    ),
    # tensorflow/core/protobuf/struct.proto
    "StructuredValue": (
        "11 float64_value oneof kind double",
        "12 int64_value oneof kind sint64",
        "13 string_value oneof kind string",
        "14 bool_value oneof kind bool",
        "33 tensor_spec_value oneof kind TensorSpecProto",
        "34 type_spec_value oneof kind TypeSpecProto",
        "51 list_value oneof kind StructuredList",
        "52 tuple_value oneof kind StructuredTuple",
        "53 dict_value oneof kind StructuredDict",
        "54 named_tuple_value oneof kind StructuredNamedTuple",
    ),
    "StructuredList": ("1 values repeated StructuredValue",),
    "StructuredTuple": ("1 values repeated StructuredValue",),
    "StructuredDict": ("1 fields map StructuredValue",),
    "StructuredNamedTuple": ("1 name string", "2 values repeated StructuredPair"),
    "StructuredPair": ("1 key string", "2 value StructuredValue"),
    "TensorSpecProto": ("1 name string", "2 shape TensorShapeProto", "3 dtype int32"),
    "TypeSpecProto": ("3 type_spec_class_name string",),
    "SavedAsset": ("1 asset_file_def_index int32",),
    "SavedVariable": ("1 dtype int32", "2 shape TensorShapeProto", "3 trainable bool", "6 name string"),
    "SavedConstant": ("1 operation string",),
    "SavedResource": ("1 device string",),
}


class MalformedMessage(ValueError):
    """The bytes are not the message they should be; callers turn it into an error naming the file or key."""


def parse(kind: str, data: bytes) -> Any:
    """Parse one message.

    Args:
        kind: name of a message of ``MESSAGES``.
        data: its serialized form.

    Returns:
        The protobuf message; its fields are those of the table.

    Raises:
        MalformedMessage: truncated, invalid UTF-8 in a string, nested too deeply, or other bytes.
    """
    parsed = _CLASSES[kind]()
    try:
        parsed.ParseFromString(data)
    except (message.DecodeError, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise MalformedMessage(str(error)) from None
    return parsed


def new(kind: str) -> Any:
    """Return an empty message of the given kind (its fields have their default values)."""
    return _CLASSES[kind]()


_CLASSES: Final = classes(MESSAGES, "hub2hf/savedmodel.proto")
