"""Pieces that get their numbers in another way than from a table: each is asked, and a plain table says the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_text as text
import zoo_fresh as fresh
from zoo_base import UNK, World, pieces, quick, v1, v2

from hub2hf import limits
from hub2hf.blueprint.asked.trace import WORDPIECE
from hub2hf.blueprint.dataflow import Bodies
from hub2hf.blueprint.text_side.read_text import TextReader
from hub2hf.blueprint.vocabulary.numbered import Plain, with_plain_numbers
from hub2hf.errors import GraphError
from hub2hf.savedmodel.model import SavedModel

Numbers = Callable[[Any, World], Any]


def asked(
    numbers: Numbers, folder: Path, *, cut: bool = False, most: int | None = None
) -> tuple[Plain | None, np.ndarray]:
    """Return what becomes of a graph from words, or their pieces, to `numbers`, and these for all pieces."""
    with v1.Graph().as_default() as graph, v1.Session(graph=graph, config=quick()) as session:
        w = World()
        raw = v1.placeholder(v2.string, [None])
        cutter = text.WordpieceTokenizer(w.table(), token_out_type=v2.string, max_chars_per_token=most)
        found = cutter.tokenize(raw).flat_values if cut else raw
        ids = v2.cast(numbers(found, w), v2.int64)
        session.run(v1.tables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"text": raw}, {"ids": ids})
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        main = v1.tables_initializer()
        builder.add_meta_graph_and_variables(
            session, ["serve"], {"default": signature}, assets_collection=assets, main_op=main
        )
        builder.save()
        made = session.run(ids, {found: pieces()})
    model = SavedModel.open(folder)
    with limits.budget(model.nbytes):
        return with_plain_numbers(model, model.graph), made


def table_of(plain: Plain) -> dict[str, int]:
    """Return what the one new table holds, and what is none as ""."""
    values = {
        name.rpartition("/numbered/")[2]: node for name, node in plain.graph.nodes.items() if "/numbered/" in name
    }
    keys, numbers = values["pieces"].value.tolist(), values["numbers"].value.tolist()
    return {"": int(values["default"].value), **{key.decode(): n for key, n in zip(keys, numbers, strict=True)}}


@pytest.mark.parametrize(
    ("way", "cut"),
    [
        *((way, True) for way in ("compared", "compared_where", "one_hot_product", "digits", "gathered_ids")),
        *(("compared_where", False), ("from_the_end", False)),
    ],
)
def test_each_piece_has_the_number_that_tensorflow_gives_it(way: str, cut: bool, tmp_path: Path) -> None:
    plain, made = asked(getattr(fresh, way), tmp_path / "model", cut=cut)
    if way == "compared_where" and not cut:
        assert plain is None  # what is no piece has no number at all there
        return
    assert plain is not None
    table = table_of(plain)
    assert [table[piece] for piece in pieces()] == made.tolist() == list(range(len(pieces())))
    assert not plain.never


def test_what_has_no_number_of_its_own_stands_for_itself_and_is_remembered(tmp_path: Path) -> None:
    plain, made = asked(fresh.after_special(UNK), tmp_path / "model", cut=True)
    assert plain is not None
    table = table_of(plain)
    assert [table[piece] for piece in pieces()] == list(range(len(pieces())))
    assert plain.never == {piece for piece, number in zip(pieces(), made, strict=True) if table[piece] != number}


def test_of_pieces_with_the_number_of_what_is_none_the_one_in_its_line_has_it(tmp_path: Path) -> None:
    plain, _ = asked(fresh.from_first_id, tmp_path / "model", cut=True)
    assert plain is not None
    table = table_of(plain)
    assert [table[piece] for piece in pieces()] == list(range(len(pieces())))
    assert (table[""], plain.never) == (len(pieces()), {"[PAD]"})


def test_numbers_without_a_piece_are_called_unused(tmp_path: Path) -> None:
    plain, _ = asked(fresh.after_special(UNK), tmp_path / "model")
    assert plain is not None
    table = table_of(plain)
    assert (table[""], table["[UNK]"], table["[unused3]"], table[pieces()[200]]) == (UNK, UNK, 3, 200)
    assert "[unused3]" in plain.never
    assert pieces()[200] not in plain.never


def test_a_piece_that_is_none_is_remembered(tmp_path: Path) -> None:
    plain, _ = asked(fresh.dog_unknown, tmp_path / "model", cut=True)
    assert plain is not None
    table, dog = table_of(plain), fresh.DOG
    assert plain.never == {"dog", f"[unused{dog + 1}]"}
    assert (table[pieces()[dog + 1]], "dog" in table) == (dog, False)


def by_place(flat: Any, w: World) -> Any:
    """The place of a piece counts, too."""
    found = fresh.compared(flat, w)
    return found + v2.cast(v2.equal(v2.range(v2.size(flat)) % 15, 14), found.dtype) * 10_000


def plain_table(flat: Any, w: World) -> Any:
    return v2.cast(w.table().lookup(flat), v2.int32)


def few(flat: Any, w: World) -> Any:
    """A short list of exceptions is no vocabulary."""
    return v2.argmax(v2.cast(v2.equal(flat[:, None], v2.constant(pieces()[:500])), v2.int8), axis=1)


def test_two_pieces_of_one_number_are_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError) as refusal:
        asked(fresh.digits_shared, tmp_path / "model", cut=True)
    assert f"one number, {fresh.DOG + 1}, to" in str(refusal.value)


@pytest.mark.parametrize("less", [0, 1])
def test_a_bound_for_the_characters_of_a_piece_goes_where_none_reaches_it(less: int, tmp_path: Path) -> None:
    longest = max(map(len, pieces()))
    plain, _ = asked(plain_table, tmp_path / "model", cut=True, most=longest - less)
    bounds = [node.attr("max_chars_per_token") for _, node in Bodies(plain.graph).find(WORDPIECE)] if plain else None
    assert bounds == (None if less else [0])


@pytest.mark.parametrize(
    ("rows", "lines", "spare"),
    [(64, 63, 1), (64, 30, 34), (24, 17, 7), (24, 16, 0), (20, 19, 0), (16, 16, 0), (16, 17, 0)],
)
def test_rows_that_a_table_was_made_longer_by_have_names(rows: int, lines: int, spare: int, tmp_path: Path) -> None:
    reader = TextReader.__new__(TextReader)
    (tmp_path / "vocab.txt").write_text("".join(f"{i}\n" for i in range(lines)))
    reader.spare, reader.vocabulary = (), lambda: (tmp_path / "vocab.txt", None)
    assert reader.fill(rows) == tuple(f"[unused{i}]" for i in range(rows - spare, rows))


@pytest.mark.parametrize(("numbers", "cut"), [(by_place, True), (plain_table, True), (few, False)])
def test_what_no_table_says_is_left(numbers: Numbers, cut: bool, tmp_path: Path) -> None:
    assert asked(numbers, tmp_path / "model", cut=cut)[0] is None
