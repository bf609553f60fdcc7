"""The place of every variable in the state dict, asked of the graph: which of its elements does what.

A kernel may be stored turned, with heads apart, or joined to others; queries, keys and values may come of one product and
be split in any way. None of this is read from the ops: a part of the graph is run on weights that are the numbers of their
own elements, and on a hidden state that is 1 at one place, and the numbers that come out tell. It is asked of the first
layer; the others are made by the same code, and the proof runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import numpy as np

from hub2hf.analysis.flow import Attention, Flow, Join, Norm, Operand
from hub2hf.analysis.products import contracted, free
from hub2hf.analysis.read import SAME
from hub2hf.errors import REPORT, GraphError, MappingError
from hub2hf.savedmodel.node import TensorRef
from hub2hf.state_dict import Axis, Mapped, mapped_vector, mapped_view, steps_of

# From tensors, values to feed, and variables to their values (all others are 0) to the values of the tensors.
Fetches = Sequence[TensorRef]
Evaluate = Callable[[Fetches, Mapping[TensorRef, np.ndarray], Mapping[str, np.ndarray]], list[np.ndarray]]
ShapeOf = Callable[[TensorRef], tuple[int, ...]]
NumbersOf = Callable[[list[np.ndarray]], np.ndarray]

LARGE = 300.0  # of scores, whose powers float64 still holds; what a text has is far smaller
WHOLE = 1e-3  # how far from a whole number the number of an element may come out: its products are exact to 1e-9


@dataclass(frozen=True)
class Elements:
    """Which elements of a variable a vector, or a matrix, is made of.

    Attributes:
        leaf: the number of the variable among those of its join.
        outputs: int64 [outputs], the flat number of each element; of a matrix, those of its first input.
        inputs: the axes of the inputs; none for a vector.
        scale: what the graph multiplies each by before it is used.
    """

    leaf: int
    outputs: np.ndarray
    inputs: tuple[Axis, ...] = ()
    scale: float = 1.0


class Asking:
    """Asks the graph of one encoder.

    Args:
        flow: what is known of it.
        evaluate: runs a part of the graph.
        shape_of: the shape of a tensor in a run of the whole graph.
    """

    def __init__(self, flow: Flow, evaluate: Evaluate, shape_of: ShapeOf) -> None:
        self.flow, self._evaluate, self.shape_of = flow, evaluate, shape_of

    def normed(self, norm: Norm, row: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """Return what a LayerNorm makes of a row of unit variance times each of `deviations`, without its gamma and beta.

        Raises:
            GraphError: more is needed to compute it.
        """
        ends, ones = [TensorRef(norm.beta.node.name)], self._ones(norm.gamma.leaves)
        form = self.shape_of(ends[0])
        starts = [ref for ref in self.flow.starts_of(norm) if prod(self.shape_of(ref)) == prod(form)]
        starts = [ref for ref in starts if self.shape_of(ref)[-1:] == row.shape == form[-1:]]
        for start in starts:
            shape = self.shape_of(start)
            count, found = prod(shape[:-1]), []
            try:
                for at in range(0, len(deviations), count):
                    some = np.resize(deviations[at : at + count], count)
                    (made,) = self._evaluate(ends, {start: (some[:, np.newaxis] * row).reshape(shape)}, ones)
                    found += list(made.reshape(count, -1)[: len(deviations) - at])
            except GraphError:
                if start == starts[-1]:
                    raise
            else:
                return np.asarray(found)
        raise GraphError(f"What the LayerNorm takes that ends at node '{ends[0].node}' is not found.", REPORT)

    def operand(self, operand: Operand, axes: tuple[int, ...]) -> tuple[Elements, Elements | None, int]:
        """Return the elements of weight and bias, if any, in the order of heads, and how many heads there are.

        Args:
            operand: queries, keys or values.
            axes: those of the operand that are within a head.
        """
        fetches = [node.input(position) for node, position in operand.places]
        heads = 0

        def read(values: list[np.ndarray]) -> np.ndarray:
            nonlocal heads
            rows = [_distinct(value, axes) for value in values]
            heads = max(heads, sum(map(len, rows)))
            return np.concatenate(rows, axis=None)

        weight = self._matrix(operand.product, fetches, read)
        if not operand.biases:
            return weight, None, heads
        found, data = heads, self._zeros(operand.product)
        bias = self._vector(operand.biases, fetches, {operand.product.data: data}, read)
        if len(weight.outputs) != len(bias.outputs):
            name = operand.places[0][0].name
            raise MappingError(f"Node '{name}' takes a bias that is the same for several numbers.", REPORT)
        return weight, bias, found

    def dense(self, product: Join, end: Join | None = None) -> Elements:
        """Return the elements of the weights of a product, which may be scaled before `end`, the addition of its bias."""
        count = prod(np.take(self.shape_of(product.data), self.flow.contraction(product)))
        tokens = prod(self.shape_of(product.data)) // max(1, count)
        ref = TensorRef(product.node.name)
        axes: tuple[int, ...] = ()

        def read(values: list[np.ndarray]) -> np.ndarray:
            return np.array(_last(values[0], axes).reshape(tokens, -1)[0])

        found = self._matrix(product, [ref], read)
        if len(set(found.outputs.tolist())) < len(found.outputs):  # the numbers of a token do not stand side by side
            axes = self._varying(product, ref)
            found = self._matrix(product, [ref], read)
        if end is None:
            return found
        ends, feeds = [ref, TensorRef(end.node.name)], {product.data: self._unit(product)}
        before, after = self._sums(ends, feeds, product.leaves)
        return replace(found, scale=_whole(found.scale * after / before))

    def _varying(self, product: Join, ref: TensorRef) -> tuple[int, ...]:
        """Return the axes along which a tensor that a product leads to varies, where all tokens are alike."""
        drawn, shapes = np.random.default_rng(0), self.flow.shapes
        numbers = {leaf: drawn.random(shapes[leaf]) for leaf in product.leaves}
        (value,) = self._evaluate([ref], {product.data: self._unit(product)}, numbers)
        return tuple(axis for axis in range(value.ndim) if np.ptp(value, axis=axis).any())

    def bias(self, product: Join, added: Join) -> float:
        """Return what the bias that follows a product is multiplied by before it is added."""
        ref = TensorRef(added.node.name)
        (found,) = self._sums([ref], {product.data: self._zeros(product)}, added.leaves)
        return _whole(found / prod(self.shape_of(ref)))

    def _sums(self, fetches: Fetches, feeds: Mapping[TensorRef, np.ndarray], leaves: Sequence[str]) -> list[float]:
        """Return the sums of tensors where variables are ones, each perhaps times a number.

        Where more than weights are added, nothing is known of that number, which is taken for 1: the proof will show.
        """
        try:
            return [float(value.sum()) for value in self._evaluate(fetches, feeds, self._ones(leaves))]
        except GraphError:
            return [float(prod(self.shape_of(ref))) for ref in fetches]

    def sharpness(self, attention: Attention, entering: Mapping[TensorRef, np.ndarray]) -> float:
        """Return what scores are multiplied by before their exponential; NaN where they are no logarithms of shares.

        One score of the first query is raised by 1, and of its values that of the first key is 1, the rest 0: what comes
        out is the share of that key. That goes for scores of any size, as those of a checkpoint may be.

        Raises:
            GraphError: large scores are bounded.
        """
        (scores, _), (context, position) = attention.key.places[0], attention.value.places[0]
        ref, operand = TensorRef(scores.name), context.input(position)
        value = _at_first(self.shape_of(operand), contracted(context, position))

        def odds(score: np.ndarray) -> float:
            (found,) = self._evaluate([attention.out.product.data], {**entering, ref: score, operand: value}, {})
            share = float(found.flat[0])
            return float(np.log(share / (1.0 - share))) if 0.0 < share < 1.0 else np.nan

        def slope(at: float) -> float:
            score = np.full(self.shape_of(ref), at)
            before = odds(score)
            score.flat[0] += 1.0
            return odds(score) - before

        try:
            found = slope(0.0)
            far = [slope(end / found) for end in (LARGE, -LARGE)] if found > 0.0 else []
        except GraphError:
            return np.nan
        if not all(abs(each - found) < WHOLE * found for each in far):
            raise GraphError(f"Node '{scores.name}' makes scores of which large ones become others.", REPORT)
        return found

    def context_order(self, attention: Attention, values: Elements) -> tuple[np.ndarray, float]:
        """Return which input of the output layer of the attention takes each of the values, int64 [hidden], and their scale.

        With attention to the first token alone, which is no padding, every context is the value that it has. Where shares
        are taken in two steps, powers and the division by their sum, scores are fed in place of them: all are alike, and so
        are the values of all tokens, so that each context is the value again.
        """
        operand, product = attention.value, attention.out.product
        axes = self.flow.contraction(product)
        data = {operand.product.data: self._unit(operand.product)}
        attended = [(node.input(1 - position), contracted(node, 1 - position)) for node, position in operand.places]
        at_first = {ref: _at_first(self.shape_of(ref), along) for ref, along in attended}

        def read(values: list[np.ndarray]) -> np.ndarray:
            value = values[0]
            return np.asarray(_last(value, axes).reshape(-1, prod(np.take(value.shape, axes)))[0])

        try:
            found = self._vector(operand.product.leaves, [product.data], data | at_first, read)
        except GraphError:  # something else of the scores comes in
            scores = [TensorRef(node.name) for node, _ in attention.key.places]
            alike = {ref: np.zeros(self.shape_of(ref)) for ref in scores}
            found = self._vector(operand.product.leaves, [product.data], data | alike, read)
        order = {int(number): at for at, number in enumerate(found.outputs)}
        if sorted(order) != sorted(values.outputs.tolist()):
            raise MappingError(f"Node '{product.node.name}' does not take each of the values once.", REPORT)
        return np.asarray([order[int(number)] for number in values.outputs]), found.scale

    def keys_are_queries(self, attention: Attention, entering: Mapping[TensorRef, np.ndarray]) -> bool:
        """Tell whether what is taken for keys are queries: what is added to all scores of a query changes no weight.

        Args:
            attention: that of one layer.
            entering: the values of `Flow.entering` from the scores to the weights.
        """
        (scores, _), (context, position) = attention.key.places[0], attention.value.places[0]
        ref, weights = TensorRef(scores.name), context.input(1 - position)
        shape = self.shape_of(ref)
        sloping = np.broadcast_to(np.linspace(-1.0, 1.0, shape[-1]), shape)
        found = [self._evaluate([weights], {**entering, ref: x}, {})[0] for x in (sloping, np.zeros(shape))]
        return shape[-1] > 1 and bool(np.abs(found[0] - found[1]).max() < WHOLE / shape[-1])

    def numbers(self, ref: TensorRef, leaf: str) -> np.ndarray:
        """Return which elements of a variable a tensor is made of, by their flat numbers, in its shape."""
        shape = self.flow.shapes[leaf]
        (found,) = self._evaluate([ref], {}, {leaf: np.arange(float(prod(shape))).reshape(shape)})
        return np.rint(found).astype(np.int64)

    def _matrix(self, product: Join, fetches: Fetches, read: NumbersOf) -> Elements:
        first = self._vector(product.leaves, fetches, {product.data: self._unit(product)}, read)
        axes, shape = [], self.shape_of(product.data)

        def step_to(place: int, axis: int) -> int:
            feeds = {product.data: self._unit(product, axis, place)}
            steps = self._vector(product.leaves, fetches, feeds, read).outputs - first.outputs
            if (steps != steps[0]).any():
                raise MappingError(f"The weights of node '{product.node.name}' are in no regular order.", REPORT)
            return int(steps[0])

        for axis in self.flow.contraction(product):
            axes += nested_axes(shape[axis], partial(step_to, axis=axis))
        return Elements(first.leaf, first.outputs, tuple(axes), first.scale)

    def _vector(
        self,
        leaves: Sequence[str],
        fetches: Fetches,
        feeds: Mapping[TensorRef, np.ndarray],
        read: NumbersOf,
    ) -> Elements:
        """Return which elements of `leaves` come out, each perhaps times one number that is the same for all."""
        shapes = self.flow.shapes
        ends = np.cumsum([prod(shapes[leaf]) for leaf in leaves])
        whole = np.arange(1.0, float(ends[-1]) + 1)
        parts = dict(zip(leaves, np.split(whole, ends[:-1]), strict=True))
        ones = read(self._evaluate(fetches, feeds, self._ones(leaves)))
        numbers = read(self._evaluate(fetches, feeds, {leaf: parts[leaf].reshape(shapes[leaf]) for leaf in leaves}))
        scale = ones.ravel()[0]
        found = numbers / np.where(scale == 0, np.nan, scale)
        rounded = np.rint(found)
        apart = np.concatenate([np.abs(found - rounded), np.abs(ones.ravel() / scale - 1.0)])
        if not (apart < WHOLE).all() or not len(rounded) or rounded.min() < 1 or rounded.max() > ends[-1]:
            names = self.flow.shown(list(leaves))
            raise MappingError(f"At node '{fetches[0].node}' each number should be one of {names}; it is not.", REPORT)
        owner = np.searchsorted(ends, rounded - 1, side="right")
        if (owner != owner[0]).any():
            raise MappingError(f"Node '{fetches[0].node}' mixes {self.flow.shown(list(leaves))}.", REPORT)
        leaf = int(owner[0])
        outputs = (rounded - 1 - (ends[leaf - 1] if leaf else 0)).astype(np.int64)
        return Elements(leaf, outputs, scale=_whole(scale))

    def _ones(self, leaves: Sequence[str]) -> dict[str, np.ndarray]:
        return {leaf: np.ones(self.flow.shapes[leaf]) for leaf in leaves}

    def _zeros(self, product: Join) -> np.ndarray:
        return np.zeros(self.shape_of(product.data))

    def _unit(self, product: Join, along: int | None = None, place: int = 0) -> np.ndarray:
        """Return a hidden state that is 1 at the first place of every token, or at a place along an axis."""
        data = self._zeros(product)
        index: list[int | slice] = [slice(None)] * data.ndim
        for axis in self.flow.contraction(product):
            index[axis] = place if axis == along else 0
        data[tuple(index)] = 1.0
        return data


def nested_axes(count: int, step_to: Callable[[int], int]) -> list[Axis]:
    """Return the axes that `count` places in a row are of, the last of which varies fastest.

    As a rule they are one. Of two, the one was joined to the other, as heads are to what is in each, or that to heads.

    Args:
        count: how many places.
        step_to: how far the element at a place lies from the first.

    Raises:
        MappingError: they are of no axes.
    """
    axes: list[Axis] = []
    inner = 1  # places of the axes that are found
    while inner < count:
        step, size = step_to(inner), count // inner
        if step_to(count - inner) != step * (size - 1):
            ends = (some for some in range(2, size) if size % some == 0 and step_to(some * inner) != step * some)
            size = next(ends, 0)
            if not size:
                raise MappingError("The weights of a product are in no regular order.", REPORT)
        axes.insert(0, Axis(size, step))
        inner *= size
    return axes or [Axis(1, 0)]


def _whole(scale: float) -> float:
    """Return a scale; 1 where nothing but round-off parts it from that."""
    return 1.0 if abs(scale - 1.0) < SAME else float(scale)


def _at_first(shape: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """Return zeros, and ones at the first place along `axes`."""
    value = np.zeros(shape)
    index: list[int | slice] = [slice(None)] * value.ndim
    for axis in axes:
        index[axis] = 0
    value[tuple(index)] = 1.0
    return value


def _last(value: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    return np.moveaxis(value, axes, range(-len(axes), 0))


def _distinct(value: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Return the rows along `axes` that are not the same, [heads, size], in the order of their first appearance.

    Rows of nothing are left out: what is computed of tokens alone, and of no padding, has them for that.
    """
    rows = _last(value, axes).reshape(-1, prod(np.take(value.shape, axes)))
    rows = rows[rows.any(axis=1)] if rows.any() else rows
    rounded = np.round(rows, 6) + 0.0  # no zero is negative
    data, width = rounded.tobytes(), rows.shape[1] * rounded.itemsize
    first: dict[bytes, int] = {}
    for i, start in enumerate(range(0, len(data), width)):
        first.setdefault(data[start : start + width], i)
    return np.asarray(rows[list(first.values())])


def attention_places(
    asking: Asking, attention: Attention, sharpness: float, power: float
) -> tuple[dict[str, Elements], int]:
    """Return "query.weight" and the like → elements, of one attention, and the number of its heads.

    Scales are those that are left once the model class has done its own.

    Args:
        asking, attention: the graph.
        sharpness: what scores are multiplied by in it.
        power: the power of the size of a head that the model class multiplies scores by.

    Raises:
        MappingError: something between the products of the attention is more than a move.
    """
    found: dict[str, Elements] = {}
    heads = []
    for name in ("query", "key", "value"):
        operand = getattr(attention, name)
        axes = (free if name == "value" else contracted)(*operand.places[0])
        found[f"{name}.weight"], bias, count = asking.operand(operand, axes)
        heads.append(count)
        if bias is not None:
            found[f"{name}.bias"] = bias
    if len(set(heads)) != 1:
        raise MappingError(f"Queries, keys and values have {heads} heads.", "A head has one of each.")
    out = asking.dense(attention.out.product, attention.out.added)
    order, scale = asking.context_order(attention, found["value.weight"])
    size = len(found["query.weight"].outputs) // heads[0]
    query, key, value = (found[f"{name}.weight"].scale for name in ("query", "key", "value"))
    for name, own, left in (
        ("query", query, query * key * sharpness / size**power),
        ("key", key, 1.0),
        ("value", value, scale),
    ):
        for part in ("weight", "bias"):
            if f"{name}.{part}" in found:
                elements = found[f"{name}.{part}"]
                factor = elements.scale / own * left if np.isfinite(left) else 1.0
                found[f"{name}.{part}"] = replace(elements, scale=_whole(factor))
    return {**found, "out": out, "order": Elements(0, order)}, heads[0]


def mapped_matrix(
    key: str, leaf: str, shape: tuple[int, ...], elements: Elements, order: np.ndarray | None = None
) -> Mapped:
    """Return the variable that becomes a weight [outputs, inputs], its inputs in `order`."""
    counts = [axis.count for axis in elements.inputs]
    numbers = np.zeros(counts, np.int64)
    for i, axis in enumerate(elements.inputs):
        numbers += (np.arange(axis.count) * axis.step).reshape([-1 if i == j else 1 for j in range(len(counts))])
    inputs = numbers.ravel() if order is None else numbers.ravel()[order]
    start = int(elements.outputs[0] + inputs[0])
    outputs, inner = steps_of(elements.outputs), steps_of(inputs)
    return replace(mapped_view(key, leaf, shape, start, outputs, inner), factor=elements.scale)


def mapped_bias(key: str, leaf: str, shape: tuple[int, ...], elements: Elements) -> Mapped:
    """Return the variable that becomes a bias."""
    item = mapped_vector(key, leaf, shape, int(elements.outputs[0]), steps_of(elements.outputs))
    return replace(item, factor=elements.scale)
