"""SavedModels to the facts page as other people would export them; nothing is shared with the project's own builder.

A `Recipe` names a text style (`foreign_text`), an encoder style (`foreign_encoders`), how variables are stored and what
is twisted. `build` saves it the TF1 way and returns what TensorFlow itself makes of some sentences.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import foreign_encoders
import foreign_text
import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
VOCABULARY = Path(__file__).parents[2] / "convert/models/lealla-mini/assets/vocab.txt"


@dataclass(frozen=True)
class Recipe:
    """One SavedModel.

    Attributes:
        text, encoder: the name of a style.
        attention, norm, l2, mask: details that encoder styles take up.
        twists: deliberate departures from the facts page.
        stored: dtype of the variables in the checkpoint; they are cast to float32 on reading.
        frozen: whether the weights are constants of the graph.
        trained: whether an optimizer's slots, a step counter and moving averages are in the checkpoint too.
    """

    text: str = "plain"
    encoder: str = "google"
    hidden: int = 32
    layers: int = 2
    heads: int = 4
    intermediate: int = 48
    positions: int = 96
    max_length: int = 64
    epsilon: float = 1e-12
    activation: str = "gelu_tanh"
    pooler: str = "gelu_tanh"
    scope: str = "module/bert"
    attention: str = "matmul"
    norm: str = "moments"
    l2: str = "l2_normalize"
    mask: str = "sign"
    twists: frozenset[str] = frozenset()
    stored: Any = tf.float32
    resource: bool = False
    slices: int = 1
    trained: bool = False
    averaged: bool = False
    legacy_loops: bool = False
    frozen: bool = False
    tags: tuple[str, ...] = ("serve",)
    delete: str = r"\p{Cc}|\p{Cf}"
    ids_dtype: Any = tf.int32

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads


class Store:
    """Makes variables under the names of the facts page; each is drawn from a seed of its own."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.made: dict[str, Any] = {}

    def __call__(self, name: str, shape: Sequence[int], deviation: float, mean: float = 0.0) -> Any:
        r = self.recipe
        sliced = r.slices > 1 and name.endswith("word_embeddings")
        partitioner = v1.fixed_size_partitioner(r.slices) if sliced else None
        with v1.variable_scope("", reuse=v1.AUTO_REUSE):
            variable = v1.get_variable(
                f"{r.scope}/{name}",
                shape,
                r.stored,
                v1.random_normal_initializer(mean, deviation, seed=zlib.crc32(name.encode())),
                use_resource=r.resource,
                partitioner=partitioner,
            )
        self.made[f"{r.scope}/{name}"] = variable
        value = tf.convert_to_tensor(variable) if sliced else variable
        return value if r.stored == tf.float32 else tf.cast(value, tf.float32)

    def kernel(self, name: str, inputs: int, outputs: int) -> Any:
        return self(f"{name}/kernel", [inputs, outputs], inputs**-0.5)

    def bias(self, name: str, size: int) -> Any:
        return self(f"{name}/bias", [size], 0.1)

    def norm(self, name: str, size: int) -> tuple[Any, Any]:
        return self(f"{name}/LayerNorm/gamma", [size], 0.1, 1.0), self(f"{name}/LayerNorm/beta", [size], 0.1)

    def tables(self, pieces: int) -> tuple[Any, Any, Any]:
        """Return the word, token-type and position tables; a twist uses the second token-type table."""
        r = self.recipe
        words = self("embeddings/word_embeddings", [pieces, r.hidden], 0.05)
        types = self("embeddings/token_type_embeddings", [2, r.hidden], 0.05)
        real = self("embeddings/token_type_embeddings_real", [2, r.hidden], 0.05)
        positions = self("embeddings/position_embeddings", [r.positions, r.hidden], 0.05)
        return words, real if "real_types" in r.twists else types, positions


@dataclass(frozen=True)
class Built:
    """A SavedModel, and what TensorFlow made of the sentences given to `build`."""

    folder: Path
    ids: np.ndarray
    embeddings: np.ndarray


@contextmanager
def _control_flow(legacy: bool) -> Iterator[None]:
    if legacy:
        v1.disable_control_flow_v2()
    else:
        v1.enable_control_flow_v2()
    try:
        yield
    finally:
        v1.enable_control_flow_v2()


def _embedding(r: Recipe, ids: Any, mask: Any, pieces: int, store: Store) -> Any:
    style = foreign_encoders.STYLES[r.encoder]
    if "two_towers" in r.twists:
        first = style(ids, mask, pieces, store)
        other = Store(Recipe(**{**vars(r), "scope": "second/bert"}))
        return foreign_encoders.unit(first + style(ids, mask, pieces, other), r)
    return foreign_encoders.unit(style(ids, mask, pieces, store), r)


def _train(store: Store) -> None:
    """Leave in the checkpoint what a training job leaves: slots, powers, a step, moving averages."""
    v1.train.get_or_create_global_step()
    v1.get_variable("beta1_power", [], initializer=v1.constant_initializer(0.9))
    for name, variable in store.made.items():
        for slot in ("Adam", "Adam_1", "ExponentialMovingAverage"):
            v1.get_variable(f"{name}/{slot}", variable.shape, initializer=v1.ones_initializer())


def _saver(store: Store) -> Any:
    """A Saver that keeps every variable under the name of its moving average, as `ema.variables_to_restore` does."""
    return v1.train.Saver({f"{name}/ExponentialMovingAverage": variable for name, variable in store.made.items()})


def _freeze(folder: Path, session: Any, texts: Any, output: Any) -> None:
    """Save the graph of `session` with its weights as constants, and its table filled from the asset as before."""
    fill = v1.tables_initializer()
    assets = [tensor.name for tensor in v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)]
    kept = [output.op.name, fill.name]
    frozen = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), kept)
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as other:
        tf.import_graph_def(frozen, name="")
        found = [graph.get_tensor_by_name(tensor.name) for tensor in (texts, output)]
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            other,
            ["serve"],
            {"default": v1.saved_model.predict_signature_def({"text": found[0]}, {"default": found[1]})},
            assets_collection=[graph.get_tensor_by_name(name) for name in assets],
            main_op=graph.get_operation_by_name(fill.name),
        )
        builder.save()


def build(folder: Path, recipe: Recipe, sentences: Sequence[str] = ()) -> Built:
    """Write `recipe` into the absent `folder`."""
    pieces = len(VOCABULARY.read_bytes().splitlines())
    with _control_flow(recipe.legacy_loops), tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        texts = v1.placeholder(tf.string, [None], name="raw_text")
        ids, mask = foreign_text.packed(texts, str(VOCABULARY), recipe)
        store = Store(recipe)
        output = tf.identity(_embedding(recipe, ids, mask, pieces, store), name="sentence_embedding")
        if recipe.trained:
            _train(store)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        found = session.run([ids, output], {texts: list(sentences)}) if sentences else [np.zeros(0), np.zeros(0)]
        if recipe.frozen:
            _freeze(folder, session, texts, output)
            return Built(folder, *found)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            list(recipe.tags),
            {"default": v1.saved_model.predict_signature_def({"text": texts}, {"default": output})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
            strip_default_attrs=True,
            saver=_saver(store) if recipe.averaged else None,
        )
        builder.save()
    return Built(folder, *found)
