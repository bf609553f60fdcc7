"""A real HTTP server on this machine that serves files well or badly, as it is told."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """A file, and what goes wrong with its next requests, one after another.

    A fault is a status (with headers), or "cut" (after `cut_at` bytes), "stall", "drip", "wrong part" or "no range".
    """

    content: bytes = b""
    faults: list[Any] = field(default_factory=list)
    etag: str | None = "content"
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int = 1000
    slow: float = 0.0
    requests: list[dict[str, str]] = field(default_factory=list)

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"' if self.etag == "content" else self.etag or ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, Served]

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        served = self.files.get(self.path)
        if served is None:
            self.answer(404)
            return
        served.requests.append(dict(self.headers))
        fault = served.faults.pop(0) if served.faults else None
        if isinstance(fault, tuple):
            self.answer(fault[0], **fault[1])
            return
        self.serve(served, fault)

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve(self, served: Served, fault: Any) -> None:
        start, whole = 0, len(served.content)
        asked = self.headers.get("Range", "")
        if asked and self.headers.get("If-Range") == served.tag and fault != "no range":
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= whole:
                self.answer(416)
                return
        start += 1 if fault == "wrong part" else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        if served.tag:
            self.send_header("ETag", served.tag)
        for name, value in served.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in served.headers:
            self.send_header("Content-Length", str(whole - start))
        self.end_headers()
        self.body(served, served.content[start:], fault)

    def body(self, served: Served, data: bytes, fault: Any) -> None:
        if fault in ("cut", "stall", "drip"):
            self.close_connection = True
            data = data[: served.cut_at]
        try:
            for at in range(0, len(data), 5000):
                self.wfile.write(data[at : at + 5000])
                self.wfile.flush()
                time.sleep(served.slow)
            for _ in range(20 if fault == "drip" else 0):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
            if fault == "stall":
                time.sleep(2)
        except OSError:  # the client has gone
            pass


@contextmanager
def serving() -> Iterator[tuple[str, dict[str, Served]]]:
    """Yield the address of a server and its files by path."""
    handler = type("Files", (Handler,), {"files": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.files
        server.shutdown()
