"""What the zoo's implementations stand on: the vocabulary, the tables, the weights, in a graph or eagerly.

The zoo is written from the facts page alone, by a mind that has not seen the reader. It runs in TensorFlow 1.15, 2.10 and
2.21 (Python 3.7, 3.8 and 3.11), so it keeps to what these share: `v2` is the API of TensorFlow 2, `v1` that of 1.15.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import lookup_ops

v1 = tf.compat.v1
v2 = tf.compat.v2

VOCABULARY = Path(__file__).resolve().parents[2] / "convert/models/lealla-mini/assets/vocab.txt"
LENGTH = 128  # ids of a text
ROOM = LENGTH - 2  # pieces of a text
PAD, UNK, CLS, SEP = 0, 100, 101, 102
HAN = 17  # the number of ICU's USCRIPT_HAN
ENCODING = "UTF-8"


def pieces() -> list[str]:
    """Return the vocabulary, in order."""
    return VOCABULARY.read_text(encoding="utf-8").splitlines()


class World:
    """One model under construction: its tables by kind, its variables by name.

    Args:
        eager: whether variables are made outside a `tf.function` that is being traced; otherwise in a TF1 graph.
        resource: whether the variables of a TF1 graph are resources.
        frozen: whether weights are constants of the graph.
        scope: the prefix of variable names.
        anonymous: whether variables bear numbers for names.
    """

    def __init__(
        self,
        eager: bool = False,
        resource: bool = False,
        frozen: bool = False,
        scope: str = "student_bert/",
        anonymous: bool = False,
    ) -> None:
        self.eager, self.resource, self.frozen, self.scope, self.anonymous = eager, resource, frozen, scope, anonymous
        self.variables: dict[str, Any] = {}
        self.values: dict[str, np.ndarray] = {}
        self.tables: dict[str, Any] = {}

    def table(self, kind: str = "file") -> Any:
        """Return the vocabulary's table, made in one of the ways of the years."""
        if kind not in self.tables:
            if self.eager:
                with tf.init_scope():
                    self.tables[kind] = TABLES[kind]()
            else:
                self.tables[kind] = TABLES[kind]()
        return self.tables[kind]

    def weight(self, name: str, value: np.ndarray) -> Any:
        """Return a float32 variable (or constant) of this name and value."""
        value = value.astype(np.float32)
        if self.frozen:
            return v2.constant(value, name=self.scope + name)
        if name not in self.variables:
            self.values[name] = value
            label = f"Variable_{len(self.variables)}" if self.anonymous else self.scope + name
            if self.eager:
                with tf.init_scope():
                    self.variables[name] = v2.Variable(value, name=label)
            else:
                zeros = v1.zeros_initializer()
                self.variables[name] = v1.get_variable(
                    label, value.shape, initializer=zeros, use_resource=self.resource
                )
        return self.variables[name]

    def load(self, session: Any) -> None:
        """Give the variables of a TF1 graph their values, without these entering the graph."""
        initializers = {name: variable.initializer for name, variable in self.variables.items()}
        feed = {initializer.inputs[1]: self.values[name] for name, initializer in initializers.items()}
        session.run(list(initializers.values()), feed)


def quick() -> Any:
    """Return the configuration of a session that runs graphs as they are: optimizing takes longer than running."""
    config = v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def drawn(name: str, *shape: int) -> np.ndarray:
    """Return the weights of this name: the same in every implementation, however it stores them."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("gamma"):
        return (1 + 0.1 * random.randn(*shape)).astype(np.float32)
    deviation = shape[0] ** -0.5 if name.endswith("kernel") else 0.1 if name.endswith(("beta", "bias")) else 0.5
    return (deviation * random.randn(*shape)).astype(np.float32)


def _of_file() -> Any:
    return v2.lookup.TextFileInitializer(
        str(VOCABULARY),
        v2.string,
        v2.lookup.TextFileIndex.WHOLE_LINE,
        v2.int64,
        v2.lookup.TextFileIndex.LINE_NUMBER,
    )


def _of_constants() -> Any:
    return v2.lookup.KeyValueTensorInitializer(v2.constant(pieces()), v2.constant(np.arange(len(pieces())), v2.int64))


def _inserted(table: Any) -> Any:
    """Fill a mutable table, whose contents are then saved in the checkpoint, at once."""
    table.insert(v2.constant(pieces()), v2.constant(np.arange(len(pieces())), v2.int64))
    return table


TABLES = {
    "mutable": lambda: _inserted(v2.lookup.experimental.MutableHashTable(v2.string, v2.int64, UNK)),
    "dense": lambda: _inserted(v2.lookup.experimental.DenseHashTable(v2.string, v2.int64, UNK, "", "\0")),
    "file": lambda: v2.lookup.StaticHashTable(_of_file(), -1),
    "file-unk": lambda: v2.lookup.StaticHashTable(_of_file(), UNK),
    "constants": lambda: v2.lookup.StaticHashTable(_of_constants(), UNK),
    "buckets": lambda: v2.lookup.StaticVocabularyTable(_of_file(), 1),
    "buckets-of-constants": lambda: v2.lookup.StaticVocabularyTable(_of_constants(), 3),
    "v1": lambda: v1.lookup.StaticHashTable(_of_file(), -1),
    "index-from-file": lambda: lookup_ops.index_table_from_file(str(VOCABULARY), default_value=UNK),
    "index-from-file-sized": lambda: lookup_ops.index_table_from_file(
        str(VOCABULARY), num_oov_buckets=1, vocab_size=len(pieces())
    ),
    "index-from-tensor": lambda: lookup_ops.index_table_from_tensor(v2.constant(pieces()), default_value=UNK),
}
