"""What JavaScript makes of a folder, in Node and in Chromium: `make test` and `make fuzz` install the packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from hub2hf.surfaces.web import node

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".cache" / "javascript"
SCRIPTS = ROOT / "tests" / "javascript"
LIBRARIES = ("tokenizers", "transformers")


def is_installed() -> bool:
    """Whether the packages are there."""
    return (PACKAGES / "installed").is_file()


class JavaScriptSide:
    """A folder's `tokenizer.json`, read by one of `LIBRARIES`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take over a process that has loaded the folder."""
        self.process = process

    def __call__(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, as many as there are."""
        assert self.process.stdout
        writing = Thread(target=self._write, args=(texts,))  # Node stops to read while nobody reads what it writes
        writing.start()
        found = [json.loads(self.process.stdout.readline()) for _ in texts]
        writing.join()
        return found

    def _write(self, texts: list[str]) -> None:
        assert self.process.stdin
        self.process.stdin.writelines(json.dumps(text) + "\n" for text in texts)
        self.process.stdin.flush()


def _node(script: str, *arguments: object) -> list[str]:
    """Return the command that runs a script of `SCRIPTS`; in `PACKAGES`, it finds the packages."""
    return node((SCRIPTS / script).read_text(encoding="utf-8"), *arguments)


def in_chromium(chromium: str, folder: Path, batches: list[list[str]], screenshot: Path) -> dict[str, Any]:
    """Return what the page of a folder shows, and the embedding of each text that it gives, in headless Chromium.

    Args:
        chromium: the program.
        folder: for the browser.
        batches: texts.
        screenshot: a PNG file to write.

    Returns:
        similarity, of the two sentences on the page; same, of one with itself; said, problems; embeddings.
    """
    with tempfile.TemporaryDirectory() as scratch:
        served = shutil.copytree(folder, Path(scratch) / "served")
        beside, modules = served / "transformers", PACKAGES / "node_modules"
        beside.mkdir()
        shutil.copy(modules / "@huggingface" / "transformers" / "dist" / "transformers.min.js", beside)
        for file in (modules / "onnxruntime-web" / "dist").glob("ort-wasm-simd-threaded*"):
            shutil.copy(file, beside)
        done = subprocess.run(
            _node("browser.mjs", chromium, served, screenshot.resolve()),
            input=json.dumps(batches),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def javascript_side(library: str, folder: Path) -> Iterator[JavaScriptSide]:
    """Start Node on a folder with `tokenizer.json` and `tokenizer_config.json`, and end it.

    Raises:
        RuntimeError: the library cannot load the folder; what it says is on standard error.
    """
    with subprocess.Popen(
        _node("ids.mjs", library, folder.resolve()),
        cwd=PACKAGES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "\n":
            raise RuntimeError(f"{library} does not load {folder}")
        yield JavaScriptSide(process)
        process.stdin.close()
