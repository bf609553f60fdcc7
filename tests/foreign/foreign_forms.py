"""SavedModels of every form that is published, each small: what differs is how TensorFlow has to be asked to run it.

Modules of TensorFlow 1 that take ids, with a second MetaGraph for training; Keras models and `tf.Module`s of text whose ids
are made deep inside traced functions; a graph of TensorFlow 1 that calls one function for everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import foreign_encoders
import foreign_text
import foreign_tf2
import tensorflow as tf
import tensorflow_text as tf_text
import tf_keras as keras
from builders import bert_tf2
from foreign_recipes import VOCABULARY, Recipe, Store, build

v1 = tf.compat.v1
PIECES = len(VOCABULARY.read_bytes().splitlines())
SMALL = bert_tf2.Options(hidden=32, layers=2, heads=4, intermediate=48, max_length=64)


@dataclass(frozen=True)
class Form:
    """A SavedModel, and what must be given beside it."""

    source: Path
    preprocessor: Path | None = None
    vocab: Path | None = None

    @property
    def beside(self) -> dict[str, Path]:
        """The keywords of the verbs."""
        return {n: path for n, path in (("preprocessor", self.preprocessor), ("vocab", self.vocab)) if path is not None}


def _bert(ids: Any, mask: Any, types: Any, store: Store) -> tuple[Any, Any]:
    """Return the pooled and the sequence output, in the words of google-research/bert."""
    r = store.recipe
    batch, length = tf.shape(ids)[0], tf.shape(ids)[1]
    words, kinds, positions = store.tables(PIECES)
    x = tf.nn.embedding_lookup(words, ids) + tf.gather(positions, tf.range(length))
    x += tf.reshape(tf.matmul(tf.one_hot(tf.reshape(types, [-1]), 2), kinds), [batch, length, r.hidden])
    x = tf.reshape(foreign_encoders.norm(x, store, "embeddings", r.epsilon), [-1, r.hidden])
    bias = foreign_encoders._additive(batch, length, mask, r)
    for i in range(r.layers):
        x = foreign_encoders._google_layer(x, bias, (batch, length), store, i)
    x = tf.reshape(x, [batch, length, r.hidden])
    return foreign_encoders._pooled(x, mask, store), x


def _module_of_ids(variables: Store) -> dict[str, Any]:
    """Return the signatures of a BERT module of 2018, which are several."""
    names = ("input_ids", "input_mask", "segment_ids")
    ids, mask, types = (v1.placeholder(tf.int32, [None, None], name=name) for name in names)
    pooled, sequence = _bert(ids, mask, types, variables)
    at = v1.placeholder(tf.int32, [None, None], name="mlm_positions")
    logits = tf.gather(sequence, at, batch_dims=1)
    lower = tf.constant(False, name="do_lower_case")
    sign = v1.saved_model.predict_signature_def
    given, found = (
        dict(zip(names, (ids, mask, types), strict=True)),
        {"pooled_output": pooled, "sequence_output": sequence},
    )
    return {
        "tokens": sign(given, found),
        "mlm": sign({**given, "mlm_positions": at}, {**found, "mlm_logits": logits}),
        "tokenization_info": v1.saved_model.build_signature_def(
            {}, {"do_lower_case": v1.saved_model.build_tensor_info(lower)}
        ),
    }


def module_of_ids(folder: Path, *metagraphs: tuple[str, ...]) -> Form:
    """Write a BERT module of TensorFlow 1 with a MetaGraph of each set of tags."""
    recipe = Recipe(activation="gelu_erf", pooler="tanh", positions=128)
    builder = v1.saved_model.Builder(str(folder))
    for number, tags in enumerate(metagraphs):
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            signatures = _module_of_ids(Store(recipe))
            session.run(v1.global_variables_initializer())
            if number:
                builder.add_meta_graph(list(tags), signatures)
            else:
                builder.add_meta_graph_and_variables(session, list(tags), signatures)
    builder.save()
    return Form(folder, vocab=VOCABULARY)


class _Texts(keras.layers.Layer):  # type: ignore[misc]
    """TF.Text inside of a Keras layer: from texts to the inputs of an encoder."""

    def __init__(self) -> None:
        super().__init__(name="preprocessing")
        self.tokenizer = tf_text.BertTokenizer(str(VOCABULARY), lower_case=False, token_out_type=tf.int32)

    def call(self, texts: Any) -> dict[str, Any]:
        rows = self.tokenizer.tokenize(texts).merge_dims(1, 2)[:, : SMALL.max_length - 2]
        packed, _ = tf_text.combine_segments([rows], 101, 102)
        ids, mask = tf_text.pad_model_inputs(packed, SMALL.max_length)
        ids, mask = (tf.ensure_shape(tf.cast(value, tf.int32), [None, SMALL.max_length]) for value in (ids, mask))
        return dict(zip(foreign_tf2.IDS, (ids, mask, tf.zeros_like(ids)), strict=True))


def keras_of_text(folder: Path) -> Form:
    """Write a functional Keras 2 model whose input is text."""
    texts = keras.Input([], dtype=tf.string, name="text")
    encoder = foreign_tf2.keras_model(foreign_tf2.Recipe(outputs="one", inputs="dict"), PIECES)
    model = keras.Model(texts, encoder(_Texts()(texts)))
    foreign_tf2.draw(model)
    model.save(str(folder), include_optimizer=False, save_format="tf")
    return Form(folder)


class _Whole(tf.Module):  # type: ignore[misc]
    """A module that is called with texts, each of its parts a traced function; its ids may be cut to the longest text's."""

    def __init__(self, *, cut: bool = False) -> None:
        super().__init__()
        self.cut = cut
        self.texts = bert_tf2.Preprocessor(VOCABULARY, SMALL)
        self.encoder = bert_tf2.Encoder(PIECES, bert_tf2.Variables(SMALL))
        self.encode = tf.function(self.encoder.outputs, autograph=False)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")], autograph=False)
    def __call__(self, texts: Any) -> dict[str, Any]:
        packed = self.texts(texts)
        longest = tf.reduce_max(tf.reduce_sum(packed["input_mask"], 1)) if self.cut else None
        return {"default": self.encode(*(packed[name][:, :longest] for name in foreign_tf2.IDS))["default"]}


def module_of_text(folder: Path) -> Form:
    """Write a tf.Module from text to an embedding, with its signature."""
    module = _Whole()
    tf.saved_model.save(module, str(folder), signatures={"default": module.__call__})
    return Form(folder)


def module_that_is_called(folder: Path) -> Form:
    """Write a tf.Module without signatures: only calling it embeds texts, with ids as many as the longest has."""
    tf.saved_model.save(_Whole(cut=True), str(folder), signatures={})
    return Form(folder)


class _Many(tf.Module):  # type: ignore[misc]
    """A module whose call takes a text, texts or a column of them, and another argument."""

    def __init__(self, argument: str, values: tuple[Any, ...]) -> None:
        super().__init__()
        self.whole, self.embed = _Whole(), tf.function(self._embed, autograph=False)
        self.__call__ = {"training": self._train, "normalize": self._normalize}[argument]
        for value in values:
            for shape in ([], [None, 1], [None]):
                self.__call__.get_concrete_function(tf.TensorSpec(shape, tf.string), **{argument: value})

    def _embed(self, texts: Any) -> Any:
        return self.whole(tf.reshape(texts, [-1]))["default"]

    @tf.function(autograph=False)
    def _train(self, texts: Any, training: bool = False) -> Any:
        return self.embed(texts) * (2.0 if training else 1.0)

    @tf.function(autograph=False)
    def _normalize(self, texts: Any, *, normalize: bool = True) -> Any:
        return self.embed(texts) * (1.0 if normalize else 2.0)


def called_in_ways(folder: Path, argument: str = "training", values: tuple[Any, ...] = (True, False)) -> Form:
    """Write a tf.Module without signatures, whose call was traced for several shapes and values of an argument."""
    tf.saved_model.save(_Many(argument, values), str(folder), signatures={})
    return Form(folder)


def preprocessor_that_is_called(folder: Path) -> Form:
    """Write an encoder and a preprocessor, both without signatures."""
    form = encoder_and_preprocessor(folder, names="none")
    tf.saved_model.save(bert_tf2.Preprocessor(VOCABULARY, SMALL), str(folder / "called"), signatures={})
    return Form(form.source, preprocessor=folder / "called")


def one_call(folder: Path) -> Form:
    """Write a graph of TensorFlow 1 whose main graph is a call of one function, which calls another twice on the ids."""
    recipe = Recipe(text="batched", encoder="modern", resource=True, layers=1)
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        texts = v1.placeholder(tf.string, [None], name="texts")
        lines = tf.lookup.TextFileInitializer(str(VOCABULARY), *foreign_text.LINES)
        table, store = tf.lookup.StaticHashTable(lines, 100), Store(recipe)
        v1.get_variable_scope().set_use_resource(True)
        foreign_encoders.modern(tf.zeros([0, recipe.max_length], tf.int32), None, PIECES, store)  # makes the variables
        same = tf.function(
            lambda ids: ids + 0, autograph=False
        )  # one body, which the last of two calls gives the ids of

        @tf.function(autograph=False)
        def encode(given: Any) -> Any:
            ids = same(same(foreign_text.batched(given, table, recipe)))
            return foreign_encoders.unit(foreign_encoders.modern(ids, None, PIECES, store), recipe)

        output = tf.identity(encode(texts), name="sentence_embedding")
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            [],
            {"default": v1.saved_model.predict_signature_def({"text": texts}, {"default": output})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()
    return Form(folder)


def encoder_and_preprocessor(folder: Path, **changes: Any) -> Form:
    """Write what Model Garden exports: an encoder of ids, and its preprocessor."""
    options = bert_tf2.Options(**{**vars(SMALL), **changes})
    bert_tf2.build_encoder(folder / "encoder", VOCABULARY, options)
    bert_tf2.build_preprocessor(folder / "preprocessor", VOCABULARY, options)
    return Form(folder / "encoder", preprocessor=folder / "preprocessor")


def _built(folder: Path, recipe: Recipe) -> Form:
    return Form(build(folder, recipe).folder)


FORMS: dict[str, Callable[[Path], Form]] = {
    "TensorFlow 1, text": lambda folder: _built(folder, Recipe(tags=())),
    "TensorFlow 1, text, its old loops": lambda folder: _built(folder, Recipe(legacy_loops=True)),
    "TensorFlow 1, text in one function": one_call,
    "TensorFlow 1, text, cut to the longest": lambda folder: _built(folder, Recipe(encoder="longest", layers=1)),
    "TensorFlow 1, text, frozen": lambda folder: _built(folder, Recipe(frozen=True, layers=1)),
    "TensorFlow 1, ids, no tags": lambda folder: module_of_ids(folder, ()),
    "TensorFlow 1, ids, two MetaGraphs": lambda folder: module_of_ids(folder, (), ("train",)),
    "TensorFlow 1, ids, served and trained": lambda folder: module_of_ids(folder, ("train",), ("serve",)),
    "Keras, text": keras_of_text,
    "tf.Module, text": module_of_text,
    "call of text": module_that_is_called,
    "call of text, traced in ways": called_in_ways,
    "call of ids, call of a preprocessor": preprocessor_that_is_called,
    "signature of ids, preprocessor": encoder_and_preprocessor,
    "call of ids, preprocessor": lambda folder: encoder_and_preprocessor(folder, names="none"),
    "Keras, ids": lambda folder: Form(foreign_tf2.save_keras(folder, foreign_tf2.Recipe(layers=1), VOCABULARY)),
}
