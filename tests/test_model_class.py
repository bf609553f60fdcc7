"""The model class in the hands of others: trained, saved, traced, compiled; and what is said where it is not used.

`make transformers4` runs this with transformers 4, too. One folder, loaded once, is shared.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references import EMBEDDED
from transformers import AutoModel, AutoTokenizer, Trainer, TrainingArguments

import hub2hf
from hub2hf.architectures import MODEL_FILE, NOTICE
from hub2hf.architectures.bert import modeling_hub2hf
from hub2hf.tokenizer import tokenizer_files

TEXTS = ["dog", "Puppies are nice.", "犬はいいです"]
TOLERANCE = 2e-6
# Of the embedded model's unit embeddings: 1.12e-3 and 1.09e-2, which `measured_in` prints with `pytest -s`.
REDUCED = {torch.float16: 3e-3, torch.bfloat16: 3e-2}

Inputs = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def inputs(converted: Path) -> Inputs:
    """Return the texts as a padded batch."""
    return dict(AutoTokenizer.from_pretrained(converted)(TEXTS, return_tensors="pt", padding=True))


@pytest.fixture(scope="module")
def model(converted: Path) -> Any:
    """Return the model with its own class; not to be changed."""
    return loaded(converted)


def loaded(folder: Path, **options: Any) -> Any:
    return AutoModel.from_pretrained(folder, trust_remote_code=True, **options).eval()


def embedded(model: Any, inputs: Inputs) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(model(**inputs).pooler_output.float())


def assert_same(found: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    assert found.shape == expected.shape
    assert np.abs(np.asarray(found) - np.asarray(expected)).max() < tolerance


class TowardsOne(Trainer):  # type: ignore[misc, unused-ignore]
    """A training whose loss is of the embedding."""

    def compute_loss(self, model: Any, inputs: Inputs, return_outputs: bool = False, **kwargs: Any) -> Any:
        outputs = model(**inputs)
        loss = (1 - outputs.pooler_output[:, 0]).mean()
        return (loss, outputs) if return_outputs else loss


def test_a_step_of_training_is_taken_and_what_is_saved_is_the_model(
    converted: Path, inputs: Inputs, model: Any, tmp_path: Path
) -> None:
    pytest.importorskip("accelerate")
    tokenizer = AutoTokenizer.from_pretrained(converted)
    settings = TrainingArguments(
        output_dir=str(tmp_path / "work"),
        max_steps=1,
        report_to=[],
        use_cpu=True,
        learning_rate=1e-2,
        disable_tqdm=True,
    )
    data = [{**tokenizer(text), "not_an_argument": 1} for text in TEXTS]  # the signature of forward tells which are
    trainer = TowardsOne(model=loaded(converted), args=settings, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(tmp_path / "trained"))
    trained = embedded(trainer.model.eval(), inputs)
    assert np.abs(trained - embedded(model, inputs)).max() > 0.01
    assert trained[:, 0].mean() > embedded(model, inputs)[:, 0].mean()
    assert_same(embedded(loaded(tmp_path / "trained"), inputs), trained)


def saved_by_automodel(converted: Path, out: Path) -> None:
    loaded(converted).save_pretrained(out)


def saved_by_sentence_transformers(converted: Path, out: Path) -> None:
    sentence_transformer(converted, trust_remote_code=True).save_pretrained(str(out))


def saved_by_sentence_transformers_without_remote_code(converted: Path, out: Path) -> None:
    sentence_transformer(converted).save_pretrained(str(out))


def sentence_transformer(folder: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True, **options)


def test_what_automodel_saves_is_the_model(converted: Path, inputs: Inputs, model: Any, tmp_path: Path) -> None:
    saved_by_automodel(converted, tmp_path / "once")
    saved_by_automodel(tmp_path / "once", tmp_path / "twice")
    assert (tmp_path / "twice" / MODEL_FILE).read_bytes() == (converted / MODEL_FILE).read_bytes()
    assert json.loads((tmp_path / "twice" / "config.json").read_text())["auto_map"] == {
        "AutoModel": "modeling_hub2hf.HubEncoderModel"
    }
    assert_same(embedded(loaded(tmp_path / "twice"), inputs), embedded(model, inputs))


def test_the_class_file_comes_along_whoever_made_the_model(model: Any, tmp_path: Path) -> None:
    """In transformers 4, only a class that asks for it."""
    made = modeling_hub2hf.HubEncoderModel(model.config)
    made.save_pretrained(tmp_path)
    assert (tmp_path / MODEL_FILE).is_file()


@pytest.mark.parametrize("save", [saved_by_sentence_transformers, saved_by_sentence_transformers_without_remote_code])
def test_what_sentence_transformers_saves_is_the_model(
    save: Callable[[Path, Path], None], converted: Path, inputs: Inputs, model: Any, tmp_path: Path
) -> None:
    out, expected = tmp_path / "saved", embedded(model, inputs)
    save(converted, out)
    for options in ({}, {"trust_remote_code": True}) if (out / MODEL_FILE).exists() else ({},):
        assert_same(sentence_transformer(out, **options).encode(TEXTS), expected)
    if save is saved_by_sentence_transformers:
        assert_same(embedded(loaded(out), inputs), expected)
    else:  # a stock class saves no file of ours: it is asked for by name, and nothing else is taken in its place
        with pytest.raises(OSError, match=MODEL_FILE):
            loaded(out)


@pytest.mark.parametrize("dtype", REDUCED, ids=str)
def test_fewer_bits_are_close(dtype: torch.dtype, converted: Path, inputs: Inputs, model: Any) -> None:
    for found in (loaded(converted, dtype=dtype), loaded(converted).to(dtype)):
        difference = np.abs(embedded(found, inputs) - embedded(model, inputs)).max()
        print(f"{dtype}: {difference:.2e}")
        assert next(found.parameters()).dtype == dtype
        assert 0 < difference < REDUCED[dtype]


def test_it_is_compiled_and_placed(converted: Path, inputs: Inputs, model: Any) -> None:
    expected = embedded(model, inputs)
    compiled = torch.compile(loaded(converted), backend="eager", fullgraph=True)
    assert_same(embedded(compiled, inputs), expected)
    pytest.importorskip("accelerate")
    assert_same(embedded(loaded(converted, device_map="cpu"), inputs), expected)


@pytest.mark.slow  # a C++ compiler is called
def test_it_is_compiled_to_machine_code(converted: Path, inputs: Inputs, model: Any) -> None:
    assert_same(embedded(torch.compile(loaded(converted)), inputs), embedded(model, inputs))


def test_gradients_are_the_same_where_states_are_computed_again(converted: Path, inputs: Inputs) -> None:
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    plain = loaded(converted, **quiet).train()
    again = copy.deepcopy(plain)
    again.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert again.is_gradient_checkpointing
    for each in (plain, again):
        each(**inputs).pooler_output[:, 0].sum().backward()
    pairs = dict(again.named_parameters())
    for name, parameter in plain.named_parameters():
        assert_same(pairs[name].grad, parameter.grad, 1e-5 * max(1.0, float(parameter.grad.abs().max())))


def test_it_is_traced_and_exported_for_any_batch(inputs: Inputs, model: Any) -> None:
    names = ("input_ids", "attention_mask")
    given = tuple(inputs[name] for name in names)
    other = tuple(torch.cat([value, value])[:5, :4] for value in given)
    expected = embedded(model, dict(zip(names, other, strict=True)))
    traced = torch.jit.trace(model, given, strict=False, check_trace=False)
    assert_same(traced(*other)["pooler_output"].detach(), expected)
    batch, length = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("length", min=2, max=128)
    shapes = {name: {0: batch, 1: length} for name in names}
    program = torch.export.export(model, (), dict(zip(names, given, strict=True)), dynamic_shapes=shapes)
    with torch.no_grad():
        assert_same(program.module()(**dict(zip(names, other, strict=True))).pooler_output, expected)


# Never silently wrong

SAID = """
import sys, torch
from transformers import AutoModel, BertModel, BertTokenizerFast

def at(name):
    print(f"--{name}", file=sys.stderr, flush=True)

at("automodel")
stock = AutoModel.from_pretrained(sys.argv[1])
assert type(stock) is BertModel
at("again")
AutoModel.from_pretrained(sys.argv[2])
at("snippet")
tokenizer = BertTokenizerFast.from_pretrained(sys.argv[1])
model = BertModel.from_pretrained(sys.argv[1]).eval()
with torch.no_grad():
    outputs = model(**tokenizer(["dog", "Puppies are nice."], return_tensors="pt", padding=True))
assert outputs.pooler_output.shape == (2, 32) and torch.equal(model.pooler.dense.weight, stock.pooler.dense.weight)
at("own")
AutoModel.from_pretrained(sys.argv[1], trust_remote_code=True)
"""


def told(code: str, *arguments: object) -> dict[str, str]:
    """Return what is said on standard error by the parts of a program, at the libraries' default levels of logging."""
    levels = ("TRANSFORMERS_VERBOSITY", "TRANSFORMERS_NO_ADVISORY_WARNINGS", "PYTHONWARNINGS")
    environment = {name: value for name, value in os.environ.items() if name not in levels}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^--(\w+)\n", done.stderr, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_whoever_loads_a_stock_class_is_told_the_remedy(converted: Path, tmp_path: Path) -> None:
    saved_by_automodel(converted, tmp_path)
    said = told(SAID, converted, tmp_path)
    assert said.keys() == {"automodel", "again", "snippet", "own"}
    assert "trust_remote_code" in NOTICE
    assert NOTICE in said["automodel"]
    assert NOTICE in said["snippet"]
    assert NOTICE not in said["own"]
    from transformers import __version__

    if int(__version__.split(".")[0]) > 4:  # 4 says it of a class that config.json names, which is the own one there
        assert NOTICE in said["again"]


def test_the_class_expects_the_notice_and_does_without_it(converted: Path, model: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    assert modeling_hub2hf.NOTICE == NOTICE
    assert model.get_buffer(NOTICE).shape == (0,)
    folder = shutil.copytree(converted, tmp_path / "older")
    weights = load_file(folder / "model.safetensors")
    assert weights.pop(NOTICE).numel() == 0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _, found = AutoModel.from_pretrained(folder, trust_remote_code=True, output_loading_info=True)
    assert {name: list(found[name]) for name in ("missing_keys", "unexpected_keys")} == {
        "missing_keys": [],
        "unexpected_keys": [],
    }


@pytest.mark.slow  # 501,153 pieces, which are fetched
def test_no_version_takes_the_full_vocabulary_for_another_tokenizer(converted: Path, tmp_path: Path) -> None:
    from fetch_vocabulary import fetch_vocabulary

    vocabulary = fetch_vocabulary()
    text = replace(hub2hf.inspect(EMBEDDED).text, vocabulary=vocabulary)
    tokenizer_files(text, 501_153, tmp_path)
    shutil.copy(converted / "config.json", tmp_path)
    code = "import sys; print('--loaded', file=sys.stderr); from transformers import AutoTokenizer as A; "
    code += "print(A.from_pretrained(sys.argv[1])('dog').input_ids)"
    assert told(code, tmp_path)["loaded"] == ""
    config = json.loads((tmp_path / "config.json").read_text())
    del config["transformers_version"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    from transformers import __version__

    said = told(code, tmp_path)["loaded"]
    assert ("incorrect regex pattern" in said) == __version__.startswith("4.57"), said
