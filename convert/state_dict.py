"""Rules from TensorFlow variables to `transformers.BertModel` state-dict keys: data, and one loop over it.

A rule says which variable (by the end of its name; scopes above do not matter), which key, what its dimensions mean and
what to do with the numbers. The dimensions of all variables together fix the sizes of the model, and must agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from convert.errors import MappingError

COPY = "copy"
SWAP_ROWS = "swap_rows"  # the token-type row that the graph adds must be row 0, Hugging Face's default
TRANSPOSE = "transpose"  # a TensorFlow kernel is [inputs, outputs], a torch weight is [outputs, inputs]
MERGE_HEADS = "merge_heads"  # [heads, size] becomes [heads * size]; the bytes stay as they are
MERGE_HEADS_TRANSPOSE = "merge_heads_transpose"  # the same of a kernel, and then as above

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

    @property
    def pattern(self) -> re.Pattern[str]:
        """The regular expression that a variable's whole name must match."""
        layered = re.escape(self.variable).replace(r"\{i\}", r"(?P<i>\d+)")
        return re.compile(rf"(?:.*/)?{layered}")


def _dense(variable: str, key: str, inputs: str, outputs: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{variable}/kernel", f"{key}.weight", (inputs, outputs), TRANSPOSE),
        Rule(f"{variable}/bias", f"{key}.bias", (outputs,)),
    )


def _layer_norm(variable: str, key: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{variable}/gamma", f"{key}.weight", ("hidden_size",)),
        Rule(f"{variable}/beta", f"{key}.bias", ("hidden_size",)),
    )


_LAYER, _ENCODER = "encoder/layer_{i}", "encoder.layer.{i}"

# The variable names of the original BERT code (google-research/bert, modeling.py), as LEALLA's checkpoints have them.
BERT_TF1: tuple[Rule, ...] = (
    Rule("embeddings/word_embeddings", "embeddings.word_embeddings.weight", ("vocab_size", "hidden_size")),
    Rule(
        "embeddings/token_type_embeddings",
        "embeddings.token_type_embeddings.weight",
        ("type_vocab_size", "hidden_size"),
    ),
    Rule(
        "embeddings/position_embeddings",
        "embeddings.position_embeddings.weight",
        ("max_position_embeddings", "hidden_size"),
    ),
    *_layer_norm("embeddings/LayerNorm", "embeddings.LayerNorm"),
    *_dense(f"{_LAYER}/attention/self/query", f"{_ENCODER}.attention.self.query", "hidden_size", "hidden_size"),
    *_dense(f"{_LAYER}/attention/self/key", f"{_ENCODER}.attention.self.key", "hidden_size", "hidden_size"),
    *_dense(f"{_LAYER}/attention/self/value", f"{_ENCODER}.attention.self.value", "hidden_size", "hidden_size"),
    *_dense(f"{_LAYER}/attention/output/dense", f"{_ENCODER}.attention.output.dense", "hidden_size", "hidden_size"),
    *_layer_norm(f"{_LAYER}/attention/output/LayerNorm", f"{_ENCODER}.attention.output.LayerNorm"),
    *_dense(f"{_LAYER}/intermediate/dense", f"{_ENCODER}.intermediate.dense", "hidden_size", "intermediate_size"),
    *_dense(f"{_LAYER}/output/dense", f"{_ENCODER}.output.dense", "intermediate_size", "hidden_size"),
    *_layer_norm(f"{_LAYER}/output/LayerNorm", f"{_ENCODER}.output.LayerNorm"),
    *_dense("pooler/dense", "pooler.dense", "hidden_size", "hidden_size"),
)


def _heads(variable: str, key: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{variable}/kernel", f"{key}.weight", ("hidden_size", *HEADS), MERGE_HEADS_TRANSPOSE),
        Rule(f"{variable}/bias", f"{key}.bias", HEADS, MERGE_HEADS),
    )


_BLOCK = "transformer/layer_{i}"

# The variable names of TensorFlow Model Garden (tensorflow/models, official/nlp/modeling: networks/bert_encoder.py and
# layers/transformer_encoder_block.py), which exported LaBSE/2, the BERT collections and their kin.
BERT_TF2: tuple[Rule, ...] = (
    Rule("word_embeddings/embeddings", "embeddings.word_embeddings.weight", ("vocab_size", "hidden_size")),
    Rule("type_embeddings/embeddings", "embeddings.token_type_embeddings.weight", ("type_vocab_size", "hidden_size")),
    Rule(
        "position_embedding/embeddings",
        "embeddings.position_embeddings.weight",
        ("max_position_embeddings", "hidden_size"),
    ),
    *_layer_norm("embeddings/layer_norm", "embeddings.LayerNorm"),
    *_heads(f"{_BLOCK}/self_attention/query", f"{_ENCODER}.attention.self.query"),
    *_heads(f"{_BLOCK}/self_attention/key", f"{_ENCODER}.attention.self.key"),
    *_heads(f"{_BLOCK}/self_attention/value", f"{_ENCODER}.attention.self.value"),
    Rule(
        f"{_BLOCK}/self_attention/attention_output/kernel",
        f"{_ENCODER}.attention.output.dense.weight",
        (*HEADS, "hidden_size"),
        MERGE_HEADS_TRANSPOSE,
    ),
    Rule(f"{_BLOCK}/self_attention/attention_output/bias", f"{_ENCODER}.attention.output.dense.bias", ("hidden_size",)),
    *_layer_norm(f"{_BLOCK}/self_attention_layer_norm", f"{_ENCODER}.attention.output.LayerNorm"),
    *_dense(f"{_BLOCK}/intermediate", f"{_ENCODER}.intermediate.dense", "hidden_size", "intermediate_size"),
    *_dense(f"{_BLOCK}/output", f"{_ENCODER}.output.dense", "intermediate_size", "hidden_size"),
    *_layer_norm(f"{_BLOCK}/output_layer_norm", f"{_ENCODER}.output.LayerNorm"),
    *_dense("pooler_transform", "pooler.dense", "hidden_size", "hidden_size"),
)

FAMILIES: Mapping[str, tuple[Rule, ...]] = {"BERT": BERT_TF1, "BERT of TensorFlow Model Garden": BERT_TF2}


def family_of(names: Iterable[str]) -> tuple[Rule, ...]:
    """Return the table that has a rule for the most of the variables `names`."""
    listed = list(names)
    return max(FAMILIES.values(), key=lambda rules: sum(any(r.pattern.fullmatch(n) for r in rules) for n in listed))


@dataclass(frozen=True)
class Mapped:
    """One variable paired with one key.

    Attributes:
        variable: the name in the checkpoint.
        key: the state-dict key.
        operation: that of the rule, or SWAP_ROWS (`row` and row 0 change places).
        shape: the shape of the tensor under `key`.
        row: the row that SWAP_ROWS brings to the front.
    """

    variable: str
    key: str
    operation: str
    shape: tuple[int, ...]
    row: int = 0


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
    rules: Iterable[Rule] | None = None,
    also_called: Mapping[str, str] | None = None,
) -> Pairing:
    """Pair every variable with a state-dict key.

    Args:
        variables: name → shape of each variable that reaches the output.
        rules: the table of the model family; by default the one of `FAMILIES` that fits best.
        also_called: name → another name, for a variable whose own has no rule: a Saver may keep one under a name of its
            choice, such as that of its moving average.

    Raises:
        MappingError: a variable has no rule, a key has no or two variables, or a shape does not fit; lists the names.
    """
    also_called = also_called or {}
    rules = tuple(rules) if rules is not None else family_of([*variables, *also_called.values()])
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
            "The graph is not a whole BERT encoder, or its variable names are of an unknown family.",
        )
    last = next(found[key][0] for key in reversed(wanted) if key.startswith(f"encoder.layer.{layers - 1}."))
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
        "The model is not a plain BERT encoder, or names its variables in an unknown way: report it.",
    )


def _expected(rules: tuple[Rule, ...], layers: int) -> Iterable[str]:
    """Yield every state-dict key of a model with `layers` layers, in the order of `BertModel.state_dict()`."""
    layered = [rule.key for rule in rules if "{i}" in rule.key]
    first = next(i for i, rule in enumerate(rules) if "{i}" in rule.key)
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
    return Mapped(name, key, rule.operation, _target(name, rule, shape, sizes["hidden_size"]))


def _target(name: str, rule: Rule, shape: tuple[int, ...], hidden: Size) -> tuple[int, ...]:
    """Return the shape of the tensor that a variable of `shape` becomes."""
    if HEADS[0] in rule.shape:
        at = rule.shape.index(HEADS[0])
        merged = shape[at] * shape[at + 1]
        if merged != hidden.value:
            raise MappingError(
                f"Variable '{name}' has {shape[at]} heads of {shape[at + 1]}, which is not the hidden size {hidden.value}, "
                f"as read from '{hidden.variable}'.",
                "A BertModel cannot have such heads.",
            )
        shape = (*shape[:at], merged, *shape[at + 2 :])
    return shape[::-1] if rule.operation in (TRANSPOSE, MERGE_HEADS_TRANSPOSE) else shape


def tensor_of(item: Mapped, value: np.ndarray) -> np.ndarray:
    """Return the tensor that goes under `item.key`, from the value of its variable."""
    if item.operation == SWAP_ROWS:
        order = np.arange(len(value))
        order[[0, item.row]] = item.row, 0
        return np.asarray(value[order])
    if item.operation in (TRANSPOSE, MERGE_HEADS_TRANSPOSE):
        return value.reshape(item.shape[::-1]).T
    return value.reshape(item.shape)
