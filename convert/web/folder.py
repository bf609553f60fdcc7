"""Write the folder for the browser, from the files of a converted folder: nothing but Python is needed.

Its `tokenizer.json` is another one: the reason is in `hub2hf.tokenizer.javascript`. Before it is handed over, the words that
the folder's own gives for all characters and for the texts of the proof are held against those that a model of JavaScript
gives with the other one. That no library does anything else in truth is shown in Node, by the test suite and `make fuzz`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from hub2hf.architectures import architecture_of_facts
from hub2hf.blueprint.asked.generated import characters, joined, mixed_texts
from hub2hf.blueprint.probe import probe_texts
from hub2hf.blueprint.text import TextBlueprint
from hub2hf.errors import ExportError, pasted
from hub2hf.folder.about import check_unedited
from hub2hf.folder.files import hash_files, write_json
from hub2hf.folder.manifest import BROWSER, MANIFEST, check_unchanged, manifest_for_python
from hub2hf.folder.staging import check_free, staged
from hub2hf.folder.tokenizer_proof import points, words_of
from hub2hf.surfaces.onnxruntime import FOLDER
from hub2hf.tokenizer import read_vocabulary, write_javascript_files
from hub2hf.web.rules import check_by_words, text_of
from hub2hf.web.words import words_in_javascript

PAGE: Final = ("index.html", BROWSER)
TOKENIZER: Final = "tokenizer.json"
EVERY, TEXTS, SIZE = 17, 100, 60  # of characters in long ranges one in so many; texts of that many characters


def export_web(folder: Path, out: Path, *, force: bool = False) -> Path:
    """Write a folder for Transformers.js, and return it.

    Args:
        folder: made by `convert`, with ONNX files, which come along.
        out: the folder to make.
        force: replace `out` if it is there and holds nothing but what hub2hf wrote.

    Raises:
        ExportError: hub2hf did not make the folder, it is not as its manifest says, JavaScript cannot follow a rule of its
            text side, there is no ONNX file, or `out` cannot be written. Then `out` is as it was.
        GraphError: an operation of the text side is not understood.
    """
    manifest = manifest_for_python(folder)
    check_free(out, force, folder)
    check_unedited(out)
    check_unchanged(folder, manifest)
    check_by_words(folder, manifest.blueprint)
    onnx = [name for name in manifest.files if name.startswith(FOLDER)]
    if not onnx:
        raise ExportError(
            f"{folder} has no ONNX file, which a browser could run.",
            f"Write one: {pasted('hub2hf', 'export', folder, 'onnx')}",
        )
    vocabulary = read_vocabulary(folder / "vocab.txt")
    text = text_of(manifest.blueprint, vocabulary.path)
    with staged(out, force) as work:
        write_javascript_files(text, vocabulary, work, architecture_of_facts(manifest.blueprint["encoder"]).inputs)
        check_words(text, folder / TOKENIZER, work / TOKENIZER)
        for name in ("config.json", "special_tokens_map.json", *onnx):
            (work / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / name, work / name)
        for name in PAGE:
            (work / name).write_bytes(resources.files("hub2hf.web").joinpath(name).read_bytes())
        write_json(work / MANIFEST, replace(manifest, files=hash_files(work)).to_json())
    return out


def check_words(text: TextBlueprint, rust: Path, javascript: Path) -> None:
    """Hold the words that JavaScript looks up against those of the folder's own tokenizer.

    Args:
        text: the text side.
        rust: `tokenizer.json` of the folder, which is proved against the graph.
        javascript: the other one.

    Raises:
        ExportError: they differ; names the text that shows it.
    """
    expected = Tokenizer.from_file(str(rust))
    found = words_in_javascript(json.loads(javascript.read_text(encoding="utf-8")))
    for given in texts(text.wordpiece.max_bytes_per_word):
        theirs, ours = words_of(expected, given), found(given)
        if theirs != ours:
            there, here = next(pair for pair in zip((*theirs, ""), (*ours, ""), strict=False) if pair[0] != pair[1])
            steps = ", ".join(operation.evidence for operation in text.operations)
            raise ExportError(
                f"JavaScript cannot follow the text operations ({steps}): of {given[:SIZE]!r} it makes "
                f"{here[:SIZE]!r} ({points(here[:8])}), and not {there[:SIZE]!r} ({points(there[:8])}).",
                "Use the folder from Python, and report the model.",
            )


def texts(max_bytes: int) -> Iterator[str]:
    """Yield the texts of the proof of the tokenizer, and all characters, among letters and beside others."""
    every = characters(EVERY)
    yield from probe_texts(max_bytes)
    yield from joined((f"a{c}b " for c in every), SIZE * 8)
    yield from mixed_texts(every, count=TEXTS)
