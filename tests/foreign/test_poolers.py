"""What becomes of the tokens: a pooler is told by what it computes, however it is written; what is near one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from other_kinds import HIDDEN, Encoder, save
from references import VOCABULARY
from sentence_transformers import SentenceTransformer
from transformers import AutoModel

import hub2hf
from hub2hf.architectures.poolers import POOLERS
from hub2hf.errors import Hub2HFError

# Pooler → ways of writing it, from states [batch, length, hidden] and mask [batch, length], float.
WAYS: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "first": {"sliced": lambda x, mask: x[:, 0], "gathered": lambda x, mask: tf.gather(x, 0, axis=1)},
    "mean": {
        "sum of products": lambda x, mask: tf.reduce_sum(x * mask[..., None], 1) / tf.reduce_sum(mask, 1)[:, None],
        "Keras": lambda x, mask: tf.keras.layers.GlobalAveragePooling1D()(x, mask=tf.cast(mask, tf.bool)),
        "without NaN": lambda x, mask: tf.math.divide_no_nan(
            tf.einsum("bl,blh->bh", mask, x), tf.reduce_sum(mask, 1, keepdims=True)
        ),
        "a product": lambda x, mask: (
            tf.squeeze(tf.matmul(mask[:, None], x), 1) / tf.maximum(tf.reduce_sum(mask, 1, keepdims=True), 1e-9)
        ),
    },
    "max": {
        "added": lambda x, mask: tf.reduce_max(x + (1 - mask[..., None]) * -1e9, 1),
        "where": lambda x, mask: tf.reduce_max(tf.where(mask[..., None] > 0, x, -np.inf), 1),
    },
    "mean_sqrt": {
        "sum of products": lambda x, mask: (
            tf.reduce_sum(x * mask[..., None], 1) / tf.sqrt(tf.reduce_sum(mask, 1, keepdims=True))
        ),
        "root": lambda x, mask: tf.reduce_sum(x * mask[..., None], 1) * tf.math.rsqrt(tf.reduce_sum(mask, 1)[:, None]),
    },
}
# Close to a pooler, and not it → what the refusal calls it.
NEAR: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "padding too": (lambda x, mask: tf.reduce_mean(x, 1), "the mean over all tokens"),
    "without [CLS]": (
        lambda x, mask: tf.reduce_sum((x * mask[..., None])[:, 1:], 1) / tf.reduce_sum(mask[:, 1:] + 1e-9, 1)[:, None],
        "none of the poolers that are known",
    ),
    "without the last": (
        lambda x, mask: tf.reduce_sum(x * mask[..., None], 1) / (tf.reduce_sum(mask, 1)[:, None] + 1.0),
        "none of the poolers that are known",
    ),
    "last": (lambda x, mask: x[:, -1], "the last token"),
    "last that counts": (
        lambda x, mask: tf.gather(x, tf.cast(tf.reduce_sum(mask, 1), tf.int32) - 1, batch_dims=1),
        "the last token that is no padding",
    ),
    "weighted": (
        lambda x, mask: (
            tf.reduce_sum(x * (weights := mask * tf.cumsum(mask, 1))[..., None], 1) / tf.reduce_sum(weights, 1)[:, None]
        ),
        "none of the poolers that are known",
    ),
    "largest with padding": (lambda x, mask: tf.reduce_max(x, 1), "the largest over all tokens"),
    "largest or zero": (lambda x, mask: tf.reduce_max(x * mask[..., None], 1), "none of the poolers that are known"),
    "clipped": (lambda x, mask: tf.clip_by_value(x[:, 0], -5.0, 5.0), "large states"),
}
TOLERANCE = 2e-6


class WithHead(Encoder):
    """An encoder with a head of one's own: a pooling, dense layers, perhaps unit length.

    Args:
        pooling: of states and mask.
        dense: (numbers, whether with a bias) of each dense layer; tanh follows each.
        unit: whether unit length follows.
    """

    def __init__(self, pooling: Any, dense: tuple[tuple[int, bool], ...] = (), *, unit: bool = False) -> None:
        super().__init__("no_pooler")
        self.pooling, self.layers, self.unit = pooling, dense, unit

    def pooled(self, x: Any, mask: Any) -> Any:
        found = tf.ensure_shape(self.pooling(x, mask), [None, HIDDEN])
        for i, (size, bias) in enumerate(self.layers):
            name = f"head_{i}"
            kernel = self.var(f"{name}/kernel", int(found.shape[-1]), size)
            found = tf.tanh(tf.matmul(found, kernel) + (self.var(f"{name}/bias", size) if bias else 0.0))
        return tf.nn.l2_normalize(found, -1) if self.unit else found


def apart(module: Any, out: Path) -> list[float]:
    """Return how far a folder is from its module, by `AutoModel` and by sentence-transformers, over several lengths."""
    source = np.random.default_rng(3)
    ids, mask = source.integers(1, 500, (4, 9)), np.arange(9) < np.asarray([[9], [5], [2], [1]])
    given = [ids * mask, mask.astype(np.int32), np.zeros_like(ids)]
    expected = module(*(tf.constant(part, tf.int32) for part in given))["default"].numpy()
    model = AutoModel.from_pretrained(out, trust_remote_code=True).eval()
    inputs = [torch.from_numpy(part.astype(np.int64)) for part in given]
    modules = SentenceTransformer(str(out), device="cpu")
    with torch.no_grad():
        found = [
            model(*inputs).pooler_output,
            modules(dict(zip(("input_ids", "attention_mask", "token_type_ids"), inputs, strict=True)))[
                "sentence_embedding"
            ],
        ]
    return [float(np.abs(each.numpy() - expected).max()) for each in found]


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("dense", [(), ((HIDDEN, True),), ((24, False), (8, True))], ids=len)
@pytest.mark.parametrize("pooler", POOLERS)
def test_every_head_is_read(pooler: str, dense: tuple[tuple[int, bool], ...], unit: bool, tmp_path: Path) -> None:
    pooling = next(iter(WAYS[pooler].values()))
    module, out = WithHead(pooling, dense, unit=unit), tmp_path / "out"
    encoder = hub2hf.convert(save(tmp_path / "model", module), out, vocab=VOCABULARY).blueprint.encoder
    told = [(layer.outputs, layer.bias, layer.activation) for layer in encoder.dense]
    # Without dense layers unit length hides the number of tokens: the mean is the first that is exact.
    same = "mean" if pooler == "mean_sqrt" and unit and not dense else pooler
    assert (encoder.pooler.value, encoder.normalised.value) == (same, unit)
    assert told == [(size, bias, "tanh") for size, bias in dense]
    assert encoder.embedding_size == (dense[-1][0] if dense else HIDDEN)
    assert max(apart(module, out)) <= TOLERANCE
    modes = json.loads((out / "1_Pooling" / "config.json").read_text())
    assert [name for name, on in modes.items() if name.startswith("pooling_mode") and on] == [
        f"pooling_mode_{POOLERS[same].sentence_transformers}"
    ]


@pytest.mark.parametrize(("pooler", "way"), [(pooler, way) for pooler, ways in WAYS.items() for way in [*ways][1:]])
def test_however_it_is_written(pooler: str, way: str, tmp_path: Path) -> None:
    encoder = hub2hf.inspect(save(tmp_path / "model", WithHead(WAYS[pooler][way])), vocab=VOCABULARY).encoder
    assert (encoder.pooler.value, encoder.dense, encoder.normalised.value) == (pooler, (), False)


@pytest.mark.parametrize("name", NEAR)
def test_what_is_near_is_refused_by_name(name: str, tmp_path: Path) -> None:
    pooling, said = NEAR[name]
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.inspect(save(tmp_path / "model", WithHead(pooling)), vocab=VOCABULARY)
    assert said in str(refusal.value)
