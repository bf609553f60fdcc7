"""Encoders that are damaged or hostile give one clear error each, exit code 2, and leave nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import zoo
import zoo_encoders as z
import zoo_models
from tensorflow.core.protobuf import saved_model_pb2
from zoo_base import World, quick, v1, v2
from zoo_encoders import Encoder

Run = Callable[..., tuple[int, str, str]]
KERNEL, WORDS = "encoder/layer_1/output/dense/kernel", "embeddings/word_embeddings"


def written(folder: Path, encoder: Encoder) -> Path:
    """Write an encoder that TensorFlow is not asked to run."""
    with v1.Graph().as_default() as graph, v1.Session(graph=graph, config=quick()) as session:
        w, raw = World(), v1.placeholder(v2.string, [None], name="source_raw")
        embedding = encoder(zoo.PLAIN(raw, w), w)
        session.run(v1.tables_initializer())
        w.load(session)
        builder = v1.saved_model.Builder(str(folder))
        signature = v1.saved_model.predict_signature_def({"text": raw}, {"default": embedding})
        assets = v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS)
        start = {"assets_collection": assets, "main_op": v1.tables_initializer()}
        builder.add_meta_graph_and_variables(session, ["serve"], {"default": signature}, **start)
        builder.save()
    return folder


def with_variable(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Write a checkpoint in which one variable is another."""
    prefix = str(folder / "variables/variables")
    reader = tf.train.load_checkpoint(prefix)
    values = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}
    values["student_bert/" + name] = change(values["student_bert/" + name])
    with v1.Graph().as_default(), v1.Session() as session:
        variables = {key: v1.get_variable(key, initializer=value) for key, value in values.items()}
        session.run(v1.global_variables_initializer())
        shutil.rmtree(folder / "variables")
        (folder / "variables").mkdir()
        v1.train.Saver(variables).save(session, prefix, write_meta_graph=False, write_state=False)
    return folder


def of_number(number: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(value: np.ndarray) -> np.ndarray:
        value[-1, 3] = number
        return value

    return change


def endless(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    return v2.while_loop(lambda s: v2.constant(True), lambda s: (s * 0.5,), [z.all_layers(x, bias, w, e)])[0]


def endless_layers(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A layer after another, until a number is negative that never is."""
    z.all_layers(x, bias, w, e)  # variables are made first

    def step(i: Any, state: Any) -> Any:
        return i + 1, v2.ensure_shape(e.layer(state, bias, w, e, 0), state.shape)

    return v2.while_loop(lambda i, _: i >= 0, step, [v2.constant(0), x])[1]


def calling_itself(folder: Path) -> Path:
    """Let the function of a layer call itself for its result."""
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    functions = model.meta_graphs[0].graph_def.library.function
    function = next(f for f in functions if any("MatMul" in node.op for node in f.node_def))
    given, made = function.signature.input_arg, function.signature.output_arg
    call = function.node_def.add(name="again", op="StatefulPartitionedCall", input=[arg.name for arg in given])
    call.attr["f"].func.name = function.signature.name
    call.attr["Tin"].list.type.extend(arg.type for arg in given)
    call.attr["Tout"].list.type.extend(arg.type for arg in made)
    function.ret[made[0].name] = "again:output:0"
    file.write_bytes(model.SerializeToString())
    return folder


MALFORMED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no number": (
        lambda folder: with_variable(written(folder, Encoder()), KERNEL, of_number(np.nan)),
        f"Variable 'student_bert/{KERNEL}' holds NaN or infinity.",
    ),
    "infinity": (
        lambda folder: with_variable(written(folder, Encoder()), WORDS, of_number(-np.inf)),
        f"Variable 'student_bert/{WORDS}' holds NaN or infinity.",
    ),
    "infinity in a kernel that is stored turned": (
        lambda folder: with_variable(
            written(folder, Encoder(dense=z.dense_transposed)), KERNEL + "_t", of_number(np.inf)
        ),
        f"Variable 'student_bert/{KERNEL}_t' holds NaN or infinity.",
    ),
    "another shape": (
        lambda folder: with_variable(written(folder, Encoder()), KERNEL, lambda value: np.zeros((24, 20), np.float32)),
        f"Variable 'student_bert/{KERNEL}' is [24, 20] in the checkpoint, and [24, 16] in the graph.",
    ),
    "a loop without end": (lambda folder: written(folder, Encoder(layers=endless)), "The loop 'while' does not end."),
    "layers without end": (
        lambda folder: written(folder, Encoder(layers=endless_layers)),
        "more than 50 times|takes too long",  # whichever is seen first
    ),
    "a function that calls itself": (
        lambda folder: calling_itself(written(folder, Encoder(layers=zoo_models.called))),
        "calls itself",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_damaged_or_hostile_is_one_error(name: str, run_hub2hf: Run, tmp_path: Path) -> None:
    make, said = MALFORMED[name]
    folder = make(tmp_path / "model")
    code, _, told = run_hub2hf("convert", str(folder), str(tmp_path / "out"))
    assert (code, any(each in told for each in said.split("|")), "Traceback" in told) == (2, True, False), told
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
