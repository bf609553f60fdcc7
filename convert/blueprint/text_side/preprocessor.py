"""Read the text side from a preprocessor: a SavedModel from text to ids, mask and token types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hub2hf.analysis.inline import inlined
from hub2hf.blueprint.asked.generated import LETTERS
from hub2hf.blueprint.asked.oracle import Inquiry
from hub2hf.blueprint.entry import Entry, described, entries, leading_to, takes_text
from hub2hf.blueprint.text import PREPROCESSOR, TextBlueprint
from hub2hf.blueprint.text_side.pieces import PieceReader, cuts_by_pieces
from hub2hf.blueprint.text_side.probed import ProbedSide, encoded, read_probed
from hub2hf.blueprint.text_side.read_text import TextReader, read_pack
from hub2hf.blueprint.vocabulary.fast_wordpiece import with_tables
from hub2hf.blueprint.vocabulary.lines import count_lines, lines_in
from hub2hf.blueprint.vocabulary.numbered import Plainly, as_it_is, numbered_plainly
from hub2hf.blueprint.vocabulary.tables import with_plain_tables
from hub2hf.errors import GraphError, SourceError, VocabularyError
from hub2hf.interpreter import Substitutes, no_variable
from hub2hf.savedmodel.model import TOKENIZATION, SavedModel
from hub2hf.savedmodel.sentencepiece import read_pieces

NO_VARIABLE = no_variable("changes what the preprocessor makes of a text")
VOCABULARY = "vocab_file"  # Model Garden, official/nlp/tools/export_tfhub_lib.py
PIECES_FILE = "sp_model_file"  # ibid.
LOWER_CASE = "do_lower_case"  # ibid.
OTHER = "Give the preprocessor that was published for this encoder."


def read_preprocessor(
    preprocessor: SavedModel, encoder: SavedModel, pieces: int, positions: int, *, thorough: bool = False
) -> tuple[TextBlueprint, ProbedSide]:
    """Return the text blueprint, and what it was read from.

    Args:
        preprocessor: its SavedModel.
        encoder: the SavedModel that takes the ids.
        pieces, positions: rows of its word and position embeddings.
        thorough: see `read_blueprint`.

    Raises:
        GraphError: a text operation is not understood, or the outputs are not ids, mask and token types.
        SourceError: it has no signature from text to integers.
        VocabularyError: its vocabulary is not that of the encoder, or it folds case and the encoder says that it should not,
            or the reverse.
    """
    return numbered_plainly(
        lambda plainly: _read(_Preprocessor(preprocessor, plainly), preprocessor, encoder, pieces, positions, thorough)
    )


def _read(
    reading: _Preprocessor, preprocessor: SavedModel, encoder: SavedModel, pieces: int, positions: int, thorough: bool
) -> tuple[TextBlueprint, ProbedSide]:
    if isinstance(reading.text, PieceReader):
        check_pieces(reading.text, f"the preprocessor {preprocessor.folder}", encoder, pieces)
    else:
        check_vocabulary(reading.text.vocabulary()[0], f"the preprocessor {preprocessor.folder}", encoder, pieces)
    found = reading.read(pieces, positions, thorough=thorough)
    said, folds = lower_case_said(encoder), reading.folds_case(found[1].vocabulary)
    if said is not None and said.lower != folds:
        kind, value = ("lower-cased", "true") if said.lower else ("cased", "false")
        does = "folds case: it makes the same ids of 'A' as" if folds else "keeps case: it makes other ids of 'A' than"
        raise VocabularyError(
            f"The encoder {encoder.folder} was trained on {kind} text ({said.said_by} is {value}); the "
            f"preprocessor {preprocessor.folder} {does} of 'a'.",
            OTHER,
        )
    return found


@dataclass(frozen=True)
class LowerCase:
    """What an encoder says of its text: whether it is `lower`-cased, what says so, and the variables of that."""

    lower: bool
    said_by: str
    variables: tuple[str, ...] = ()


def lower_case_said(encoder: SavedModel) -> LowerCase | None:
    """Return what an encoder says of the case of its text; None when it says nothing.

    Raises:
        CheckpointError: the variable that says so is damaged.
    """
    variable, told = encoder.root_variable(LOWER_CASE), encoder.told(LOWER_CASE)
    if variable is not None:
        value = encoder.checkpoint.read(variable.name)
        return LowerCase(bool(value.any()), f"variable '{LOWER_CASE}'", (variable.name,))
    node = encoder.graph.node(told.node) if told is not None else None
    if node is None or node.op != "Const":
        return None
    return LowerCase(bool(np.any(node.value)), f"output '{LOWER_CASE}' of signature '{TOKENIZATION}'")


def own_vocabulary(encoder: SavedModel) -> Path | None:
    """Return the file of the WordPiece vocabulary that an encoder brings; None when there is none."""
    path = encoder.root_asset(VOCABULARY)
    return None if path is None or _holds_pieces(path) else path


def own_pieces(encoder: SavedModel) -> Path | None:
    """Return the file of the SentencePiece model that an encoder brings; None when there is none.

    Modules of TensorFlow 1 call it by the name of a vocabulary (google-research/albert, export_to_tfhub.py).
    """
    path, other = encoder.root_asset(PIECES_FILE), encoder.root_asset(VOCABULARY)
    return path if path is not None or other is None or not _holds_pieces(other) else other


def _holds_pieces(path: Path) -> bool:
    """Whether a file is a SentencePiece model, which begins with a line's end, as no vocabulary does."""
    with path.open("rb") as file:
        if file.read(1) != b"\n":
            return False
    try:
        read_pieces(path.read_bytes(), str(path))
    except VocabularyError:
        return False
    return True


def check_vocabulary(path: Path, whose: str, encoder: SavedModel, pieces: int) -> None:
    """See that the vocabulary file `path` is that of `encoder`, which has `pieces` word embeddings.

    Raises:
        VocabularyError: it has another number of pieces, or the encoder brings another one.
    """
    count = count_lines(path)
    if count != pieces:
        raise VocabularyError(
            f"The vocabulary of {whose}, {path.name}, has {count} pieces; the encoder {encoder.folder} has {pieces} "
            "word embeddings.",
            OTHER,
        )
    own = own_vocabulary(encoder)
    if own is not None and own != path and any(a != b for a, b in zip(lines_in(own), lines_in(path), strict=False)):
        raise VocabularyError(
            f"The vocabulary of {whose}, {path.name}, has other pieces than the encoder's own, {own}.", OTHER
        )


def check_pieces(reader: PieceReader, whose: str, encoder: SavedModel, rows: int) -> None:
    """See that a SentencePiece model is that of `encoder`, which has `rows` word embeddings.

    Raises:
        VocabularyError: it has more pieces than there are rows, or the encoder brings another one.
    """
    count = len(reader.pieces.pieces)
    if count > rows:
        raise VocabularyError(
            f"The SentencePiece model of {whose} has {count} pieces; the encoder {encoder.folder} has {rows} word "
            "embeddings.",
            OTHER,
        )
    own = own_pieces(encoder)
    if own is not None and own.read_bytes() != reader.data:
        raise VocabularyError(f"The SentencePiece model of {whose} is not the encoder's own, {own}.", OTHER)


def preprocessor_entry(model: SavedModel) -> Entry:
    """Return the way from one string tensor to integers of a batch of texts: a signature, or the root object's call.

    Raises:
        SourceError: there is none.
        GraphError: see `entries`.
    """
    every = list(entries(model))
    for entry in every:
        given = {str(tensor.dtype) for tensor in entry.outputs.values()}
        if takes_text(entry) and given and given <= {"int32", "int64"}:
            return entry
    raise SourceError(
        f"{model.folder} is not a preprocessor: no entry point takes one string tensor and gives integers "
        f"({'; '.join(map(described, every)) or 'it has none'}).",
        OTHER,
    )


class _Preprocessor:
    """The steps of reading one preprocessor."""

    def __init__(self, model: SavedModel, plainly: Plainly = as_it_is) -> None:
        self.entry = preprocessor_entry(model)
        graph = self.entry.graph
        for tensor in self.entry.outputs.values():
            graph = inlined(graph, tensor.ref)
        graph = leading_to(model, graph, [tensor.ref for tensor in self.entry.outputs.values()])
        graph, self.never = plainly(model, with_plain_tables(with_tables(graph)))
        self.graph = graph
        self.text = (PieceReader if cuts_by_pieces(graph) else TextReader)(model, graph)
        self.tables = self.text.tables.others()
        self._output: str | None = None

    def read(self, pieces: int, positions: int, *, thorough: bool) -> tuple[TextBlueprint, ProbedSide]:
        """Return the text blueprint, and what it was read from."""
        if isinstance(self.text, PieceReader):
            text, side = self.text.read(self._ids, positions, PREPROCESSOR)
            self._check_length(side, positions)
            self._check_mask(side, text.pack.pad_id)
            return text, side
        side = read_probed(self.text, self._ids, pieces, positions, never=self.never, thorough=thorough)
        self._check_length(side, positions)
        pack = read_pack(side.ids[-2], side.ids[-1], self._output or "")
        self._check_mask(side, pack.pad_id)
        return self.text.blueprint(side.operations, side.tables, pack, pieces, PREPROCESSOR), side

    def _check_length(self, side: ProbedSide, positions: int) -> None:
        length = side.ids.shape[1]
        if length > positions:
            raise GraphError(
                f"The preprocessor packs texts into {length} ids (output '{self._output}'); the encoder has "
                f"{positions} positions.",
                OTHER,
            )

    def _check_mask(self, side: ProbedSide, pad_id: int) -> None:
        """See that the mask is that of the ids."""
        found = self._run(Inquiry(encoded(side.vocabulary), [probe.text for probe in side.probes]))
        roles = output_roles(found)
        if (found[roles["mask"]] != (found[roles["ids"]] != pad_id)).any():
            raise GraphError(f"The output '{roles['mask']}' is not 1 for each id and 0 for padding.", OTHER)

    def folds_case(self, vocabulary: Mapping[str, int]) -> bool:
        """Tell whether the graph makes the same ids of a capital as of its small letter, over a probe vocabulary."""
        if isinstance(self.text, PieceReader):
            letters = " ".join(LETTERS)
            capital, small = self._ids(Inquiry({}, [letters.upper(), letters]))
            return bool((capital == small).all())
        known = {piece.encode(): number for piece, number in {**vocabulary, "a": 1, "A": 2}.items()}
        capital, small = self._ids(Inquiry(known, ["A", "a"]))
        return bool((capital == small).all())

    def _ids(self, asked: Inquiry) -> np.ndarray:
        """Return the packed ids [texts, max_length]; see `TextSide`."""
        found = self._run(asked)
        if self._output is None:
            self._output = output_roles(found)["ids"]
        return found[self._output]

    def _run(self, asked: Inquiry) -> dict[str, np.ndarray]:
        """Return every output, int [texts, length]."""
        (source,) = self.entry.inputs.values()
        values = source.of_texts(asked.texts)
        interpreter = asked.interpreter(self.graph, Substitutes(NO_VARIABLE, asked.vocabulary, self.tables), values)
        refs = [tensor.ref for tensor in self.entry.outputs.values()]
        found = dict(zip(self.entry.outputs, interpreter.run(refs, {source.ref: values}), strict=True))
        for name, value in found.items():
            if np.ndim(value) != 2 or len(value) != len(asked.texts):
                raise GraphError(f"The output '{name}' is not one row of ids per text.", OTHER)
        return found


def output_roles(found: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return "ids", "mask" and perhaps "types" → output, by what the outputs hold.

    Ids are more than zeros and ones; token types of one segment are zeros; the mask is neither.

    Raises:
        GraphError: the outputs are not one of each.
    """
    roles: dict[str, str] = {}
    for name, value in found.items():
        role = "ids" if value.size and value.max() > 1 else ("mask" if value.any() else "types")
        if roles.setdefault(role, name) != name:
            raise GraphError(
                f"The outputs '{roles[role]}' and '{name}' of the preprocessor both look like {role}.", OTHER
            )
    if not {"ids", "mask"} <= roles.keys():
        told = ", ".join(found)
        raise GraphError(f"The outputs of the preprocessor ({told}) are not ids, mask and token types.", OTHER)
    return roles
