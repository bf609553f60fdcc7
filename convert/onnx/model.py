"""A graph as bytes: a protobuf is the concatenation of its fields, so the weights pass through one piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from hub2hf.errors import ExportError
from hub2hf.onnx.graph import IR_VERSION, OPSET, Initializer, OnnxGraph
from hub2hf.onnx.messages import DATA_TYPES, EXTERNAL, new

# A protobuf may have this many bytes; ONNX keeps the weights of larger models in a file of their own.
MAX_BYTES = (1 << 31) - 1
ALIGNMENT = 1 << 16  # of a weight in that file, so that it can be mapped into memory: Windows asks for the most
SMALL = 1024  # bytes; what has less stays in the model file, where shapes are inferred from it
GRAPH, INITIALIZER, RAW_DATA, DATA_LOCATION = 7, 5, 9, 14  # field numbers, as in `messages`
LENGTH_DELIMITED = 2  # protobuf's wire type of a message and of bytes


def value_info(name: str, dtype: str, shape: Sequence[int | str]) -> Any:
    """Return the description of an input or output; a text in the shape names a dimension that may have any size."""
    dimensions = [new("Dimension", **{"dim_param" if isinstance(d, str) else "dim_value": d}) for d in shape]
    tensor = new("Tensor", elem_type=DATA_TYPES[dtype], shape=new("TensorShapeProto", dim=dimensions))
    return new("ValueInfoProto", name=name, type=new("TypeProto", tensor_type=tensor))


class Model:
    """A whole model, ready to be written.

    Args:
        graph: its nodes and initializers.
        inputs, outputs: made by `value_info`.
        data_file: the name of the file beside the model that holds its weights, where it has more than `limit` bytes.
        limit: by default what a protobuf may have.
    """

    def __init__(
        self, graph: OnnxGraph, inputs: Sequence[Any], outputs: Sequence[Any], data_file: str, limit: int = MAX_BYTES
    ) -> None:
        self._initializers = list(graph.initializers.values())
        self._data_file = data_file
        self._head = _bytes(
            new(
                "ModelProto",
                ir_version=IR_VERSION,
                producer_name="hub2hf",
                producer_version=metadata.version("hub2hf"),
                opset_import=[new("OperatorSetIdProto", version=OPSET)],
            )
        )
        self._nodes = _bytes(new("GraphProto", name="hub2hf", node=graph.nodes, input=inputs, output=outputs))
        self._offsets: Mapping[str, int] = {}  # of what stands in the file of weights
        if self._length > limit:
            self._offsets = _laid_out(self._initializers)

    @property
    def has_data_file(self) -> bool:
        """Whether the weights are in a file of their own."""
        return bool(self._offsets)

    @property
    def _length(self) -> int:
        """The bytes of the field `graph`, but for its tag."""
        fields = sum(len(self._field(item)) + self._inside(item) for item in self._initializers)
        return len(self._nodes) + fields

    def model_pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the model file.

        Raises:
            ExportError: a weight cannot be read.
        """
        yield self._head + field_key(GRAPH, self._length) + self._nodes
        for item in self._initializers:
            yield self._field(item)
            if item.name not in self._offsets:
                yield from _numbers(item)

    def data_pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the file with the weights.

        Raises:
            ExportError: a weight cannot be read.
        """
        end = 0
        for item in self._initializers:
            if item.name in self._offsets:
                yield bytes(self._offsets[item.name] - end)
                yield from _numbers(item)
                end = self._offsets[item.name] + item.nbytes

    def _inside(self, item: Initializer) -> int:
        """Return how many bytes of numbers follow `_field`."""
        return 0 if item.name in self._offsets else item.nbytes

    def _field(self, item: Initializer) -> bytes:
        """Return an initializer as a field of the graph, up to its numbers, which are its last field."""
        head = _bytes(new("TensorProto", name=item.name, dims=item.shape, data_type=DATA_TYPES[item.dtype]))
        if item.name in self._offsets:
            head += placed(self._data_file, self._offsets[item.name], item.nbytes)
            return field_key(INITIALIZER, len(head)) + head
        head += field_key(RAW_DATA, item.nbytes)
        return field_key(INITIALIZER, len(head) + item.nbytes) + head


def _laid_out(initializers: Sequence[Initializer]) -> dict[str, int]:
    """Return the offset of each initializer in the file of weights; small ones are not there."""
    offsets, end = {}, 0
    for item in initializers:
        if item.nbytes >= SMALL:
            offsets[item.name] = -(-end // ALIGNMENT) * ALIGNMENT
            end = offsets[item.name] + item.nbytes
    return offsets


def _numbers(item: Initializer) -> Iterator[bytes | memoryview]:
    """Yield the numbers of an initializer, little-endian: as many as its field says, or what follows would not be found."""
    left = item.nbytes
    for piece in item.pieces():
        left -= piece.nbytes
        yield np.ascontiguousarray(piece, piece.dtype.newbyteorder("<")).view(np.uint8).data
    if left:
        raise ExportError(
            f"The weights of '{item.name}' are not as many as its shape says.", "Convert the model again."
        )


def placed(location: str, offset: int, length: int) -> bytes:
    """Return the fields of a tensor that say in which file its numbers lie, and where."""
    place = {"location": location, "offset": offset, "length": length}
    entries = [new("StringStringEntryProto", key=key, value=str(value)) for key, value in place.items()]
    return _bytes(new("TensorProto", external_data=entries, data_location=EXTERNAL))


def field_key(field: int, length: int) -> bytes:
    """Return the key of a length-delimited field and its length, each a varint."""
    return _varint(field << 3 | LENGTH_DELIMITED) + _varint(length)


def _varint(number: int) -> bytes:
    """Return a number in groups of seven bits, the lowest first; all but the last have the eighth bit set."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _bytes(message: Any) -> bytes:
    """Return a message as bytes, the same ones always."""
    return bytes(message.SerializeToString(deterministic=True))
