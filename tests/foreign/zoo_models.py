"""The zoo: a name for each SavedModel, what it is made of, and how to write it with what TensorFlow makes of the texts.

`RIGHT` compute the facts page, so that they must convert exactly; `WRONG` compute something else, so that they must be exact
for that or be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import zoo_encoders as z
from zoo_base import World, quick, v1, v2
from zoo_encoders import Encoder
from zoo_witness import Witness

FORMAT_OF_HUB_MODULES = b"\x08\x03"  # tfhub_module.pb: format 3


@dataclass(frozen=True)
class Model:
    """One SavedModel.

    Attributes:
        text, encoder: what it computes.
        form: who writes it: "v1" (the builder of SavedModels), "simple" (simple_save), "v2" (tf.saved_model.save), "column"
            (the same of a column), "hub" (the module exporter of tensorflow_hub 0.12, which has no successor), "hub-like"
            (the same files by the builder).
        legacy: whether loops and conditions are those of TensorFlow 1.
        world: arguments of World.
        signature, key, output: names of the signature, its input and its output.
        extra: further outputs of the signature, by name, of (ids, embedding).
        drop: whether dropout stands in the graph, under a placeholder with a default.
    """

    text: Callable[..., Any]
    encoder: Encoder
    form: str = "v1"
    legacy: bool = False
    world: dict[str, Any] = field(default_factory=dict)
    signature: str = "default"
    key: str = "text"
    output: str = "default"
    extra: Callable[..., dict[str, Any]] = lambda ids, embedding: {}
    drop: bool = False


def _witness(run: Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]], texts: Sequence[str]) -> Witness:
    order = np.arange(min(len(texts), 84))[::-1]
    batches = [order[i : i + 7] for i in range(0, 70, 7)] + [order[i : i + 1] for i in range(70, len(order))]
    batches = [
        np.r_[batch, batch[:1]] if len(batch) > 1 else batch for batch in batches if len(batch)
    ]  # one text twice
    again = [run([texts[i] for i in batch]) for batch in batches]
    ids, embeddings = run(texts)
    return Witness(ids, embeddings, np.concatenate(batches), *[np.concatenate(part) for part in zip(*again)])


def _dropout(x: Any, w: World) -> Any:
    """Dropout at the rate of a placeholder whose default says that nothing is trained."""
    training = w.tables.setdefault("training", None)
    if training is None:
        training = w.tables["training"] = v1.placeholder_with_default(False, [], name="is_training")
    return v1.cond(training, lambda: v1.nn.dropout(x, rate=0.1), lambda: v2.identity(x))


def _graph(model: Model, texts: Any, w: World) -> tuple[Any, Any]:
    encoder = replace(model.encoder, drop=_dropout) if model.drop else model.encoder
    ids = model.text(texts, w)
    return ids, v2.identity(encoder(ids, w), name="sentence_embedding")


def _write_v1(folder: Path, model: Model, texts: Sequence[str]) -> Witness:
    (v1.disable_control_flow_v2 if model.legacy else v1.enable_control_flow_v2)()
    try:
        with v1.Graph().as_default() as graph, v1.Session(graph=graph, config=quick()) as session:
            w = World(**model.world)
            raw = v1.placeholder(v2.string, [None], name="source_raw")
            ids, embedding = _graph(model, raw, w)
            session.run(v1.tables_initializer())
            w.load(session)
            found = _witness(lambda some: session.run([ids, embedding], {raw: list(some)}), texts)
            outputs = {model.output: embedding, **model.extra(ids, embedding)}
            if model.form == "simple":
                v1.saved_model.simple_save(
                    session, str(folder), {model.key: raw}, outputs, legacy_init_op=v1.tables_initializer()
                )
                return found
            builder = v1.saved_model.Builder(str(folder))
            signature = v1.saved_model.predict_signature_def({model.key: raw}, outputs)
            builder.add_meta_graph_and_variables(
                session,
                [] if model.form == "hub-like" else ["serve"],
                {model.signature: signature},
                assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                main_op=v1.tables_initializer(),
                strip_default_attrs=model.form == "hub-like",
            )
            builder.save()
            if model.form == "hub-like":
                (folder / "tfhub_module.pb").write_bytes(FORMAT_OF_HUB_MODULES)
            return found
    finally:
        v1.enable_control_flow_v2()


def _write_hub(folder: Path, model: Model, texts: Sequence[str]) -> Witness:
    """Export with tensorflow_hub's module exporter."""
    import tensorflow_hub as hub

    worlds = []

    def module() -> None:
        w = World(**model.world)
        worlds.append(w)
        raw = v1.placeholder(v2.string, [None], name="source_raw")
        ids, embedding = _graph(model, raw, w)
        hub.add_signature("default", {model.key: raw}, {model.output: embedding, **model.extra(ids, embedding)})
        hub.add_signature("ids", {model.key: raw}, ids)

    with v1.Graph().as_default(), v1.Session(config=quick()) as session:
        made = hub.Module(hub.create_module_spec(module))
        session.run(v1.tables_initializer())
        initializers = {n: made.variable_map[worlds[0].scope + n].initializer for n in worlds[0].values}
        session.run(list(initializers.values()), {i.inputs[1]: worlds[0].values[n] for n, i in initializers.items()})
        raw = v1.placeholder(v2.string, [None])
        wanted = [made(raw, signature="ids"), made(raw, as_dict=True)[model.output]]
        found = _witness(lambda some: session.run(wanted, {raw: list(some)}), texts)
        made.export(str(folder), session)
    return found


class _Exported(tf.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.world = model, World(eager=True, **model.world)
        self.made: list[Any] = []

    @v2.function(input_signature=[v2.TensorSpec([None], v2.string)])
    def both(self, texts: Any) -> Any:
        return _graph(self.model, texts, self.world)

    @v2.function(input_signature=[v2.TensorSpec([None], v2.string)])
    def __call__(self, texts: Any) -> Any:
        return {self.model.output: _graph(self.model, texts, self.world)[1]}


class _Column(_Exported):
    """Takes a column, as the models of Keras do."""

    @v2.function(input_signature=[v2.TensorSpec([None, 1], v2.string)])
    def __call__(self, texts: Any) -> Any:
        return {self.model.output: _graph(self.model, v2.squeeze(texts, 1), self.world)[1]}


def _write_v2(folder: Path, model: Model, texts: Sequence[str]) -> Witness:
    module = (_Column if model.form == "column" else _Exported)(model)
    found = _witness(lambda some: [x.numpy() for x in module.both(v2.constant(list(some), v2.string))], texts)
    module.made = [*module.world.variables.values(), *module.world.tables.values()]
    signatures = {"serving_default": module.__call__}
    v2.saved_model.save(module, str(folder), signatures=signatures)
    return found


def write(folder: Path, model: Model, texts: Sequence[str]) -> Witness:
    """Write `model` into the absent `folder`; return what TensorFlow makes of `texts`."""
    writers = {"v2": _write_v2, "column": _write_v2, "hub": _write_hub}
    return writers.get(model.form, _write_v1)(folder, model, texts)


def longest(ids: Any) -> Any:
    """Cut a batch to its longest text."""
    return ids[:, : v2.reduce_max(v2.math.count_nonzero(ids, axis=1, dtype=v2.int32))]


def query_of_first(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """In the last layer, only the first token asks."""
    if i < z.LAYERS - 1:
        return z.layer(x, bias, w, e, i)

    def attention(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
        def heads(y: Any, part: str) -> Any:
            y = e.dense(y, w, name + "/self/" + part, z.HIDDEN, z.HIDDEN)
            return v2.transpose(v2.reshape(y, [v2.shape(y)[0], -1, z.HEADS, z.SIZE]), [0, 2, 1, 3])

        scores = v2.matmul(heads(x[:, :1], "query"), heads(x, "key"), transpose_b=True) * np.float32(z.SIZE**-0.5)
        found = v2.matmul(v2.nn.softmax(scores + bias), heads(x, "value"))
        return v2.reshape(v2.transpose(found, [0, 2, 1, 3]), [-1, 1, z.HIDDEN])

    name = f"encoder/layer_{i}"
    found = e.dense(
        attention(x, bias, w, e, name + "/attention"), w, name + "/attention/output/dense", z.HIDDEN, z.HIDDEN
    )
    x = e.norm(x[:, :1] + found, w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", z.HIDDEN, z.INTERMEDIATE))
    return e.norm(x + e.dense(middle, w, name + "/output/dense", z.INTERMEDIATE, z.HIDDEN), w, name + "/output")


def called(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Each layer is a function that is called."""
    for i in range(z.LAYERS):
        x = v2.function(lambda x, bias, i=i: e.layer(x, bias, w, e, i))(x, bias)
    return x


google_encoder = Encoder(mask=z.mask_sign)
resource = {"resource": True}
