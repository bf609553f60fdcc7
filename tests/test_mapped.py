"""An ONNX file whose weights are mapped gives what it gives when everyone opens it, and holds none of them in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from hub2hf.corpora.encoders import Means, load
from hub2hf.equivalence.sentences import language_sentences
from hub2hf.errors import SourceError
from hub2hf.onnx.export import write_onnx
from hub2hf.onnx.mapped import ElsewhereError, mapped_session, without_weights
from hub2hf.surfaces.onnxruntime import MODEL, Session, opened

RNG = np.random.default_rng(11)
PIECE = 1 << 12  # bytes of a tensor that are looked for


def as_in_the_cache(folder: Path, place: Path) -> Path:
    """Return a folder whose files are links to others of other names, as the cache of the Hub has them."""
    shutil.copytree(folder, place)
    (place.parent / "blobs").mkdir(exist_ok=True)
    for number, file in enumerate(sorted((place / "onnx").iterdir())):
        blob = place.parent / "blobs" / f"{number:064x}"
        file.rename(blob)
        file.symlink_to(blob)
    return place


def embeddings(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what a folder makes of all languages, its weights mapped and not, float32 [texts, hidden] each."""
    texts = [text for _, text in language_sentences()]
    return Session(folder, mapped_session).embed(texts).embeddings, Session(folder).embed(texts).embeddings


def test_it_gives_the_same_numbers_in_all_languages(exported: Path) -> None:
    mapped, plain = embeddings(exported)
    assert np.array_equal(mapped, plain)


def test_it_gives_them_where_files_are_links(exported: Path, tmp_path: Path) -> None:
    mapped, plain = embeddings(as_in_the_cache(exported, tmp_path / "linked"))
    assert np.array_equal(mapped, plain)


def test_no_weights_are_in_memory(exported: Path) -> None:
    model = exported / MODEL
    small, whole = without_weights(model), model.read_bytes()
    tensors = [onnx.numpy_helper.to_array(each).tobytes() for each in onnx.load(model).graph.initializer]
    large = [data for data in tensors if len(data) >= PIECE]
    assert large
    assert not any(data[:PIECE] in small for data in large)
    assert len(small) < len(whole) - sum(map(len, large)) / 2
    stated = {each.name: each for each in onnx.load_from_string(small).graph.initializer}
    for each in onnx.load(model).graph.initializer:
        place = {entry.key: entry.value for entry in stated[each.name].external_data}
        if place:
            start = int(place["offset"])
            assert whole[start : start + int(place["length"])] == each.raw_data
        else:
            assert stated[each.name] == each


@pytest.mark.parametrize("linked", [False, True], ids=["there", "linked"])
def test_weights_in_a_file_of_their_own_stay_there(exported: Path, tmp_path: Path, linked: bool) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy", ignore=shutil.ignore_patterns("onnx"))
    write_onnx(folder, limit=100_000)
    folder = as_in_the_cache(folder, tmp_path / "linked") if linked else folder
    with pytest.raises(ElsewhereError):
        without_weights(folder / MODEL)
    mapped, plain = embeddings(folder)
    assert np.array_equal(mapped, plain)


def test_files_of_other_tools_give_the_same(tmp_path: Path) -> None:
    """Numbers that are no raw data, fields in another order, texts and lists that hub2hf never writes."""
    table = RNG.normal(size=(40, 30)).astype(np.float32)
    listed = onnx.helper.make_tensor("listed", onnx.TensorProto.FLOAT, table.shape, table.reshape(-1).tolist())
    raw = onnx.numpy_helper.from_array(table[::-1].copy(), "raw")
    raw.doc_string = "a weight " * 200
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Add", ["listed", "raw"], ["sum"], doc_string="x" * 3000),
            onnx.helper.make_node("Gather", ["sum", "ids"], ["y"], axis=0),
        ],
        "other",
        [onnx.helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ["n"])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 30])],
        [listed, raw],
        doc_string="y" * 5000,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"author": "somebody else" * 200})
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    feed = {"ids": np.arange(40)[::-3].copy()}
    expected = (table + table[::-1])[feed["ids"]]
    for session in (mapped_session(path), opened(path)):
        assert np.array_equal(session.run(None, feed)[0], expected)


@pytest.mark.parametrize("damage", ["empty", "cut off", "no model", "numbers without end"])
def test_a_damaged_file_is_one_error(exported: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(exported, tmp_path / "copy")
    model = folder / MODEL
    whole = model.read_bytes()
    model.write_bytes(
        {
            "empty": b"",
            "cut off": whole[: len(whole) // 2],
            "no model": b"no model at all " * 1000,
            "numbers without end": b"\xff" * 100_000,
        }[damage]
    )
    with pytest.raises(SourceError, match=r"copy cannot be loaded by onnx: .*Check the folder"):
        load(folder, Means("onnx"))
