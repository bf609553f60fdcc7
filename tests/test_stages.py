"""What is read of an encoder, in small: stages, activations, axes of products, and when two stages are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hub2hf.analysis.epsilon import read_epsilon
from hub2hf.analysis.flow import Join, Norm
from hub2hf.analysis.products import contracted, free, last_comes_from
from hub2hf.analysis.read import SAME, Read
from hub2hf.analysis.run import Probe
from hub2hf.architectures.activations import ACTIVATIONS, identify_activation, normalise
from hub2hf.architectures.bert import ARCHITECTURE as BERT
from hub2hf.architectures.encoder import DenseRead
from hub2hf.architectures.head import HeadRead
from hub2hf.architectures.post_norm.reference import stages
from hub2hf.blueprint.encoder.prove import same
from hub2hf.blueprint.probe import marked_ids, probe_texts
from hub2hf.blueprint.vocabulary.lines import count_lines, lines_in, lines_of
from hub2hf.errors import GraphError, MappingError
from hub2hf.savedmodel.node import Node, TensorRef
from hub2hf.state_dict import COPY, MERGE_HEADS, mapped_vector, steps_of, tensor_of

IDS = np.asarray([[5, 2, 0, 0], [5, 3, 2, 0]])
PROBE = Probe.padded(IDS, 0)
HIDDEN = 4
SIZES = {"layers": (0,), "heads": 2, "activation": "relu", "epsilon": 0.1}


def node(name: str, op: str, *inputs: str, **attrs: Any) -> Node:
    return Node(name, op, tuple(map(TensorRef, inputs)), (), "", {}, {}, attrs)


class TestSame:
    EXPECTED = np.arange(5.0 * HIDDEN).reshape(5, HIDDEN)  # the five tokens that count

    def test_what_is_no_number_is_not_the_same(self) -> None:
        found = self.EXPECTED.copy()
        assert same(found, self.EXPECTED, PROBE)
        found[1, 1] = np.nan
        assert not same(found, self.EXPECTED, PROBE)
        assert not same(found, found, PROBE)

    def test_a_little_is_the_same_and_more_is_not(self) -> None:
        assert same(self.EXPECTED + 0.4 * SAME, self.EXPECTED, PROBE)
        assert not same(self.EXPECTED + 2 * SAME, self.EXPECTED, PROBE)
        assert not same(self.EXPECTED - 2 * SAME, self.EXPECTED, PROBE)

    def test_padding_is_nobodys_concern(self) -> None:
        whole = np.full((*IDS.shape, HIDDEN), 9.0)
        whole[PROBE.counted] = self.EXPECTED
        assert same(whole, self.EXPECTED, PROBE)
        whole[0, 1, 0] += 1
        assert not same(whole, self.EXPECTED, PROBE)

    def test_places_may_come_before_texts(self) -> None:
        whole = np.full((*IDS.shape, HIDDEN), 9.0)
        whole[PROBE.counted] = self.EXPECTED
        assert same(whole.swapaxes(0, 1), self.EXPECTED, PROBE)
        whole[1, 0, 0] += 1
        assert not same(whole.swapaxes(0, 1), self.EXPECTED, PROBE)

    def test_another_number_of_tokens_is_not_the_same(self) -> None:
        assert not same(self.EXPECTED[:4], self.EXPECTED, PROBE)


def test_the_first_token_counts_though_nothing_attends_to_it() -> None:
    assert Probe.padded(np.asarray([[0, 2, 0]]), 0).counted.tolist() == [[True, True, False]]
    assert PROBE.attended.tolist() == [[True, True, False, False], [True, True, True, False]]


def weights(layers: int = 1) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1).standard_normal
    found = {"embeddings.word_embeddings.weight": draw((6, HIDDEN))}
    found["embeddings.token_type_embeddings.weight"] = draw((2, HIDDEN))
    found["embeddings.position_embeddings.weight"] = draw((9, HIDDEN))
    dense = {"attention.self.query": 4, "attention.self.key": 4, "attention.self.value": 4, "attention.output.dense": 4}
    for i in range(layers):
        start = f"encoder.layer.{i}"
        for name in dense:
            found[f"{start}.{name}.weight"], found[f"{start}.{name}.bias"] = draw((4, 4)), draw(4)
        found[f"{start}.intermediate.dense.weight"], found[f"{start}.intermediate.dense.bias"] = draw((6, 4)), draw(6)
        found[f"{start}.output.dense.weight"], found[f"{start}.output.dense.bias"] = draw((4, 6)), draw(4)
        for name in (f"{start}.attention.output", f"{start}.output", "embeddings"):
            found[f"{name}.LayerNorm.weight"], found[f"{name}.LayerNorm.bias"] = draw(4), draw(4)
    found["head.0.weight"], found["head.0.bias"] = draw((4, 4)), draw(4)
    return found


def test_stages_are_those_of_bert_written_out_token_by_token() -> None:
    held = weights()
    probe = Probe(IDS, IDS != 0, np.ones_like(IDS))
    found = dict(stages(probe, held.__getitem__, **SIZES))

    def norm(x: np.ndarray, key: str) -> np.ndarray:
        scaled = (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 0.1)
        return scaled * held[f"{key}.LayerNorm.weight"] + held[f"{key}.LayerNorm.bias"]

    def dense(x: np.ndarray, key: str) -> np.ndarray:
        return held[f"{key}.weight"] @ x + held[f"{key}.bias"]

    tables = [held[f"embeddings.{name}_embeddings.weight"] for name in ("word", "token_type", "position")]
    x = [norm(tables[0][i] + tables[1][1] + tables[2][at], "embeddings") for at, i in enumerate([5, 3, 2])]
    layer, attention = "encoder.layer.0", "encoder.layer.0.attention"
    query, key, value = ([dense(v, f"{attention}.self.{n}") for v in x] for n in ("query", "key", "value"))
    rows = []
    for at, start in enumerate(x):
        context = []
        for head in (slice(0, 2), slice(2, 4)):
            powers = np.exp([query[at][head] @ k[head] / np.sqrt(2) for k in key])
            context.append(sum(p * v[head] for p, v in zip(powers / powers.sum(), value, strict=True)))
        middle = norm(start + dense(np.concatenate(context), f"{attention}.output.dense"), f"{attention}.output")
        inner = np.maximum(dense(middle, f"{layer}.intermediate.dense"), 0)
        rows.append(norm(middle + dense(inner, f"{layer}.output.dense"), f"{layer}.output"))
    np.testing.assert_allclose(found["embeddings"][2:], x, atol=1e-12)
    np.testing.assert_allclose(found["layer 0"][2:], rows, atol=1e-12)


def test_the_end_of_the_stages_written_out() -> None:
    held, states = weights(), np.random.default_rng(2).standard_normal((5, HIDDEN))
    head = HeadRead(Read("first", ""), (DenseRead(4, True, "tanh", ""),), Read(True, ""))
    found = dict(head.stages(states, PROBE, held.__getitem__))
    first = states[[0, 2]]
    pooled = np.tanh(first @ held["head.0.weight"].T + held["head.0.bias"])
    np.testing.assert_allclose(found["pooling"], first, atol=1e-12)
    np.testing.assert_allclose(found["pooled"], pooled, atol=1e-12)
    for row, unit in zip(pooled, found["embedding"], strict=True):
        np.testing.assert_allclose(unit, row / np.sqrt((row * row).sum()), atol=1e-12)


def test_what_is_not_attended_to_changes_nothing() -> None:
    held = weights()
    attended = np.asarray([[False, True, True]])
    found = []
    for first in (1, 2):  # the first token counts, and only itself sees what it is
        ids = np.asarray([[first, 3, 4]])
        found.append(dict(stages(Probe(ids, attended, np.zeros_like(ids)), held.__getitem__, **SIZES))["layer 0"])
    assert not np.allclose(found[0][0], found[1][0])
    np.testing.assert_allclose(found[0][1:], found[1][1:], atol=1e-12)


@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_told_from_its_values(name: str, normal: bool) -> None:
    function = ACTIVATIONS[name].function
    start, end = node("a", "BiasAdd"), TensorRef("b")
    read, normalised = identify_activation(
        lambda x: normalise(function(x)) if normal else function(x), (3, 16), start, end, last=True
    )
    assert (read.value, normalised.value) == (name, normal)


def test_an_activation_that_is_none_is_refused() -> None:
    for odd in (lambda x: np.minimum(ACTIVATIONS["relu"].function(x), 50.0), lambda x: x * 1.00001, np.sin):
        with pytest.raises(GraphError, match="is none of: gelu_tanh"):
            identify_activation(odd, (3, 16), node("a", "BiasAdd"), TensorRef("b"), last=True)


def test_known_values_of_activations() -> None:
    expected = {"gelu_tanh": 0.8411919906, "gelu_erf": 0.8413447461, "relu": 1.0, "tanh": 0.7615941560, "none": 1.0}
    for name, value in expected.items():
        assert ACTIVATIONS[name].function(np.asarray([1.0]))[0] == pytest.approx(value, abs=1e-9)


def test_an_epsilon_is_the_one_under_the_root() -> None:
    def norm(number: str, value: float) -> dict[str, Node]:
        found = [
            node(f"variance{number}", "Mean", "x"),
            node(f"epsilon{number}", "Const", value=np.float32(value)),
            node(f"sum{number}", "AddV2", f"variance{number}", f"epsilon{number}"),
            node(f"root{number}", "Rsqrt", f"sum{number}"),
            node(f"scaled{number}", "Mul", "x", f"root{number}"),
            node(f"beta{number}", "AddV2", f"scaled{number}", "b"),
        ]
        return {one.name: one for one in found}

    def ending(number: str) -> Norm:
        join = Join(nodes[f"beta{number}"], 1, ("b",), 0)
        return Norm(join, join)

    nodes = {**norm("1", 1e-12), **norm("2", 1e-12), **norm("3", 1e-6), "x": node("x", "Var"), "b": node("b", "Var")}
    read = read_epsilon(nodes, [ending("1"), ending("2")])
    assert (read.value, read.evidence) == (1e-12, "node 'epsilon1'")
    with pytest.raises(GraphError, match=r"differ: 1e-12 .* 1e-06"):
        read_epsilon(nodes, [ending("1"), ending("3")])
    with pytest.raises(GraphError, match="No epsilon"):
        read_epsilon({**nodes, "sum1": node("sum1", "Sub", "variance1", "epsilon1")}, [ending("1")])


@pytest.mark.parametrize(
    ("product", "summed", "kept", "last"),
    [
        (node("n", "MatMul"), [(-1,), (-2,)], [(-2,), (-1,)], 1),
        (node("n", "MatMul", transpose_b=True), [(-1,), (-1,)], [(-2,), (-2,)], 1),
        (node("n", "BatchMatMulV2", adj_x=True), [(-2,), (-2,)], [(-1,), (-1,)], 1),
        (node("n", "Einsum", equation="abc,cde->abde"), [(2,), (0,)], [(0, 1), (1, 2)], 1),
        (node("n", "Einsum", equation="...c,cd->...d"), [(-1,), (0,)], [(), (1,)], 1),
        (node("n", "Einsum", equation="dc,abc->abd"), [(1,), (2,)], [(0,), (0, 1)], 0),
    ],
)
def test_axes_of_a_product(product: Node, summed: list[Any], kept: list[Any], last: int) -> None:
    assert [contracted(product, position) for position in (0, 1)] == summed
    assert [free(product, position) for position in (0, 1)] == kept
    assert last_comes_from(product) == last


def test_probe_words_stand_on_both_sides_of_the_limit() -> None:
    sizes = {len(word.encode()) for text in probe_texts(100) for word in text.split() if len(word) > 20}
    assert {100, 101} <= sizes
    for letter in "aяก𐐀":
        of_letter = [len(word.encode()) for text in probe_texts(100) for word in text.split() if set(word) == {letter}]
        assert min(of_letter) <= 100 < max(of_letter)
    assert max(len(text.split()) for text in probe_texts(100)) > 50


def test_ids_beside_the_integers_of_a_graph_are_looked_at() -> None:
    assert marked_ids([7, 30], {8}, 31) == [7, 30, 6, 29]


def test_lines_of_a_vocabulary_are_counted_from_nothing(tmp_path) -> None:  # noqa: ANN001
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"a\r\nb\nc\nb")
    assert lines_of(path, {"a", "b", "z"}) == {"a": 0, "b": 1}
    assert (count_lines(path), list(lines_in(path))) == (4, [b"a", b"b", b"c", b"b"])


def test_views_of_a_variable_are_taken_out_where_they_are() -> None:
    numbers = np.arange(24).reshape(2, 3, 4)[:, 1, :].ravel()
    item = mapped_vector("pooler.dense.bias", "v", (24,), int(numbers[0]), steps_of(numbers))
    assert tensor_of(item, np.arange(24.0)).tolist() == numbers.tolist()
    assert mapped_vector("k", "v", (6,), 0, steps_of(np.arange(6))).operation == COPY
    assert mapped_vector("k", "v", (2, 3), 0, steps_of(np.arange(6))).operation == MERGE_HEADS
    with pytest.raises(MappingError, match="no regular order"):
        steps_of(np.asarray([0, 1, 3, 4, 7]))
    with pytest.raises(MappingError, match="too small"):
        tensor_of(item, np.zeros(16))


def test_names_of_variables_are_known_in_any_scope() -> None:
    key = "encoder.layer.11.attention.self.query.weight"
    assert BERT.keys_named("a/b/encoder/layer_11/attention/self/query/kernel") == {key}
    assert BERT.keys_named("encoder/layer_x/attention/self/query/kernel") == set()
