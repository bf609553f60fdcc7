"""Encoders a step away from the facts page: each computes another function, which must be exact for itself or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import zoo_encoders as z
from zoo_base import LENGTH, SEP, World, drawn, pieces, v2
from zoo_encoders import HIDDEN, INTERMEDIATE, LAYERS, SIZE, Encoder
from zoo_newcomers import _heads, _joined, kept

PLAIN = Encoder()


def norm_large_floor(x: Any, w: World, name: str) -> Any:
    """A variance is at least 0.5."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * v2.math.rsqrt(v2.maximum(variance, 0.5)) * gamma + beta


def norm_of_length_floor(x: Any, w: World, name: str) -> Any:
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return v2.math.l2_normalize(centred, -1, epsilon=8.0) * HIDDEN**0.5 * gamma + beta


def norm_uncentred(x: Any, w: World, name: str) -> Any:
    """RMSNorm, with a beta."""
    gamma, beta = z._scales(w, name)
    return x * v2.math.rsqrt(v2.reduce_mean(x * x, -1, keepdims=True) + 1e-12) * gamma + beta


def norm_epsilon_of_layers(x: Any, w: World, name: str) -> Any:
    """The last LayerNorm has another epsilon than all others."""
    gamma, beta = z._scales(w, name)
    mean, variance = v2.nn.moments(x, [-1], keepdims=True)
    last = name == f"encoder/layer_{LAYERS - 1}/output"
    return v2.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5 if last else 1e-6)


def norm_epsilon(epsilon: float) -> Any:
    def norm(x: Any, w: World, name: str) -> Any:
        gamma, beta = z._scales(w, name)
        mean, variance = v2.nn.moments(x, [-1], keepdims=True)
        return v2.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    return norm


def norm_power(x: Any, w: World, name: str) -> Any:
    """A root that is none: the power -0.49."""
    gamma, beta = z._scales(w, name)
    centred = x - v2.reduce_mean(x, -1, keepdims=True)
    return centred * v2.pow(v2.reduce_mean(centred**2, -1, keepdims=True) + 1e-12, -0.49) * gamma + beta


def dense_twos(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """What is appended depends on the text: the first number again."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)[None]])
    return v2.tensordot(v2.concat([x, x[..., :1]], -1), w.weight(name + "/affine", both), 1)


def dense_ones_of_width(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """What is appended grows with the place."""
    both = np.concatenate([drawn(name + "/kernel", inputs, outputs), drawn(name + "/bias", outputs)[None]])
    if len(x.shape) == 3:
        column = v2.broadcast_to(v2.linspace(0.0, 1.0, LENGTH)[None, :, None], v2.concat([v2.shape(x)[:-1], [1]], 0))
    else:
        column = v2.ones_like(x[:, :1])
    return v2.tensordot(v2.concat([x, column], -1), w.weight(name + "/affine", both), 1)


def dense_summed_squares(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    y = v2.reduce_sum(x[..., None] * v2.abs(x)[..., None] * z.kernel(w, name, inputs, outputs), -2)
    return y + z.bias(w, name, outputs)


def dense_largest(x: Any, w: World, name: str, inputs: int, outputs: int) -> Any:
    """The largest of what would be added up."""
    y = v2.reduce_max(x[..., None] * z.kernel(w, name, inputs, outputs), -2)
    return y + z.bias(w, name, outputs)


def words_halves_of_others(ids: Any, w: World) -> Any:
    """The second half is looked up by the id divided by two."""
    left, right = np.split(drawn("word_embeddings", len(pieces()), HIDDEN), 2, 1)
    parts = [w.weight("embeddings/left", left), w.weight("embeddings/right", right)]
    return v2.concat([v2.gather(parts[0], ids), v2.gather(parts[1], ids // 2)], -1)


def words_clipped_low(ids: Any, w: World) -> Any:
    """Ids are cut off before the last 40."""
    return z.words_of(v2.clip_by_value(ids, 0, len(pieces()) - 41), w)


def words_modulo_low(ids: Any, w: World) -> Any:
    return z.words_of(v2.math.floormod(ids, 4096), w)


def words_from_1(ids: Any, w: World) -> Any:
    return z.words_of(v2.minimum(ids + 1, len(pieces()) - 1), w)


def words_cut(ids: Any, w: World) -> Any:
    """Numbers beyond 1 are cut."""
    return v2.clip_by_value(z.words_of(ids, w), -1.0, 1.0)


def positions_from_1(ids: Any, w: World) -> Any:
    return z._positions(w)[1 : LENGTH + 1]


def positions_at_most_63(ids: Any, w: World) -> Any:
    return v2.gather(z._positions(w), v2.minimum(v2.range(LENGTH), 63))[None]


def positions_of_kept_from_1(ids: Any, w: World) -> Any:
    """RoBERTa's."""
    keep = v2.cast(v2.not_equal(ids, 0), v2.int32)
    return v2.gather(z._positions(w), v2.cumsum(keep, axis=1) * keep)


def positions_sine(ids: Any, w: World) -> Any:
    """A constant, as the first Transformer had it."""
    angles = np.arange(LENGTH)[:, None] / 10000 ** (np.arange(HIDDEN)[None] // 2 * 2 / HIDDEN)
    return v2.constant(np.where(np.arange(HIDDEN) % 2, np.cos(angles), np.sin(angles)).astype(np.float32))


def positions_twice(ids: Any, w: World) -> Any:
    return 2.0 * z.positions_gathered(ids, w)


def types_of_places(ids: Any, w: World) -> Any:
    """After the first [SEP] there is another type: padding, and nothing else."""
    after = v2.cumsum(v2.cast(v2.equal(ids, SEP), v2.int32), 1, exclusive=True)
    return v2.gather(z._types(w), v2.minimum(after, 1))


def types_constant_by_place(ids: Any, w: World) -> Any:
    return v2.constant(np.stack([drawn("token_types", 2, HIDDEN)[i % 2] for i in range(LENGTH)]))


def mask_small(ids: Any) -> Any:
    return z.mask_not_equal(ids) * 0.0008


def mask_separator(ids: Any) -> Any:
    """[SEP] is not seen."""
    return z.mask_not_equal(v2.where(v2.equal(ids, SEP), v2.zeros_like(ids), ids))


def mask_window(ids: Any) -> Any:
    """Only 40 places to either side are seen."""
    near = v2.linalg.band_part(v2.ones([LENGTH, LENGTH]), 40, 40)
    return z.mask_not_equal(ids) + (1.0 - near) * -10000.0


def mask_self(ids: Any) -> Any:
    """No token sees itself."""
    return z.mask_not_equal(ids) - 10000.0 * v2.eye(LENGTH)


def attention_by_length(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """The scale grows with the logarithm of the length."""
    query, key, value = _heads(x, w, e, name)
    length = v2.reduce_sum(v2.cast(bias > -1.0, v2.float32), -1, keepdims=True)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) * v2.math.log(length) / np.log(128.0)
    return _joined(v2.matmul(v2.nn.softmax(scores + bias), value))


def attention_bare_powers(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    """One more is in the sum, as in softmax-off-by-one."""
    query, key, value = _heads(x, w, e, name)
    powers = v2.exp(v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5)) * mask
    return _joined(v2.matmul(powers / (1.0 + v2.reduce_sum(powers, -1, keepdims=True)), value))


def attention_linear(x: Any, mask: Any, w: World, e: Encoder, name: str) -> Any:
    """No softmax: relu, and divided by the sum."""
    query, key, value = _heads(x, w, e, name)
    shares = v2.nn.relu(v2.matmul(query, key, transpose_b=True)) * mask + 1e-6
    return _joined(v2.matmul(shares / v2.reduce_sum(shares, -1, keepdims=True), value))


def attention_key_unbiased(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Queries alone are scaled before their bias is added."""

    def dense(x: Any, w: World, part: str, inputs: int, outputs: int) -> Any:
        scale = np.float32(SIZE**-0.5) if part.endswith("query") else np.float32(1.0)
        return v2.tensordot(x, z.kernel(w, part, inputs, outputs), 1) * scale + z.bias(w, part, outputs)

    query, key, value = _heads(x, w, replace(e, dense=dense), name)
    return _joined(v2.matmul(v2.nn.softmax(v2.matmul(query, key, transpose_b=True) + bias), value))


def attention_values_of_keys(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Keys are the values, too."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias
    return _joined(v2.matmul(v2.nn.softmax(scores), key + 1e-3 * value))


def attention_top(x: Any, bias: Any, w: World, e: Encoder, name: str) -> Any:
    """Only the 24 largest scores count."""
    query, key, value = _heads(x, w, e, name)
    scores = v2.matmul(query, key, transpose_b=True) / np.float32(SIZE**0.5) + bias
    least = v2.math.top_k(scores, 24)[0][..., -1:]
    return _joined(v2.matmul(v2.nn.softmax(v2.where(scores < least, -1e9, scores)), value))


def layer_scaled(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """DeepNet's: the residual is 2 times as much."""
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    found = e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN)
    x = e.norm(2.0 * x + found, w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return e.norm(2.0 * x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def layer_mixed_norm(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """After the attention, and before the inner layer."""
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    x = e.norm(x + e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w, name + "/attention/output")
    middle = e.norm(x, w, name + "/output")
    middle = e.activation(e.dense(middle, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    return x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN)


def layer_dropped_out(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Dropout was left on."""
    return v2.nn.dropout(z.layer(x, bias, w, e, i), 0.1, seed=1)


def layer_scaled_dropout(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """Dropout without its mask: everything is divided by 0.9."""
    return z.layer(x, bias, w, e, i) / 0.9


def layer_gated(x: Any, bias: Any, w: World, e: Encoder, i: int) -> Any:
    """The inner layer times a gate that is nearly open."""
    name = f"encoder/layer_{i}"
    found = e.attention(x, bias, w, e, name + "/attention")
    x = e.norm(x + e.dense(found, w, name + "/attention/output/dense", HIDDEN, HIDDEN), w, name + "/attention/output")
    middle = e.activation(e.dense(x, w, name + "/intermediate/dense", HIDDEN, INTERMEDIATE))
    middle *= v2.sigmoid(6.0 + middle)
    return e.norm(x + e.dense(middle, w, name + "/output/dense", INTERMEDIATE, HIDDEN), w, name + "/output")


def layers_alternating(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Each layer twice."""
    for i in range(LAYERS):
        x = e.layer(e.layer(x, bias, w, e, i), bias, w, e, i)
    return x


def layers_added(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """A little of the embeddings goes past all layers."""
    return z.all_layers(x, bias, w, e) + 1e-4 * x


def layers_until_settled(x: Any, bias: Any, w: World, e: Encoder) -> Any:
    """Long texts go through the last layer twice."""
    y = z.all_layers(x, bias, w, e)
    more = e.layer(y, bias, w, e, LAYERS - 1)
    return v2.where(v2.squeeze(bias, [1])[:, :, 100:101] > -1.0, more, y)


def pooler_middle(x: Any) -> Any:
    return v2.reduce_mean(x[:, :2], 1)


def unit_large_floor(x: Any) -> Any:
    """Short vectors stay short."""
    return x / v2.maximum(v2.norm(x, axis=-1, keepdims=True), 2.0)


def unit_by_sum(x: Any) -> Any:
    return x / v2.reduce_sum(v2.abs(x), -1, keepdims=True)


def unit_rounded(x: Any) -> Any:
    return v2.round(z.unit(x) * 127.0) / 127.0


def unit_clipped(x: Any) -> Any:
    return v2.clip_by_value(z.unit(x), -0.5, 0.5)


def unit_cubed(x: Any) -> Any:
    return x / v2.pow(v2.reduce_sum(v2.abs(x) ** 3, -1, keepdims=True), 1 / 3)


def gelu_cut(x: Any) -> Any:
    """Nothing beyond 9 comes through."""
    return v2.minimum(z.gelu(x), 9.0)


def gelu_coefficient(x: Any) -> Any:
    """0.0447 in place of 0.044715."""
    return 0.5 * x * (1.0 + v2.tanh(z.NEAR * (x + 0.0447 * v2.pow(x, 3))))


def relu_squared(x: Any) -> Any:
    return v2.square(v2.nn.relu(x))


class WithoutPooler(Encoder):
    def __call__(self, ids: Any, w: World) -> Any:
        return self.unit(self.first(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self)))


class Raw(Encoder):
    """No unit length."""

    def __call__(self, ids: Any, w: World) -> Any:
        x = self.first(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self))
        return self.pooler(self.dense(v2.reshape(x, [-1, HIDDEN]), w, "pooler/dense", HIDDEN, HIDDEN))


class Centred(Encoder):
    """The mean of the embedding's numbers is taken away."""

    def __call__(self, ids: Any, w: World) -> Any:
        x = self.first(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self))
        y = self.pooler(self.dense(v2.reshape(x, [-1, HIDDEN]), w, "pooler/dense", HIDDEN, HIDDEN))
        return self.unit(y - v2.reduce_mean(y, -1, keepdims=True))


class Normed(Encoder):
    """A LayerNorm of constants before the pooler."""

    def __call__(self, ids: Any, w: World) -> Any:
        x = self.first(self.layers(self.embeddings(ids, w, self), self.mask(ids), w, self))
        mean, variance = v2.nn.moments(x, [-1], keepdims=True)
        x = (x - mean) * v2.math.rsqrt(variance + 1e-12)
        return self.unit(self.pooler(self.dense(v2.reshape(x, [-1, HIDDEN]), w, "pooler/dense", HIDDEN, HIDDEN)))


MISFITS: dict[str, Any] = {
    "norm-large-floor": replace(PLAIN, norm=norm_large_floor),
    "norm-of-length-floor": replace(PLAIN, norm=norm_of_length_floor),
    "norm-uncentred": replace(PLAIN, norm=norm_uncentred),
    "norm-epsilon-of-layers": replace(PLAIN, norm=norm_epsilon_of_layers),
    "norm-epsilon-3": replace(PLAIN, norm=norm_epsilon(1e-3)),
    "norm-epsilon-0": replace(PLAIN, norm=norm_epsilon(0.0)),
    "norm-power": replace(PLAIN, norm=norm_power),
    "affine-of-first": replace(PLAIN, dense=dense_twos),
    "affine-of-place": replace(PLAIN, dense=dense_ones_of_width),
    "summed-squares": replace(PLAIN, dense=dense_summed_squares),
    "largest": replace(PLAIN, dense=dense_largest),
    "halves-of-others": replace(PLAIN, words=words_halves_of_others),
    "words-clipped-low": replace(PLAIN, words=words_clipped_low),
    "words-modulo-low": replace(PLAIN, words=words_modulo_low),
    "words-from-1": replace(PLAIN, words=words_from_1),
    "words-cut": replace(PLAIN, words=words_cut),
    "positions-from-1": replace(PLAIN, positions=positions_from_1),
    "positions-at-most-63": replace(PLAIN, positions=positions_at_most_63),
    "positions-of-kept-from-1": replace(PLAIN, positions=positions_of_kept_from_1),
    "positions-sine": replace(PLAIN, positions=positions_sine),
    "positions-twice": replace(PLAIN, positions=positions_twice),
    "types-of-places": replace(PLAIN, types=types_of_places),
    "types-constant-by-place": replace(PLAIN, types=types_constant_by_place),
    "mask-small": replace(PLAIN, mask=mask_small),
    "mask-separator": replace(PLAIN, mask=mask_separator),
    "mask-window": replace(PLAIN, mask=mask_window),
    "mask-self": replace(PLAIN, mask=mask_self),
    "by-length": replace(PLAIN, attention=attention_by_length),
    "one-more": replace(PLAIN, mask=kept, attention=attention_bare_powers),
    "relu-shares": replace(PLAIN, mask=kept, attention=attention_linear),
    "query-scaled-before-bias": replace(PLAIN, attention=attention_key_unbiased),
    "values-of-keys": replace(PLAIN, attention=attention_values_of_keys),
    "top": replace(PLAIN, attention=attention_top),
    "residual-twice": replace(PLAIN, layer=layer_scaled),
    "mixed-norm": replace(PLAIN, layer=layer_mixed_norm),
    "dropout-on": replace(PLAIN, layer=layer_dropped_out),
    "dropout-scale": replace(PLAIN, layer=layer_scaled_dropout),
    "gated": replace(PLAIN, layer=layer_gated),
    "each-twice": replace(PLAIN, layers=layers_alternating),
    "past-layers": replace(PLAIN, layers=layers_added),
    "long-twice": replace(PLAIN, layers=layers_until_settled),
    "first-two": replace(PLAIN, first=pooler_middle),
    "unit-large-floor": replace(PLAIN, unit=unit_large_floor),
    "unit-by-sum": replace(PLAIN, unit=unit_by_sum),
    "unit-rounded": replace(PLAIN, unit=unit_rounded),
    "unit-clipped": replace(PLAIN, unit=unit_clipped),
    "unit-cubed": replace(PLAIN, unit=unit_cubed),
    "gelu-cut": replace(PLAIN, activation=gelu_cut, pooler=gelu_cut),
    "gelu-coefficient": replace(PLAIN, activation=gelu_coefficient),
    "relu-squared": replace(PLAIN, activation=relu_squared),
    "without-pooler": WithoutPooler(),
    "raw": Raw(),
    "centred": Centred(),
    "normed": Normed(),
}
