"""The SentencePiece model that a graph of TF.Text brings: its pieces, its normalizer, and what else decides how text is cut.

Field numbers, types and defaults are those of sentencepiece's `src/sentencepiece_model.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from google.protobuf import message

from hub2hf.errors import FETCH_AGAIN, VocabularyError
from hub2hf.limits import MAX_VOCABULARY_BYTES, MAX_VOCABULARY_LINES
from hub2hf.protobuf import classes

# "oneof" tells a field that was left out, which has the default of proto2, from one that is 0. Pieces are declared as bytes:
# what is no UTF-8 gets a message of its own.
MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "ModelProto": (
        "1 pieces repeated SentencePiece",
        "2 trainer_spec TrainerSpec",
        "3 normalizer_spec NormalizerSpec",
    ),
    "SentencePiece": ("1 piece bytes", "2 score float", "3 type oneof _type int32"),
    "TrainerSpec": (
        "3 model_type oneof _model_type int32",
        "24 treat_whitespace_as_suffix bool",
        "35 byte_fallback bool",
        "46 bos_piece oneof _bos bytes",
        "47 eos_piece oneof _eos bytes",
    ),
    "NormalizerSpec": (
        "1 name bytes",
        "2 precompiled_charsmap bytes",
        "3 add_dummy_prefix oneof _dummy bool",
        "4 remove_extra_whitespaces oneof _extra bool",
        "5 escape_whitespaces oneof _escape bool",
    ),
}
_CLASSES = classes(MESSAGES, "hub2hf_sentencepiece.proto")

UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
KINDS: Final[Mapping[int, str]] = MappingProxyType({UNIGRAM: "unigram", BPE: "BPE", 3: "word", 4: "character"})
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # ModelProto.SentencePiece.Type
SPACE: Final = "▁"  # U+2581, kSpaceSymbol in src/normalizer.cc


@dataclass(frozen=True)
class Piece:
    """One piece: its `text`, its `score`, the value of a float32, and its `kind`, one of the constants above."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class PieceModel:
    """A SentencePiece model.

    Attributes:
        pieces: in the order of their ids.
        kind: `UNIGRAM`, or another one of `KINDS`.
        charsmap: the double array and the strings of the normalizer, as `normalization_rule_name` compiled them; empty for
            none.
        add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces: of the normalizer.
        treat_whitespace_as_suffix, byte_fallback: of the trainer.
        bos, eos: the pieces that TF.Text's `add_bos` and `add_eos` add.
    """

    pieces: tuple[Piece, ...]
    kind: int
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool
    treat_whitespace_as_suffix: bool
    byte_fallback: bool
    bos: str
    eos: str

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each piece."""
        return {piece.text: number for number, piece in enumerate(self.pieces)}

    @cached_property
    def unknown(self) -> int:
        """The id of the unknown piece."""
        return next(number for number, piece in enumerate(self.pieces) if piece.kind == UNKNOWN)

    def of_kind(self, *kinds: int) -> dict[str, int]:
        """Return the pieces of some kinds with their ids."""
        return {piece.text: number for number, piece in enumerate(self.pieces) if piece.kind in kinds}

    @cached_property
    def others(self) -> dict[str, int]:
        """The pieces that are not normal, with their ids."""
        return {piece.text: number for number, piece in enumerate(self.pieces) if piece.kind != NORMAL}

    @cached_property
    def scores(self) -> tuple[float, float]:
        """The smallest and the largest score of the normal pieces."""
        found = [piece.score for piece in self.pieces if piece.kind == NORMAL] or [0.0]
        return min(found), max(found)


def read_pieces(data: bytes, evidence: str) -> PieceModel:
    """Read a serialized ModelProto.

    Args:
        data: its bytes.
        evidence: the node that holds them, for messages.

    Raises:
        VocabularyError: it is damaged: names the piece, or what is wrong.
    """
    if len(data) > MAX_VOCABULARY_BYTES:
        raise _damaged(evidence, f"it has {len(data)} bytes, too many for a vocabulary")
    proto = _CLASSES["ModelProto"]()
    try:
        proto.ParseFromString(data)
    except message.DecodeError as error:
        raise _damaged(evidence, f"it is no ModelProto: {error}") from None
    if not 0 < len(proto.pieces) <= MAX_VOCABULARY_LINES:
        raise _damaged(evidence, f"it has {len(proto.pieces)} pieces")
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    model = PieceModel(
        tuple(_piece(item, number, evidence) for number, item in enumerate(proto.pieces)),
        trainer.model_type if trainer.WhichOneof("_model_type") else UNIGRAM,
        bytes(normalizer.precompiled_charsmap),
        normalizer.add_dummy_prefix if normalizer.WhichOneof("_dummy") else True,
        normalizer.remove_extra_whitespaces if normalizer.WhichOneof("_extra") else True,
        normalizer.escape_whitespaces if normalizer.WhichOneof("_escape") else True,
        bool(trainer.treat_whitespace_as_suffix),
        bool(trainer.byte_fallback),
        trainer.bos_piece.decode(errors="replace") if trainer.WhichOneof("_bos") else "<s>",
        trainer.eos_piece.decode(errors="replace") if trainer.WhichOneof("_eos") else "</s>",
    )
    if len(model.ids) != len(model.pieces):
        seen: dict[str, int] = {}
        again = next(i for i, piece in enumerate(model.pieces) if seen.setdefault(piece.text, i) != i)
        raise _damaged(evidence, f"piece {again} is {model.pieces[again].text!r} again")
    if len(model.of_kind(UNKNOWN)) != 1:
        raise _damaged(evidence, f"it has {len(model.of_kind(UNKNOWN))} unknown pieces")
    return model


def _piece(item: Any, number: int, evidence: str) -> Piece:
    try:
        text = item.piece.decode()
    except UnicodeDecodeError:
        raise _damaged(evidence, f"piece {number} is not UTF-8") from None
    if not text:
        raise _damaged(evidence, f"piece {number} is empty")
    if not abs(item.score) < float("inf"):
        raise _damaged(evidence, f"piece {number}, {text!r}, has the score {item.score}")
    return Piece(text, item.score, item.type if item.WhichOneof("_type") else NORMAL)


def charsmap_parts(data: bytes, evidence: str) -> tuple[tuple[int, ...], bytes]:
    """Return the units of the double array of a normalizer's map, and the strings that its values point into.

    The form is `Normalizer::EncodePrecompiledCharsMap`: the size of the array in bytes, the array, the strings.

    Raises:
        VocabularyError: the sizes do not fit.
    """
    if not data:
        return (), b""
    size = int.from_bytes(data[:4], "little")
    if size % 4 or not 4 <= size <= len(data) - 4:
        raise _damaged(evidence, "the map of its normalizer is cut off")
    return struct.unpack(f"<{size // 4}I", data[4 : 4 + size]), data[4 + size :]


def _damaged(evidence: str, what: str) -> VocabularyError:
    return VocabularyError(f"The SentencePiece model of node '{evidence}' is damaged: {what}.", FETCH_AGAIN)
