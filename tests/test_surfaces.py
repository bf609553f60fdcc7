"""The ways of loading: one list, which all ask, and which needs no PyTorch until a folder is loaded."""

from __future__ import annotations

import ast
import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from references import ROOT

from hub2hf.equivalence.tolerances import load_tolerances
from hub2hf.errors import SourceError
from hub2hf.extras import known_versions
from hub2hf.names import listed
from hub2hf.surfaces import ENCODER, SURFACES, applying, chosen, named, reads, title
from hub2hf.surfaces.base import Loaded, Surface
from hub2hf.surfaces.devices import DEVICES, PLACED, placed

FILES = {"config.json", "model.safetensors", "tokenizer.json", "modules.json", "onnx/model.onnx"}


ONNX = [
    *("fastembed", "onnx-runtime", "openvino", "optimum", "sentence-transformers-onnx", "transformers-js"),
    *("openvino-tokenizers", "optimum-feature-extraction"),
]


def never(folder: Path, trusted: bool) -> Loaded:
    raise AssertionError("nothing is loaded here")


def surface(name: str, *, own: tuple[str, ...] = (), libraries: tuple[str, ...] = ()) -> Surface:
    return Surface(name, "load()", never, True, libraries, "everything", own=own)


def test_the_exact_ones_come_first_and_each_is_found_by_its_name() -> None:
    assert [way.exact for way in SURFACES.values()] == [True] * 13 + [False] * 9
    assert list(SURFACES) == [
        *("automodel", "fastembed", "haystack", "infinity", "langchain", "llamaindex"),
        *("onnx-runtime", "openvino", "optimum"),
        *("sentence-transformers", "sentence-transformers-onnx", "sentence-transformers-openvino"),
        "transformers-js",
        *(
            "automodel-cuda",
            "automodel-mps",
            "bertmodel",
            "berttokenizerfast",
            "openvino-tokenizers",
            "optimum-feature-extraction",
        ),
        *("sentence-transformers-cuda", "sentence-transformers-mps", "sentence-transformers-openvino-default"),
    ]
    assert all(name == way.name for name, way in SURFACES.items())
    assert ENCODER in SURFACES


def test_pytorch_is_not_imported_to_ask_what_is_known() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'transformers', 'sentence_transformers')));"
        "import hub2hf.cli, hub2hf.surfaces as s; print(*s.SURFACES)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*SURFACES]


def test_those_that_apply_are_taken_and_the_unknown_is_refused() -> None:
    assert [way.name for way in applying(FILES)] == [
        *("automodel", "onnx-runtime", "sentence-transformers", "bertmodel", "berttokenizerfast")
    ]
    assert "sentence-transformers" not in [way.name for way in applying(FILES - {"modules.json"})]
    assert chosen([], FILES) == applying(FILES)
    assert chosen(["bertmodel"], FILES) == [SURFACES["bertmodel"]]
    with pytest.raises(
        SourceError, match=r"Unknown way of loading: flax\. Choose from: AutoModel, fastembed, Haystack"
    ):
        chosen(["bertmodel", "flax"], FILES)


def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it() -> None:
    assert surface("a", libraries=("numpy",)).versions() == {"numpy": metadata.version("numpy")}
    with pytest.raises(SourceError, match=r"no-such-runtime, .* as a, is not installed\. .*\[everything\]"):
        surface("a", libraries=("numpy", "no-such-runtime")).versions()


def test_a_version_that_was_never_tested_is_named_with_those_that_were(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "6.1.0" if name == "transformers" else real(name))
    with pytest.raises(
        SourceError, match=r"transformers 6\.1\.0, .*never tested.* transformers<6,>=4\.57\. Install.*\[torch\]"
    ):
        SURFACES["automodel"].versions()


def test_each_library_that_is_here_is_of_a_version_that_was_tested() -> None:
    assert known_versions("sentence_transformers", "torch").contains("6.2.0")
    assert not known_versions("sentence-transformers", "frameworks").contains("7.0.0")
    assert known_versions("sentence-transformers", "infinity").contains("3.4.1")
    assert known_versions("tokenizers", "torch") == known_versions("tokenizers", "onnx") != SpecifierSet()
    for name in ("automodel", "sentence-transformers", "onnx-runtime"):
        assert SURFACES[name].versions()


def on_device(value: object) -> str:
    device = getattr(value, "device", None)
    return device.type if device is not None else ""


ABSENT = [device for device, (_, there) in DEVICES.items() if not there()]


@pytest.mark.parametrize("way", ["automodel", "sentence-transformers"])
def test_another_device_gives_what_it_computed_there(way: str, converted: Path) -> None:
    """No GPU is needed: on the processor nothing changes, and on `meta`, which has no numbers, everything arrives."""
    (load,) = (load for known, load, _ in PLACED if known.name == way)
    texts = ["dog", "Puppies are nice."]
    found = placed(load, "cpu")(converted, True).embed(texts)
    assert (found.embeddings == SURFACES[way].load(converted, True).embed(texts).embeddings).all()
    elsewhere, seen = placed(load, "meta")(converted, True), []
    encoder = next(part for part in elsewhere.model.modules() if hasattr(part, "embeddings"))  # type: ignore[attr-defined]
    encoder.register_forward_pre_hook(
        lambda _, args, given: seen.append({*map(on_device, given.values())}), with_kwargs=True
    )
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        elsewhere.embed(texts)
    assert "cpu" not in set().union(*seen)
    assert seen or way == "sentence-transformers"  # which asks for a number before


def test_ways_on_a_device_are_asked_for_by_it_and_no_other_way_runs_there() -> None:
    assert [way.name for way in chosen([], (), "cuda")] == ["automodel-cuda", "sentence-transformers-cuda"]
    assert [way.name for way in chosen(["automodel"], (), "mps")] == ["automodel-mps"]
    with pytest.raises(
        SourceError, match=r"Unknown way of loading on cuda: ONNX Runtime. Choose from: AutoModel, sentence-tr"
    ):
        chosen(["onnx"], (), "cuda")
    with pytest.raises(SourceError, match=r"There is no device 'tpu'. Choose from: cpu, cuda, mps"):
        chosen([], (), "tpu")
    for device in ABSENT:
        with pytest.raises(SourceError, match=f"There is no {device} device on this machine. Leave out --device"):
            SURFACES[f"automodel-{device}"].versions()


def test_a_folder_with_an_onnx_file_alone_is_loaded_by_what_runs_that() -> None:
    assert [way.name for way in applying({"onnx/model.onnx", "tokenizer.json", "config.json"})] == ["onnx-runtime"]


def test_a_way_reads_all_but_what_only_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for way in (
        surface("onnx-runtime", own=("onnx/model.onnx",)),
        surface("faster", own=("onnx/model.onnx", "openvino/")),
    ):
        monkeypatch.setitem(SURFACES, way.name, way)
    assert [name for name in SURFACES if reads(name, "onnx/model.onnx")] == [*ONNX, "faster"]
    assert [name for name in SURFACES if reads(name, "onnx/model.onnx_data")] == [*ONNX, "faster"]
    assert [name for name in SURFACES if reads(name, "onnx/model_fp16.onnx")] == [], "no way loads it unasked"
    assert [name for name in SURFACES if reads(name, "openvino/model.bin")] == ["faster"]
    assert [name for name in SURFACES if reads(name, "onnx.json")] == list(SURFACES)
    assert reads("of a later version", "onnx/model.onnx"), "what is not known may read anything"


def test_those_that_are_exact_have_a_tolerance_and_the_others_say_why_not() -> None:
    tolerances = load_tolerances().surfaces
    assert tolerances.keys() == {name for name, way in SURFACES.items() if way.exact}
    assert max(allowed.tolerance for allowed in tolerances.values()) <= 2e-6
    assert all(way.exact is not bool(way.differs) for way in SURFACES.values())


def test_reports_call_a_way_by_its_title() -> None:
    names = ("berttokenizerfast", "sentence-transformers", "of a later version")
    assert [title(name) for name in names] == ["BertTokenizerFast", "sentence-transformers", "of a later version"]


def test_a_way_has_one_name_however_a_person_or_an_earlier_version_spells_it() -> None:
    assert {name: named(way.title) for name, way in SURFACES.items()} == {name: name for name in SURFACES}
    assert len(SURFACES) == len({way.title for way in SURFACES.values()}) == 22
    earlier = {"card": "BertTokenizerFast", "snippet": "BertTokenizerFast", "bert": "BertModel", "onnx": "ONNX Runtime"}
    assert {name: title(name) for name in earlier} == earlier
    assert chosen(["ONNX Runtime", "onnx", "AutoModel"], FILES) == chosen(["onnx-runtime", "automodel"], FILES)
    assert [reads(name, "onnx/model.onnx") for name in ("snippet", "onnx")] == [False, True]


def test_what_is_not_exact_says_why() -> None:
    assert [name for name, way in SURFACES.items() if way.differs] == [
        n for n, way in SURFACES.items() if not way.exact
    ]


def test_a_name_stands_whole_in_a_list_with_commas() -> None:
    assert [way.title for way in SURFACES.values() if listed(way.title) != [way.title]] == []


def test_the_line_of_code_is_one_of_python() -> None:
    for way in SURFACES.values():
        ast.parse(way.code.format(id="me/model", trust=", trust_remote_code=True", dim=32, length=128))
        assert "{" not in way.code.format(id="me/model", trust="", dim=32, length=128)


def test_no_other_room_names_a_way_of_its_own() -> None:
    """Whoever lists the ways lists one whose name means nothing else."""
    named = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "convert").rglob("*.py")
        if "surfaces" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in SURFACES.keys() - {"onnx-runtime", "sentence-transformers"}
    ]
    assert named == []


def test_two_that_load_a_model_class_do_not_disturb_each_other(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What transformers does with its copy of the file of the class, two would do at the same moment."""
    from transformers import dynamic_module_utils

    meeting, copied, real = threading.Barrier(2), [], dynamic_module_utils.get_cached_module_file

    def copy(*arguments: Any, **options: Any) -> str:
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(1)
            copied.append("at once")
        found = str(real(*arguments, **options))
        copied.append(Path(found).name)
        return found

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.setattr(dynamic_module_utils, "get_cached_module_file", copy)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: SURFACES["automodel"].load(converted, True).ids(["ein Hund"]), range(2)))
    assert found[0] == found[1]
    assert set(copied) == {"modeling_hub2hf.py"}
