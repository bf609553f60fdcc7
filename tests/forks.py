"""Commands in processes of their own, forked from one that has imported what they need: importing takes most of the time.

The process that is forked has not imported huggingface_hub, which reads the environment when it is imported, nor TensorFlow,
nor PyTorch. It is one for each worker of pytest, and starts when it is first needed.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOT_IMPORTED = {"huggingface_hub", "tensorflow", "torch", "transformers"}


class Forks:
    """The process that is forked, and how it is asked: a line of JSON for each command, the exit code in return."""

    def __init__(self) -> None:
        self.server: subprocess.Popen[str] | None = None

    def run(
        self, code: str, *arguments: str, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Do what `python -c code arguments` does, in that environment and folder."""
        with tempfile.TemporaryDirectory() as place:
            files = [str(Path(place) / name) for name in ("out", "error")]
            asked = {
                "code": code,
                "argv": ["-c", *arguments],
                "env": dict(env),
                "cwd": str(cwd or Path.cwd()),
                "files": files,
            }
            returncode = self._ask(json.dumps(asked), timeout)
            out, error = (Path(file).read_text(encoding="utf-8") for file in files)
        return subprocess.CompletedProcess(asked["argv"], returncode, out, error)

    def _ask(self, line: str, timeout: float) -> int:
        if self.server is None:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.server = subprocess.Popen([sys.executable, __file__], start_new_session=True, **pipes)
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(line + "\n")
        self.server.stdin.flush()
        with selectors.DefaultSelector() as ready:
            ready.register(self.server.stdout, selectors.EVENT_READ)
            if not ready.select(timeout):
                self.close()
                raise subprocess.TimeoutExpired(line, timeout)
        return int(self.server.stdout.readline())

    def close(self) -> None:
        """End the process and what it has started."""
        if self.server is not None:
            os.killpg(self.server.pid, 9)
            self.server.communicate()
            self.server = None


def serve() -> None:
    """Fork for each line, wait for the child, and tell its exit code. A child returns, and ends as any program does."""
    import hub2hf.cli
    import hub2hf.folder.about
    import hub2hf.hub.push  # noqa: F401

    sleep = time.sleep
    time.sleep = lambda seconds: sleep(seconds / 20)  # as often as ever, and sooner

    assert not NOT_IMPORTED & set(sys.modules)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            break
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Run the code in this process as Python does with `-c`."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, name in enumerate((os.devnull, *asked["files"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = asked["argv"]
    sys.path[0] = ""
    exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})


if __name__ == "__main__":
    serve()
