"""The mapping against TensorFlow's own checkpoint reader and the loaded Hugging Face class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from references import Reference

import hub2hf
from hub2hf.architectures.base import MODEL_FILE, NOTICE
from hub2hf.architectures.bert import ARCHITECTURE
from hub2hf.architectures.bert.names import FAMILIES
from hub2hf.errors import MappingError
from hub2hf.savedmodel.model import SavedModel
from hub2hf.state_dict import COPY, MERGE_HEADS, mapped_vector, pair, steps_of, tensor_of


def shapes(reference: Reference) -> dict[str, tuple[int, ...]]:
    variables = SavedModel.open(reference.folder).checkpoint.variables
    return {name: v.shape for name, v in variables.items() if not name.endswith("_real")}


def test_every_tensor_is_that_of_the_checkpoint(variant: Reference, tmp_path: Path) -> None:
    import tensorflow as tf
    from transformers import AutoModel

    conversion = hub2hf.convert(variant.folder, tmp_path / "out")
    model, loading = AutoModel.from_pretrained(conversion.out, trust_remote_code=True, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    state = model.state_dict()
    reader = tf.train.load_checkpoint(str(variant.folder / "variables" / "variables"))
    mapped = {item.variable: item for item in conversion.blueprint.encoder.mapped}
    for name in reader.get_variable_to_shape_map():
        if name.endswith("_real"):
            assert name not in mapped
            continue
        expected, item = reader.get_tensor(name), mapped.pop(name)
        expected = expected.T if name.endswith("kernel") else expected
        assert np.array_equal(state.pop(item.key).numpy(), expected)
    assert not mapped
    assert list(state) == [NOTICE] * (conversion.out / MODEL_FILE).is_file()


def test_a_missing_variable_is_named(reference) -> None:  # noqa: ANN001
    variables = shapes(reference("plain"))
    del variables["student_bert/encoder/layer_1/output/dense/bias"]
    with pytest.raises(MappingError, match=r"fills encoder\.layer\.1\.output\.dense\.bias"):
        pair(variables, FAMILIES)


def test_a_variable_without_rule_is_named(reference) -> None:  # noqa: ANN001
    with pytest.raises(MappingError, match="'student_bert/adapter/kernel' reaches the output and has no rule"):
        pair({**shapes(reference("plain")), "student_bert/adapter/kernel": (2, 2)}, FAMILIES)


def test_two_variables_for_one_key_are_named(reference) -> None:  # noqa: ANN001
    with pytest.raises(MappingError, match="'student_bert/pooler/dense/bias' and 'teacher/pooler/dense/bias' both"):
        pair({**shapes(reference("plain")), "teacher/pooler/dense/bias": (32,)}, FAMILIES)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("pooler/dense/bias", (33,), "hidden_size should be 32, as read from 'student_bert/embeddings/word"),
        ("encoder/layer_2/intermediate/dense/kernel", (32, 65), "intermediate_size should be 64"),
        ("encoder/layer_0/attention/self/query/kernel", (32, 4, 8), r"has shape \[32, 4, 8\]"),
    ],
)
def test_a_wrong_shape_is_named(reference, name: str, shape: tuple[int, ...], said: str) -> None:  # noqa: ANN001
    with pytest.raises(MappingError, match=said):
        pair({**shapes(reference("plain")), f"student_bert/{name}": shape}, FAMILIES)


def test_elements_are_laid_out_as_they_are_numbered() -> None:
    numbers = np.arange(60).reshape(3, 4, 5)[:, 1:3].ravel()
    axes = steps_of(numbers)
    assert [(axis.count, axis.step) for axis in axes] == [(3, 20), (10, 1)]
    item = mapped_vector("pooler.dense.bias", "variable", (60,), int(numbers[0]), axes)
    assert np.array_equal(tensor_of(item, np.arange(60.0)), numbers)
    for whole, operation in (((30,), COPY), ((5, 6), MERGE_HEADS)):
        assert mapped_vector("key", "variable", whole, 0, steps_of(np.arange(30))).operation == operation


@pytest.mark.parametrize("numbers", [[0, 1, 3, 4, 7], [3, 2, 1], [0, 2, 3, 4]])
def test_elements_in_no_regular_order_are_refused(numbers: list[int]) -> None:
    with pytest.raises(MappingError, match="no regular order"):
        steps_of(np.asarray(numbers))


def test_a_view_beyond_its_variable_is_refused() -> None:
    item = mapped_vector("pooler.dense.bias", "variable", (10,), 4, steps_of(np.arange(8)))
    with pytest.raises(MappingError, match="'variable' is too small for 'pooler"):
        tensor_of(item, np.zeros(10))


def test_names_of_every_family_are_told_apart() -> None:
    layer = "encoder.layer.3.attention.output.dense.weight"
    for name in (
        "a/bert/encoder/layer_3/attention/output/dense/kernel",
        "transformer/layer_3/self_attention/attention_output/kernel",
        "transformer/layer_3/self_attention_output/kernel",
        "bert_model/encoder/layer_3/self_attention_output/kernel",
    ):
        assert ARCHITECTURE.keys_named(name) == {layer}
    assert ARCHITECTURE.keys_named("_all_variables/5") == set()
