"""The part of the card on ways of loading: none is silent."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hub2hf.folder.about import of_ways, read_proof
from hub2hf.folder.manifest import Manifest, read_manifest
from hub2hf.folder.ways import ways_table
from hub2hf.proof import Proof
from hub2hf.surfaces import CPU, SURFACES
from hub2hf.surfaces.servers import SERVERS, Facts

LEALLA = Facts(["onnx/model.onnx"], "first", "gelu_tanh", ["gelu_tanh"])


@pytest.fixture(scope="module")
def found(verified: Path) -> tuple[Manifest, Proof]:
    manifest = read_manifest(verified)
    proof = read_proof(verified, manifest)
    assert proof is not None
    return manifest, proof


def test_every_way_is_in_it_measured_or_not(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    for text in (ways_table(manifest, proof), ways_table(manifest, None)):
        # What nobody measured on a GPU is nothing to tell, and not that it differs.
        assert [name for name, way in SURFACES.items() if (f"| {way.title} | `" in text) != (way.device == CPU)] == []
        assert [server.name for server in SERVERS if f"- {server.name} {server.version}: " not in text] == []


def test_a_row_has_the_libraries_that_it_was_measured_with(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    (row,) = [line for line in ways_table(manifest, proof).splitlines() if line.startswith("| sentence-transformers |")]
    versions = proof.conditions["sentence-transformers"].versions
    assert "sentence-transformers" in versions
    assert all(f"{name} {version}" in row for name, version in versions.items())


def test_one_that_is_known_to_differ_says_so_where_it_was_not_measured(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    text = ways_table(manifest, proof)
    assert re.search(
        r"^\| OpenVINO Tokenizers \| `convert_tokenizer\(.*max_length=128\)` \| \*\*not the same\*\*: OpenVINO .* "
        r"give OpenVINO the ids of tokenizers \|$",
        text,
        re.MULTILINE,
    )


def test_one_that_is_exact_but_for_some_texts_names_them(found: tuple[Manifest, Proof]) -> None:
    told = '| LangChain | `HuggingFaceEmbeddings(model_name=".")` | exact, except in texts with line breaks |'
    assert told in ways_table(*found)


def test_code_leads_to_the_embedding(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    (layer,) = manifest.blueprint["encoder"]["dense"]
    wider = {**manifest.blueprint["encoder"], "dense": [{**layer, "outputs": 48}]}
    text = ways_table(manifest, proof)
    assert "dim=32);" in text
    assert "dim=48);" in ways_table(replace(manifest, blueprint={**manifest.blueprint, "encoder": wider}), proof)
    assert '`AutoModel.from_pretrained(".", trust_remote_code=True)(**inputs).pooler_output`' in text
    assert '`InferenceSession("onnx/model.onnx").run(["sentence_embedding"], inputs)`' in text
    assert '`BertTokenizerFast.from_pretrained("."), BertModel.from_pretrained(".")`' in text
    assert "loaded with BertModel, whose pooler is another" in text


def test_what_was_not_measured_is_a_table_of_its_own(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    for text in (ways_table(manifest, proof), ways_table(manifest, None)):
        before, _, after = text.partition(
            "\n\nNot measured for this folder:\n\n| loaded with | as | on other folders made by hub2hf |\n|:--|:--|:--|\n| "
        )
        assert before.splitlines()[-1].strip()
        assert "\n\nNot run, but judged by their source code:\n\n- " in after
    coarse = ways_table(replace(manifest, lossy={"kind": "float16"}), None)
    assert '\n| LangChain | `HuggingFaceEmbeddings(model_name=".")` |  |\n' in coarse
    assert "fastembed" not in coarse


def test_one_that_differs_elsewhere_says_so_where_it_was_exact(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    name = "sentence-transformers-openvino-default"
    own = of_ways(proof, {"sentence-transformers"})
    renamed = replace(
        own,
        rows=[replace(row, surface=name) for row in own.rows],
        conditions={name: own.conditions["sentence-transformers"]},
    )
    assert "default) was exact where it was measured, but on a processor with bfloat16 units" in ways_table(
        manifest, renamed
    )


def test_the_file_that_a_way_needs_is_named(found: tuple[Manifest, Proof]) -> None:
    manifest, proof = found
    files = {name: entry for name, entry in manifest.files.items() if not name.startswith("onnx/")}
    without = ways_table(replace(manifest, files=files), proof)
    assert re.search(r"^\| fastembed \| .* \| exact; first run `hub2hf export FOLDER onnx` \|$", without, re.MULTILINE)
    given = replace(manifest, files={**files, "onnx/model.onnx": {}})
    assert "first run" not in ways_table(given, proof)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (LEALLA, "take the output `sentence_embedding`, the embedding.* Candle, .* refuses this folder"),
        (replace(LEALLA, files=[]), "there is no ONNX file .* Candle, .* refuses this folder"),
        (replace(LEALLA, activations=["tanh"]), "Candle, .* takes every module"),
        (replace(LEALLA, activations=["tanh"], hidden_activation="gelu_erf"), "Candle, .* close, not exact"),
        (replace(LEALLA, pooler="max"), "^refuses this folder: it has no such pooling"),
    ],
)
def test_what_text_embeddings_inference_does_depends_on_the_folder(facts: Facts, says: str) -> None:
    (server,) = [server for server in SERVERS if server.name == "text-embeddings-inference"]
    assert re.search(says, server.tells(facts))
