"""Build reference SavedModels of the TF2 BERT family: an encoder of ids, and its preprocessor, saved as TensorFlow 2 saves.

The variables have the names and shapes of TensorFlow Model Garden's exporter (official/nlp/tools/export_tfhub_lib.py),
which made LaBSE/2, the BERT collections and their kin. The computation is written out here, so that everything a graph may
vary is an option; tests/test_garden.py converts what the real exporter makes. Weights are drawn from a seed.

Run: python scripts/build.py bert-tf2 OUT --size mini --vocabulary vocab.txt --preprocessor PRE
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from builders.options import add_options

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Options:
    """What an encoder and its preprocessor are made of.

    Attributes:
        types: how many token types there are; 0 where none are added, and no input gives them, as with DistilBERT.
        inputs: "dict" as Model Garden exports, or "list" as LaBSE/1 takes: ids, mask, token types.
        names: "keys", outputs of the signature called as in a call of the object; "layers", as Keras calls them; "none", no
            signature at all.
        attention: "einsum" over kernels of three dimensions, or "reshape" of them and a plain product.
        layer_norm: "moments" as Keras for small epsilons, "fused" as Keras for large ones, or "plain".
        default: "pooled", the pooled output; "normalised", that divided by its L2 norm; "first" or "mean", the first token
            or the mean over tokens, as `pooled_output` is then, too.
        mlm: whether a head for masked words hangs on the object.
        lower_case: of the preprocessor, and `do_lower_case`; None leaves that variable out.
        own_vocabulary: whether `vocab_file` hangs on the object.
        trimmer: "round_robin" or "waterfall".
        embedded: the width of the embeddings, which are then projected to that of the layers; 0 where they are as wide.
        shared: whether one layer is run again and again, as ALBERT's.
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int = 512
    types: int = 2
    max_length: int = 128
    epsilon: float = 1e-12
    activation: str = "gelu_tanh"
    pooler: str = "tanh"
    inputs: str = "dict"
    names: str = "keys"
    attention: str = "einsum"
    layer_norm: str = "moments"
    default: str = "pooled"
    mlm: bool = False
    lower_case: bool | None = False
    own_vocabulary: bool = True
    trimmer: str = "round_robin"
    embedded: int = 0
    shared: bool = False
    scope: str = ""
    seed: int = 1


# The sizes of LaBSE and smaller-LaBSE are BERT-base's (Feng et al. 2022, arXiv:2007.01852); mini is ours.
SIZES = {
    "mini": Options(hidden=32, layers=3, heads=4, intermediate=64),
    "labse": Options(hidden=768, layers=12, heads=12, intermediate=3072),
}


def gelu(x: tf.Tensor, *, approximate: bool) -> tf.Tensor:
    """Return GELU as Keras writes it."""
    return tf.nn.gelu(x, approximate=approximate)


ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "gelu_tanh": lambda x: gelu(x, approximate=True),
    "gelu_erf": lambda x: gelu(x, approximate=False),
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "none": lambda x: x,
}


class Variables:
    """Makes variables, each with a value drawn from the seed and its name, and keeps them on one trackable list."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.made: list[tf.Variable] = []

    def __call__(self, name: str, shape: tuple[int, ...], scale: float, centre: float = 0.0) -> tf.Variable:
        """Return variable `name` of `shape`, float32, normal with mean `centre` and deviation `scale`."""
        rng = np.random.default_rng([self.options.seed, *name.encode()])
        value = rng.standard_normal(shape, dtype=np.float32)
        value *= np.float32(scale)
        value += np.float32(centre)
        self.made.append(tf.Variable(value, name=f"{self.options.scope}{name}"))
        return self.made[-1]

    def norm(self, name: str, width: int = 0) -> tuple[tf.Variable, tf.Variable]:
        """Return gamma and beta."""
        size = (width or self.options.hidden,)
        return self(f"{name}/gamma", size, 0.1, 1.0), self(f"{name}/beta", size, 0.1)

    def dense(self, name: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> tuple[tf.Variable, tf.Variable]:
        """Return kernel [inputs, outputs] and bias [outputs]."""
        kernel = self(f"{name}/kernel", (*inputs, *outputs), float(np.prod(inputs)) ** -0.5)
        return kernel, self(f"{name}/bias", outputs, 0.1)


def layer_norm(x: tf.Tensor, gamma: tf.Variable, beta: tf.Variable, o: Options) -> tf.Tensor:
    """Return LayerNorm over the last axis of x [batch, length, hidden]."""
    if o.layer_norm == "fused":
        shape = tf.shape(x)
        rows = tf.reshape(x, [1, shape[0] * shape[1], shape[2], 1])
        ones, zeros = tf.ones([shape[0] * shape[1]]), tf.zeros([shape[0] * shape[1]])
        normal, _, _ = tf.compat.v1.nn.fused_batch_norm(rows, ones, zeros, epsilon=o.epsilon, data_format="NCHW")
        return tf.reshape(normal, shape) * gamma + beta
    if o.layer_norm == "plain":
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
        return centred / tf.sqrt(variance + o.epsilon) * gamma + beta
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, o.epsilon)


class Layer(tf.Module):
    """One post-LayerNorm transformer layer."""

    def __init__(self, name: str, make: Variables) -> None:
        super().__init__()
        o = self.o = make.options
        heads = (o.heads, o.hidden // o.heads)
        hidden, middle = (o.hidden,), (o.intermediate,)
        self.parts = [make.dense(f"{name}/self_attention/{part}", hidden, heads) for part in ("query", "key", "value")]
        self.out = make.dense(f"{name}/self_attention/attention_output", heads, hidden)
        self.attention_norm = make.norm(f"{name}/self_attention_layer_norm")
        self.inner = make.dense(f"{name}/intermediate", hidden, middle)
        self.outer = make.dense(f"{name}/output", middle, hidden)
        self.norm = make.norm(f"{name}/output_layer_norm")

    def _heads(self, x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
        """Return x [batch, length, hidden] as [batch, length, heads, size]."""
        if self.o.attention == "einsum":
            return tf.einsum("abc,cde->abde", x, kernel) + bias
        shape = tf.shape(x)
        flat = tf.matmul(tf.reshape(x, [-1, self.o.hidden]), tf.reshape(kernel, [self.o.hidden, -1]))
        flat += tf.reshape(bias, [-1])
        return tf.reshape(flat, [shape[0], shape[1], self.o.heads, -1])

    def __call__(self, x: tf.Tensor, ignored: tf.Tensor) -> tf.Tensor:
        """Return the layer's output; `ignored` [batch, 1, 1, length] is added to the scores."""
        query, key, value = (self._heads(x, *part) for part in self.parts)
        query = query * (1.0 / np.sqrt(self.o.hidden // self.o.heads))
        if self.o.attention == "einsum":
            weights = tf.nn.softmax(tf.einsum("aecd,abcd->acbe", key, query) + ignored)
            context = tf.einsum("acbe,aecd->abcd", weights, value)
            found = tf.einsum("abcd,cde->abe", context, self.out[0]) + self.out[1]
        else:
            query, key, value = (tf.transpose(part, [0, 2, 1, 3]) for part in (query, key, value))
            weights = tf.nn.softmax(tf.matmul(query, key, transpose_b=True) + ignored)
            context = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
            rows = tf.matmul(tf.reshape(context, [-1, self.o.hidden]), tf.reshape(self.out[0], [-1, self.o.hidden]))
            found = tf.reshape(rows + self.out[1], tf.shape(x))
        x = layer_norm(x + found, *self.attention_norm, self.o)
        middle = ACTIVATIONS[self.o.activation](tf.einsum("abc,cd->abd", x, self.inner[0]) + self.inner[1])
        return layer_norm(x + tf.einsum("abc,cd->abd", middle, self.outer[0]) + self.outer[1], *self.norm, self.o)


class Encoder(tf.Module):
    """From ids, mask and token types, int32 [batch, length] each, to the outputs of Model Garden's encoders."""

    def __init__(self, pieces: int, make: Variables) -> None:
        super().__init__()
        o = self.o = make.options
        width = o.embedded or o.hidden
        self.words = make("word_embeddings/embeddings", (pieces, width), 0.05)
        self.positions = make("position_embedding/embeddings", (o.positions, width), 0.05)
        if o.types:
            self.types = make("type_embeddings/embeddings", (o.types, width), 0.05)
        self.norm = make.norm("embeddings/layer_norm", width)
        if o.embedded:
            self.projection = make.dense("embedding_projection", (width,), (o.hidden,))
        names = ["transformer"] if o.shared else [f"transformer/layer_{i}" for i in range(o.layers)]
        self.transformer = [Layer(name, make) for name in names] * (o.layers if o.shared else 1)
        self.pooler = make.dense("pooler_transform", (o.hidden,), (o.hidden,))

    def outputs(self, ids: tf.Tensor, mask: tf.Tensor, types: tf.Tensor | None = None) -> dict[str, Any]:
        """Return `default`, `pooled_output`, `sequence_output` and the list `encoder_outputs`."""
        x = tf.gather(self.words, ids)
        if types is not None:
            kinds = tf.one_hot(tf.reshape(types, [-1]), self.o.types)
            x += tf.reshape(tf.matmul(kinds, self.types), tf.shape(x))
        x += self.positions[: tf.shape(ids)[1]]
        x = layer_norm(x, *self.norm, self.o)
        if self.o.embedded:
            x = tf.einsum("abc,cd->abd", x, self.projection[0]) + self.projection[1]
        ignored = (1.0 - tf.cast(mask, tf.float32))[:, tf.newaxis, tf.newaxis, :] * -1e9
        layers = []
        for layer in self.transformer:
            x = layer(x, ignored)
            layers.append(x)
        if self.o.default == "mean":
            seen = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
            pooled = tf.reduce_sum(x * seen, 1) / tf.reduce_sum(seen, 1)
        elif self.o.default == "first":
            pooled = x[:, 0, :]
        else:
            pooled = ACTIVATIONS[self.o.pooler](tf.matmul(x[:, 0, :], self.pooler[0]) + self.pooler[1])
        default = tf.nn.l2_normalize(pooled, -1) if self.o.default == "normalised" else pooled
        return {"default": default, "pooled_output": pooled, "sequence_output": x, "encoder_outputs": layers}


class Head(tf.Module):
    """The head for masked words: it hangs on the encoder, and gives no output of it."""

    def __init__(self, pieces: int, make: Variables) -> None:
        super().__init__()
        self.transform = make.dense("cls/predictions/transform/dense", (make.options.hidden,), (make.options.hidden,))
        self.bias = make("cls/predictions/output_bias/bias", (pieces,), 0.1)


def _count(vocabulary: Path) -> int:
    with vocabulary.open("rb") as lines:
        return sum(1 for _ in lines)


def _names(o: Options) -> tuple[str, ...]:
    return ("input_word_ids", "input_mask", "input_type_ids")[: 3 if o.types else 2]


def _function(encoder: Encoder) -> Any:
    """Return the call of the root object, traced for the inputs that the options name."""
    spec = tf.TensorSpec([None, None], tf.int32)
    names = _names(encoder.o)

    def of_dict(inputs: Tensors) -> dict[str, Any]:
        return encoder.outputs(*(inputs[name] for name in names))

    def of_list(inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        found = encoder.outputs(*inputs)
        return [found["default"], found["sequence_output"]]

    if encoder.o.inputs == "list":
        return tf.function(of_list, input_signature=[[spec] * len(names)], autograph=False)
    named = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
    return tf.function(of_dict, input_signature=[named], autograph=False)


def _signature(root: Any, o: Options) -> Any:
    """Return the signature `serving_default` as its outputs are to be named."""
    names = _names(o)

    def serve(**given: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(given) if o.inputs == "dict" else [given[name] for name in names]
        found = root.__call__(inputs)
        if o.inputs == "dict" and o.names == "keys":
            return {key: found[key] for key in ("default", "pooled_output", "sequence_output")}
        flat = tf.nest.flatten(found)
        return {f"bert_encoder{f'_{i}' if i else ''}": value for i, value in enumerate(flat)}

    specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in names}
    return tf.function(serve, autograph=False).get_concrete_function(**specs)


def build_encoder(folder: Path, vocabulary: Path, options: Options) -> None:
    """Write the encoder of `options` over the pieces of `vocabulary` into the absent `folder`."""
    pieces, make = _count(vocabulary), Variables(options)
    root = tf.__internal__.tracking.AutoTrackable()
    root.encoder = Encoder(pieces, make)
    if options.mlm:
        root.mlm = Head(pieces, make)
    if options.own_vocabulary:
        root.vocab_file = tf.saved_model.Asset(str(vocabulary))
    if options.lower_case is not None:
        root.do_lower_case = tf.Variable(options.lower_case, trainable=False)
    root.variables = make.made  # tensorflow.org/hub/reusable_saved_models: what the caller may ask for
    root.__call__ = _function(root.encoder)
    # A second function keeps TensorFlow from choosing a signature by itself.
    root.pooled_size = tf.function(lambda: tf.constant(options.hidden), input_signature=[])
    signatures = None if options.names == "none" else {"serving_default": _signature(root, options)}
    tf.saved_model.save(root, str(folder), signatures=signatures)


class Preprocessor(tf.Module):
    """From texts, string [batch], to ids, mask and token types, int32 [batch, max_length] each."""

    def __init__(self, vocabulary: Path, o: Options) -> None:
        super().__init__()
        self.o = o
        self.tokenizer = tf_text.BertTokenizer(str(vocabulary), lower_case=bool(o.lower_case), token_out_type=tf.int32)
        special = ("[CLS]", "[SEP]", "[PAD]")
        lines = vocabulary.read_bytes().split(b"\n")
        self.start, self.end, self.pad = (lines.index(token.encode()) for token in special)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="sentences")], autograph=False)
    def __call__(self, sentences: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the inputs of the encoder, packed as Model Garden's BertPackInputs does."""
        length = self.o.max_length
        rows = self.tokenizer.tokenize(sentences).merge_dims(1, 2)
        trim = tf_text.RoundRobinTrimmer if self.o.trimmer == "round_robin" else tf_text.WaterfallTrimmer
        rows = trim(length - 2).trim([rows])
        packed, types = tf_text.combine_segments(rows, self.start, self.end)
        ids, mask = tf_text.pad_model_inputs(packed, length, pad_value=self.pad)
        kinds, _ = tf_text.pad_model_inputs(types, length)
        shape = [tf.shape(sentences)[0], length]
        named = {"input_word_ids": ids, "input_mask": mask, "input_type_ids": kinds}
        return {name: tf.reshape(tf.cast(named[name], tf.int32), shape) for name in _names(self.o)}


def build_preprocessor(folder: Path, vocabulary: Path, options: Options) -> None:
    """Write the preprocessor of `options` over the pieces of `vocabulary` into the absent `folder`."""
    tf.saved_model.save(Preprocessor(vocabulary, options), str(folder))


def main(words: Sequence[str]) -> None:
    """Run the command on its arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("--preprocessor", type=Path, help="build it too, here")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    add_options(parser, SIZES["mini"], of="mini")
    arguments = vars(parser.parse_args(words))
    out, size, vocabulary, preprocessor, force = (
        arguments.pop(key) for key in ("out", "size", "vocabulary", "preprocessor", "force")
    )
    options = replace(SIZES[size], **{key: value for key, value in arguments.items() if value is not None})
    for folder, build in ((out, build_encoder), (preprocessor, build_preprocessor)):
        if folder is not None:
            if force:
                shutil.rmtree(folder, ignore_errors=True)
            build(folder, vocabulary, options)
            print(f"wrote {folder}")
