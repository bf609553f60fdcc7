"""What converts can be recorded, verified and pushed, whatever its form: TensorFlow runs it, and shows its ids."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from foreign_forms import FORMS, Form, called_in_ways

import hub2hf
from hub2hf.equivalence.exposed import expose
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.tensorflow_side import BATCH, ReferenceGraph
from hub2hf.errors import GraphError
from hub2hf.hub.plan import check_folder
from hub2hf.savedmodel.model import SavedModel

LANGUAGES = ["de", "ja", "th", "ar", "traps"]
EXACT = 2e-6  # configs/tolerances.toml, automodel and sentence-transformers
OF_TEXT = [name for name in FORMS if "text" in name]


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Form]:
    """Return a function from a name of FORMS to what was built, once."""
    return cache(lambda name: FORMS[name](tmp_path_factory.mktemp("forms") / "model"))


@pytest.fixture(scope="module")
def golden(form: Callable[[str], Form], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a name of FORMS to what was recorded of it, once."""

    @cache
    def recorded(name: str) -> Path:
        made, file = form(name), tmp_path_factory.mktemp("golden") / "golden"
        hub2hf.record(made.source, file, languages=LANGUAGES, **made.beside)
        return file

    return recorded


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The TOML of a model whose card claims the languages that are compared here."""
    path = tmp_path / "model.toml"
    path.write_text(f'title = "A form"\n[card]\nlanguages = "{" ".join(LANGUAGES[:-1])}"\n')
    return path


@pytest.mark.parametrize("name", FORMS)
def test_what_converts_is_recorded_verified_and_may_be_pushed(
    name: str, form: Callable[[str], Form], golden: Callable[[str], Path], model: Path, tmp_path: Path
) -> None:
    made, out = form(name), tmp_path / "out"
    hub2hf.convert(made.source, out, model=model, **made.beside)
    replayed = hub2hf.verify(None, out, golden=golden(name), surfaces=["automodel"], add_proof=False)
    live = hub2hf.verify(made.source, out, languages=LANGUAGES, **made.beside)
    for report in (replayed, live):
        exact = [row for row in report.rows if row.surface in ("automodel", "sentence-transformers")]
        assert report.equivalent
        assert {row.language for row in exact} == set(LANGUAGES)
        assert max(row.difference for row in exact) < EXACT
        assert not any(row.other_ids for row in exact)
    assert ("ids from" in live.witness) == (name not in OF_TEXT and made.preprocessor is None)
    assert check_folder(out, "me/form", allow_unverified=False).verified


@pytest.mark.parametrize("name", OF_TEXT)
def test_ids_and_stages_are_fetched_wherever_they_are_made(
    name: str, form: Callable[[str], Form], golden: Callable[[str], Path]
) -> None:
    source = form(name).source
    found = Recording.load(golden(name))
    layers = hub2hf.inspect(source).encoder.layers.value
    assert list(found.stages) == ["embeddings", *(f"layer {i}" for i in range(layers)), "embedding"]
    assert len({value.tobytes() for value in found.stages.values()}) == layers + 2
    with ReferenceGraph(hub2hf.Source.find(source)) as graph:
        ids = graph.token_ids(["", "犬"])
        assert ids.shape == (2, graph.blueprint.text.pack.max_length)
        assert ids[0].tolist()[:3] == [101, 102, 0]


def test_an_exposed_function_computes_what_it_did(form: Callable[[str], Form]) -> None:
    source = form("TensorFlow 1, text in one function").source
    texts = ["ein Hund", "犬が好き"]
    with ReferenceGraph(hub2hf.Source.find(source)) as graph:
        session = graph._side._graph  # type: ignore[union-attr]
        assert "/" in graph.blueprint.ids, "the ids of this form are inside a function"
        before = SavedModel.open(source).signatures["default"]
        feeds = {str(before.inputs["text"].ref): [text.encode() for text in texts]}
        (plain,) = session.run({"": str(before.outputs["default"].ref)}, feeds).values()
        assert np.array_equal(plain, graph.embed(texts))


def test_batches_of_other_widths_are_joined(form: Callable[[str], Form]) -> None:
    with ReferenceGraph(hub2hf.Source.find(form("TensorFlow 1, text, cut to the longest").source)) as graph:
        ids = graph.token_ids([*["Hund"] * BATCH, "ein langer Satz mit vielen Wörtern"])
        assert ids.shape == (BATCH + 1, graph.blueprint.text.pack.max_length)
        assert np.count_nonzero(ids[0]) < np.count_nonzero(ids[-1])


def test_a_name_that_leads_nowhere_is_left_out(form: Callable[[str], Form]) -> None:
    from tensorflow.python.saved_model.loader_impl import SavedModelLoader

    model = SavedModel.open(form("tf.Module, text").source)
    graph = SavedModelLoader(str(model.folder)).get_meta_graph_def_from_tags(list(model.tags)).graph_def
    before = graph.SerializeToString(deterministic=True)
    call = next(node.name for node in graph.node if node.op == "StatefulPartitionedCall")
    assert expose(graph, ["nowhere:0", f"{call}:9", f"{call}", f"{call}:x"]) == {}
    assert graph.SerializeToString(deterministic=True) == before


def test_another_argument_of_the_call_is_not_guessed(tmp_path: Path) -> None:
    source = called_in_ways(tmp_path / "both", "normalize", (True, False)).source
    with pytest.raises(GraphError, match="normalize=True and normalize=False"):
        hub2hf.inspect(source)
    one = hub2hf.inspect(called_in_ways(tmp_path / "one", "normalize", (True,)).source)
    assert one.signature == "__call__"


def test_the_embedding_of_a_call_is_what_tensorflow_makes_of_it(form: Callable[[str], Form]) -> None:
    source, texts = form("call of text, traced in ways").source, ["ein Hund", "犬が好き"]
    itself = tf.saved_model.load(str(source))(tf.constant(texts)).numpy()
    with ReferenceGraph(hub2hf.Source.find(source)) as graph:
        assert np.array_equal(graph.embed(texts), itself)
        graph._side._called = None  # type: ignore[union-attr]
        assert np.abs(graph.embed(texts) - itself).max() < EXACT, "the session computes what the object does"
