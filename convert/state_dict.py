"""Rules from TensorFlow variables to state-dict keys: data, and one loop over it. The tables are with the architectures.

A rule says which variable (by the end of its name; scopes above do not matter), which key, what its dimensions mean and
what to do with the numbers. The dimensions of all variables together fix the sizes of the model, and must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from hub2hf.errors import REPORT, MappingError

COPY = "copy"
SWAP_ROWS = "swap_rows"  # the token-type row that the graph adds must be row 0, Hugging Face's default
TRANSPOSE = "transpose"  # a TensorFlow kernel is [inputs, outputs], a torch weight is [outputs, inputs]
MERGE_HEADS = "merge_heads"  # [heads, size] becomes [heads * size]; the bytes stay as they are
MERGE_HEADS_TRANSPOSE = "merge_heads_transpose"  # the same of a kernel, and then as above
VIEW = "view"  # elements at regular places of a variable: a part of it, or in another order of axes

LAYER = r"\d+"
HEADS = ("heads", "head_size")  # two neighbouring dimensions that are one, as large as the hidden size, to Hugging Face


@dataclass(frozen=True)
class Rule:
    """One kind of variable.

    Attributes:
        variable: the end of the variable's name; `{}` stands for one path component, `{i}` for a layer number.
        key: the state-dict key, with the same stand-ins.
        shape: the meaning of each dimension of the TensorFlow variable.
        operation: COPY, TRANSPOSE, MERGE_HEADS or MERGE_HEADS_TRANSPOSE.
    """

    variable: str
    key: str
    shape: tuple[str, ...]
    operation: str = COPY

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression that a variable's whole name must match."""
        return re.compile(f"(?:.*/)?{self.written(f'(?P<i>{LAYER})')}")

    def written(self, layer: str) -> str:
        """Return the regular expression of the end of the name, with one for the layer's number in it."""
        return re.escape(self.variable).replace(r"\{i\}", layer)


def family_of(names: Iterable[str], families: Mapping[str, tuple[Rule, ...]]) -> tuple[Rule, ...]:
    """Return the table that has a rule for the most of the variables `names`."""
    listed = list(names)

    def known(rules: Iterable[Rule]) -> int:
        any_of_them = re.compile(f"(?:.*/)?(?:{'|'.join(rule.written(LAYER) for rule in rules)})")
        return sum(any_of_them.fullmatch(name) is not None for name in listed)

    return max(families.values(), key=known)


@dataclass(frozen=True)
class Axis:
    """An axis of a view: how many elements it has, and how far apart they lie in the variable, in elements."""

    count: int
    step: int


@dataclass(frozen=True)
class Mapped:
    """One variable paired with one key.

    Attributes:
        variable: the name in the checkpoint, or of the constant of the graph.
        key: the state-dict key.
        operation: that of the rule, or SWAP_ROWS (`row` and row 0 change places), or VIEW.
        shape: the shape of the tensor under `key`.
        row: the row that SWAP_ROWS brings to the front.
        start, axes: of a VIEW: the flat number of its first element, and its axes; they make up `shape` in order.
        named: whether the name of the variable means `key` too; otherwise the computation alone tells.
        factor: what every number is multiplied by, as the graph does, where the class under `key` does not.
    """

    variable: str
    key: str
    operation: str
    shape: tuple[int, ...]
    row: int = 0
    start: int = 0
    axes: tuple[Axis, ...] = ()
    named: bool = True
    factor: float = 1.0

    @property
    def is_copied(self) -> bool:
        """Whether the bytes of the variable stay as they are."""
        return self.operation in (COPY, MERGE_HEADS) and self.factor == 1.0


@dataclass(frozen=True)
class Size:
    """A size of the model and the variable it was first read from."""

    value: int
    variable: str


@dataclass(frozen=True)
class Pairing:
    """The pairing of a whole model: `mapped` in state-dict order, `sizes` by the name of the dimension."""

    mapped: tuple[Mapped, ...]
    sizes: Mapping[str, Size]


def pair(
    variables: Mapping[str, tuple[int, ...]],
    families: Mapping[str, tuple[Rule, ...]],
    also_called: Mapping[str, str] | None = None,
) -> Pairing:
    """Pair every variable with a state-dict key.

    Args:
        variables: name → shape of each variable that reaches the output.
        families: name → table of a model family; the one that fits best is taken.
        also_called: name → another name, for a variable whose own has no rule: a Saver may keep one under a name of its
            choice, such as that of its moving average.

    Raises:
        MappingError: a variable has no rule, a key has no or two variables, or a shape does not fit; lists the names.
    """
    also_called = also_called or {}
    rules = family_of([*variables, *also_called.values()], families)
    found: dict[str, tuple[str, Rule]] = {}
    layers = 0
    for name in variables:
        rule, layer = _rule_of(name, rules, also_called.get(name, name))
        key = rule.key.replace("{i}", str(layer))
        layers = max(layers, layer + 1)
        if key in found:
            raise MappingError(
                f"Variables '{found[key][0]}' and '{name}' both map to '{key}'.",
                "The graph uses two encoders at once.",
            )
        found[key] = (name, rule)
    wanted = list(_expected(rules, layers))
    missing = [key for key in wanted if key not in found]
    if missing:
        raise MappingError(
            f"No variable that reaches the output fills {', '.join(missing)}.",
            "The graph is not a whole encoder, or its variable names are of an unknown family.",
        )
    layered = (key for key in reversed(wanted) if key.startswith(f"encoder.layer.{layers - 1}."))
    last = found[next(layered, wanted[-1])][0]
    sizes = {"num_hidden_layers": Size(layers, last)}
    return Pairing(tuple(_checked(key, *found[key], variables, sizes) for key in wanted), sizes)


def _rule_of(name: str, rules: tuple[Rule, ...], other: str) -> tuple[Rule, int]:
    for called in (name, other):
        for rule in rules:
            match = rule.pattern.fullmatch(called)
            if match:
                return rule, int(match.groupdict().get("i") or 0)
    raise MappingError(
        f"Variable '{name}' reaches the output and has no rule.",
        "The model is not a plain encoder, or names its variables in an unknown way: report it.",
    )


def _expected(rules: tuple[Rule, ...], layers: int) -> Iterable[str]:
    """Yield every state-dict key of a model with `layers` layers, in the order of the state dict."""
    layered = [rule.key for rule in rules if "{i}" in rule.key]
    first = next((i for i, rule in enumerate(rules) if "{i}" in rule.key), len(rules))  # ALBERT has one layer for all
    yield from (rule.key for rule in rules[:first])
    for i in range(layers):
        yield from (key.replace("{i}", str(i)) for key in layered)
    yield from (rule.key for rule in rules[first + len(layered) :])


def _checked(
    key: str, name: str, rule: Rule, variables: Mapping[str, tuple[int, ...]], sizes: dict[str, Size]
) -> Mapped:
    """Return the pair after its shape has been held against all sizes read so far; adds the new ones to `sizes`."""
    shape = variables[name]
    if len(shape) != len(rule.shape):
        raise MappingError(
            f"Variable '{name}' has shape {list(shape)}, '{key}' needs {list(rule.shape)}.",
            "The checkpoint does not belong to this graph, or its kernels are stored in an unknown form.",
        )
    for dimension, size in zip(rule.shape, shape, strict=True):
        known = sizes.setdefault(dimension, Size(size, name))
        if known.value != size:
            raise MappingError(
                f"Variable '{name}' has shape {list(shape)}: its {dimension} should be {known.value}, "
                f"as read from '{known.variable}'.",
                "The checkpoint does not belong to this graph.",
            )
    return Mapped(name, key, rule.operation, _target(name, rule, shape, sizes))


def _target(name: str, rule: Rule, shape: tuple[int, ...], sizes: Mapping[str, Size]) -> tuple[int, ...]:
    """Return the shape of the tensor that a variable of `shape` becomes."""
    if set(HEADS) <= set(rule.shape):  # T5 has heads of other sizes, in another place
        at, hidden = rule.shape.index(HEADS[0]), sizes.get("hidden_size")  # MobileBERT's are as wide as its bottleneck
        merged = shape[at] * shape[at + 1]
        if hidden is not None and merged != hidden.value:
            raise MappingError(
                f"Variable '{name}' has {shape[at]} heads of {shape[at + 1]}, which is not the hidden size {hidden.value}, "
                f"as read from '{hidden.variable}'.",
                "The model class cannot have such heads.",
            )
        shape = (*shape[:at], merged, *shape[at + 2 :])
    return shape[::-1] if rule.operation in (TRANSPOSE, MERGE_HEADS_TRANSPOSE) else shape


def steps_of(numbers: np.ndarray) -> tuple[Axis, ...]:
    """Return the axes that lay out `numbers`, int64 [count], from the first of them; an axis of one where there is but one.

    Raises:
        MappingError: they lie in no regular order.
    """
    axes: list[Axis] = []
    rest = numbers - numbers[0]
    while len(rest) > 1:
        step = int(rest[1] - rest[0])
        run = np.flatnonzero(rest != np.arange(len(rest)) * step)
        count = int(run[0]) if len(run) else len(rest)
        rows = rest.reshape(-1, count) if len(rest) % count == 0 else rest[np.newaxis]
        if step < 0 or not (rows == rows[:, :1] + np.arange(rows.shape[1]) * step).all():
            raise MappingError("The elements of a variable are used in no regular order.", REPORT)
        axes.append(Axis(count, step))
        rest = rows[..., 0]
    return tuple(reversed(axes)) or (Axis(1, 0),)


def mapped_view(
    key: str, variable: str, shape: tuple[int, ...], start: int, outputs: Sequence[Axis], inputs: Sequence[Axis]
) -> Mapped:
    """Return the pair of a weight [outputs, inputs] that is made of elements of a variable of `shape`.

    What is a whole variable as a family stores it has the operation of that.
    """
    rows, columns = (prod(axis.count for axis in side) for side in (outputs, inputs))
    whole = start == 0 and rows * columns == prod(shape)
    plain = len(shape) == 2
    operation = VIEW
    if whole and _is_one(outputs, 1) and _is_one(inputs, rows):
        operation = TRANSPOSE if plain else MERGE_HEADS_TRANSPOSE
    elif whole and _is_one(outputs, columns) and _is_one(inputs, 1):
        operation = COPY if plain else MERGE_HEADS
    axes = (*outputs, *inputs) if operation == VIEW else ()
    return Mapped(variable, key, operation, (rows, columns), start=start, axes=axes)


def mapped_vector(key: str, variable: str, shape: tuple[int, ...], start: int, axes: tuple[Axis, ...]) -> Mapped:
    """Return the pair of a vector that is made of elements of a variable of `shape`."""
    count = prod(axis.count for axis in axes)
    if start == 0 and count == prod(shape) and _is_one(axes, 1):
        return Mapped(variable, key, COPY if len(shape) == 1 else MERGE_HEADS, (count,))
    return Mapped(variable, key, VIEW, (count,), start=start, axes=tuple(axes))


def _is_one(axes: Sequence[Axis], step: int) -> bool:
    """Whether axes are one, of neighbours `step` apart."""
    return len(axes) == 1 and (axes[0].count == 1 or axes[0].step == step)


def tensor_of(item: Mapped, value: np.ndarray) -> np.ndarray:
    """Return the tensor that goes under `item.key`, from the value of its variable.

    Raises:
        MappingError: a view reaches beyond the variable.
    """
    if item.factor != 1.0:
        return np.asarray(tensor_of(replace(item, factor=1.0), value) * value.dtype.type(item.factor))
    if item.operation == SWAP_ROWS:
        value = value.reshape(item.shape)
        order = np.arange(len(value))
        order[[0, item.row]] = item.row, 0
        return np.asarray(value[order])
    if item.operation == VIEW:
        return _view(item, value)
    if item.operation in (TRANSPOSE, MERGE_HEADS_TRANSPOSE):
        return value.reshape(item.shape[::-1]).T
    return value.reshape(item.shape)


def _view(item: Mapped, value: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(value).reshape(-1)
    last = item.start + sum((axis.count - 1) * axis.step for axis in item.axes)
    if item.start < 0 or last >= flat.size or any(axis.count < 1 or axis.step < 0 for axis in item.axes):
        raise MappingError(f"Variable '{item.variable}' is too small for '{item.key}'.", REPORT)
    shape, strides = [axis.count for axis in item.axes], [axis.step * flat.itemsize for axis in item.axes]
    viewed = np.lib.stride_tricks.as_strided(flat[item.start :], shape, strides, writeable=False)
    return viewed.reshape(item.shape)
