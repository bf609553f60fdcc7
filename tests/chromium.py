"""A page in headless Chromium, by the DevTools protocol over pipes: what a person sees and types."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8}  # Windows's codes


class Tab:
    """A tab of the browser.

    Args:
        asking, answering: the browser's pipes; a message of either ends with a zero byte.
    """

    def __init__(self, asking: BinaryIO, answering: BinaryIO) -> None:
        self.asking, self.answering, self.last, self.session = asking, answering, 0, ""
        target = next(one for one in self.send("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self.session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return what the browser answers."""
        self.last += 1
        session = {"sessionId": self.session} if self.session else {}
        message = {"id": self.last, "method": method, "params": parameters, **session}
        self.asking.write(json.dumps(message).encode() + b"\0")
        self.asking.flush()
        while True:
            answer = json.loads(b"".join(iter(lambda: self.answering.read(1), b"\0")))
            if answer.get("id") == self.last:
                assert "error" not in answer, answer
                found: dict[str, Any] = answer["result"]
                return found

    def see(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, file: Path, width: int = 1400) -> None:
        """Open a file and wait until it is there."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.send("Page.navigate", url=file.resolve().as_uri())
        self.see("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.send("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """Write what is seen as PNG."""
        file.write_bytes(b64decode(self.send("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """Start Chromium, and end it.

    Args:
        profile: an empty folder.
    """
    program = next(filter(None, map(shutil.which, NAMES)), None)
    assert program, "Install Chromium, on Debian with apt-get install chromium"
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    # The browser reads descriptor 3 and writes 4.
    script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", program, *flags, "about:blank"],
        pass_fds=(theirs_in, theirs_out),
        stderr=subprocess.DEVNULL,
    )
    for descriptor in (theirs_in, theirs_out):
        os.close(descriptor)
    try:
        with os.fdopen(ours_out, "wb") as asking, os.fdopen(ours_in, "rb") as answering:
            yield Tab(asking, answering)
    finally:
        process.terminate()
        process.wait()
