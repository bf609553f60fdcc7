"""Encoders written in any way: the place in the computation tells what each variable is, and TensorFlow that it is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_recipes import VOCABULARY
from foreign_structures import Built, Form, build
from transformers import AutoModel

import hub2hf
from hub2hf.analysis.places import Asking, nested_axes
from hub2hf.analysis.read import Read
from hub2hf.architectures.post_norm import mapping, recognised
from hub2hf.errors import GraphError, Hub2HFError, MappingError
from hub2hf.savedmodel.model import SavedModel
from hub2hf.state_dict import COPY, TRANSPOSE, VIEW, Mapped

TOLERANCE = 2e-6

GOOD = {
    "one-hot words, row of types": Form(words="one_hot", types="row", places="gather"),
    "one-hot words in rows, slice of types": Form(words="one_hot_flat", types="slice", places="one_hot"),
    "clipped ids, one-hot types": Form(words="clip", types="one_hot"),
    "lookup under a conditional": Form(words="cond", types="given_one_hot", dropout="cond"),
    "switch and merge": Form(words="cond", dropout="cond", legacy=True),
    "dropout as a product": Form(dropout="ones", scaled="query", epsilon=1e-6),
    "scores times a number": Form(twist="temperature"),
    "three kernels in one product": Form(joined="concat", split="split"),
    "one variable, split by sizes": Form(joined="one", split="splitv", resource=True),
    "one variable, sliced": Form(joined="one", split="slice", scaled="query"),
    "one variable, strided": Form(joined="one", split="strided"),
    "one variable, unstacked": Form(joined="one", split="unstack"),
    "heads with the three beside each other": Form(joined="one", split="interleaved"),
    "kernels stored turned": Form(kernels="turned"),
    "kernels transposed": Form(kernels="transposed", norm="folded"),
    "heads apart": Form(kernels="apart", norm="fused"),
    "heads apart, flattened": Form(kernels="apart_flat", norm="reversed"),
    "what is in a head before the heads": Form(kernels="sizes_first", resource=True),
    "tensordot": Form(kernels="tensordot", norm="fused_last", epsilon=1e-5),
    "heads one by one, norms that divide": Form(scores="one by one", norm="divided"),
    "keys before queries, the first asks alone": Form(scores="turned", asked="first", kernels="convolved"),
    "layers stacked, kernels stored turned": Form(stacked="parts", kernels="turned", frozen=True),
    "layers stacked, in a loop": Form(stacked="loop", joined="one", resource=True, layers=3),
    "layers stacked, in a loop of TensorFlow 1": Form(stacked="loop", legacy=True),
    "names that say nothing": Form(names="blind", joined="one", split="unstack"),
    "names that swap query and key": Form(names="swapped"),
    "a partitioned variable, looked up by turns": Form(words="mod"),
    "a partitioned variable, looked up in order": Form(words="div", resource=True),
    "a partitioned variable, put together": Form(words="concat"),
    "shards, one of which is chosen, frozen": Form(words="chosen", frozen=True),
    "shards that are added under masks": Form(words="masked"),
    "shards put together twice": Form(words="nested"),
    "frozen": Form(frozen=True),
    "frozen, joined": Form(frozen=True, joined="concat", dropout="cond", words="one_hot", types="row"),
    "mask of minus infinity": Form(twist="infinite"),
}

# Twist → what the one error must name.
WRONG = {
    "blind": "layer 0",
    "weak": "layer 0",
    "relative": "relative",
    "offset": "embeddings",
    "types_of_ids": "embeddings",
    "long": "1 texts of 48 ids",
    "seventeen": "no probe has seen",
    "first": "embeddings",
    "tied": "whose weights are used 3 times",
    "mean": "the mean over all tokens",
    "epsilon": "epsilons differ",
    "pre_norm": "LayerNorm",
    "no_residual": "layer 1",
    "activation": "layer 1",
    "relu6": "none of",
    "cut_off": "none of",
}

# Words → what the error must say: rows that no id leads to, a shard that is scaled, another shard for long texts.
SHARDED_WRONGLY = {
    "uneven": "a table of words",
    "unlike": "a table of words",
    "switched": "every id up in the same row",
}


def apart(built: Built, out: Path) -> float:
    """Return how far the converted folder is from TensorFlow, over a batch of texts of all lengths."""
    model = AutoModel.from_pretrained(out, trust_remote_code=True).eval()
    given = [torch.from_numpy(part.astype(np.int64)) for part in (built.ids, built.mask, built.types)]
    with torch.no_grad():
        found = model(input_ids=given[0], attention_mask=given[1], token_type_ids=given[2]).pooler_output
    return float(np.abs(found.numpy() - built.embedding).max())


@pytest.mark.parametrize("name", GOOD)
def test_any_form_converts_exactly(name: str, tmp_path: Path) -> None:
    built, out = build(tmp_path / "model", GOOD[name]), tmp_path / "out"
    hub2hf.convert(built.folder, out, vocab=VOCABULARY)
    assert apart(built, out) <= TOLERANCE


@pytest.mark.parametrize("twist", WRONG)
def test_another_computation_is_refused(twist: str, tmp_path: Path) -> None:
    types = "row" if twist == "types_of_ids" else "given"
    built = build(tmp_path / "model", Form(twist=twist, types=types, layers=3))
    with pytest.raises(Hub2HFError) as refusal:
        hub2hf.convert(built.folder, tmp_path / "out", vocab=VOCABULARY)
    assert WRONG[twist] in str(refusal.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("words", "named"), SHARDED_WRONGLY.items())
def test_shards_that_make_no_table_are_refused(words: str, named: str, tmp_path: Path) -> None:
    built = build(tmp_path / "model", Form(words=words, layers=1))
    with pytest.raises(Hub2HFError, match=named):
        hub2hf.convert(built.folder, tmp_path / "out", vocab=VOCABULARY)


def test_ids_that_are_changed_far_up_are_refused(tmp_path: Path) -> None:
    built = build(tmp_path / "model", Form(words="clip_early", layers=1))
    with pytest.raises(GraphError, match="changes ids"):
        hub2hf.convert(built.folder, tmp_path / "out", vocab=VOCABULARY)


def turned(*given: object) -> Mapped:
    """A fault: square kernels are not turned."""
    item = mapping_of(*given)
    return replace(item, operation=COPY) if item.operation == TRANSPOSE and len(set(item.shape)) == 1 else item


def beside(*given: object) -> Mapped:
    """A fault: a part of a variable begins one element late."""
    item = mapping_of(*given)
    return replace(item, start=item.start + 1) if item.operation == VIEW and item.start == 0 else item


mapping_of = mapping.mapped_matrix
FAULTS = {
    "kernels that are not turned": (mapping, "mapped_matrix", turned, Form(), "layer 0"),
    "parts that begin late": (mapping, "mapped_matrix", beside, Form(joined="one"), "layer 0"),
    "queries taken for keys": (Asking, "keys_are_queries", lambda *_: True, Form(), "layer 0"),
    "one epsilon for another": (
        recognised,
        "read_epsilon",
        lambda nodes, norms, ask: Read(1e-3, ""),
        Form(epsilon=1e-5),
        "embeddings",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_proof_sees_a_false_reading(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, fault, form, stage = FAULTS[name]
    built = build(tmp_path / "model", form)
    monkeypatch.setattr(module, attribute, fault)
    with pytest.raises(GraphError, match=f"the stage '{stage}'"):
        hub2hf.inspect(built.folder, vocab=VOCABULARY)


@pytest.mark.parametrize("counts", [(7,), (3, 4), (4, 2, 3), (1,)])
def test_axes_that_were_joined_are_told_apart(counts: tuple[int, ...]) -> None:
    numbers = np.arange(np.prod(counts)).reshape(counts).T.ravel()
    axes = nested_axes(len(numbers), lambda place: int(numbers[place]))
    grid = np.meshgrid(*(np.arange(axis.count) * axis.step for axis in axes), indexing="ij")
    np.testing.assert_array_equal(np.ravel(sum(grid)), numbers)
    assert len(axes) == len(counts)


def test_places_of_no_axes_are_refused() -> None:
    with pytest.raises(MappingError, match="no regular order"):
        nested_axes(6, [0, 1, 2, 3, 4, 9].__getitem__)


def test_what_was_read_of_a_form(tmp_path: Path) -> None:
    joined = hub2hf.inspect(
        build(tmp_path / "joined", Form(joined="one", split="interleaved")).folder, vocab=VOCABULARY
    )
    query = {item.key: item for item in joined.encoder.mapped}["encoder.layer.1.attention.self.query.weight"]
    assert (query.operation, query.shape, query.start, query.named) == (VIEW, (24, 24), 0, False)
    assert [(axis.count, axis.step) for axis in query.axes] == [(3, 24), (8, 1), (24, 72)]
    frozen = build(tmp_path / "frozen", Form(frozen=True)).folder
    found = hub2hf.inspect(frozen, vocab=VOCABULARY).encoder
    assert (len(found.frozen), found.unused) == (len(found.mapped), ())
    assert all(item.named for item in found.mapped)
    assert [path.name for path in SavedModel.open(frozen).files] == ["saved_model.pb"]
