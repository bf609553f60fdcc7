"""A Hugging Face Hub on loopback for tests: what the real client sends is stored, and faults are made on demand.

It serves models to huggingface_hub 0.36 and 2.4, without Xet. Usage:

    with HubServer(token="hf_test") as hub:
        hub.faults.append(Fault("/commit/", "POST", after_handling=True))
        subprocess.run([sys.executable, "-c", script], env=hub.environment(tmp_path))
        assert hub.repositories["tester/model"].files("main")["config.json"] == b"{}"

`hub.requests` tells what was asked, in order. A Repository has `files(revision)`, `commits`, `pull_requests` and `private`
(hub_repository.py). What is answered at each address is in hub_routes.py and hub_uploads.py.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from re import search
from typing import Any

import hub_uploads  # noqa: F401  its routes are declared where it is imported
from hub_repository import HubError
from hub_routes import Answer, Call, Hub, answer


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of a kind.

    With `status` a request gets that answer and is not carried out. Without, the connection is cut: at once, or with
    `after_bytes` when so many bytes of an upload came, or of a download went. With `after_handling` the request is
    carried out first, so that the client doesn't learn that it was. With `delay` alone it is only late.

    Args:
        path: a regular expression found in the path as sent, query included; `/` in a revision is `%2F` there.
        method: such as POST; any if empty.
        status: the status of the answer.
        headers: its headers, such as Retry-After.
        times: how many requests (math.inf: all); counted down, so that 0 tells that the fault happened.
        after_bytes: where to cut the connection, in bytes of the request's body, or of the answer's if it has none.
        meanwhile: what happens before anything else, while the client waits.
        delay: seconds after that.
        after_handling: carry out the request before `status` or the cut.
        body: the text of the answer; if None, an error in JSON as the Hub writes it. Gateways often answer with HTML.
    """

    path: str
    method: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: float = 1
    after_bytes: int | None = None
    delay: float = 0.0
    after_handling: bool = False
    body: str | None = None
    meanwhile: Callable[[], object] = field(default=bool, repr=False)

    @property
    def cuts(self) -> bool:
        """Say whether the connection ends before the client has its answer, with nothing changed by the request."""
        return self.status is None and not self.after_handling and (self.after_bytes is not None or not self.delay)

    def answer(self) -> Answer | None:
        """Return the answer that the client gets, None if the connection is cut."""
        if self.status is None:
            return None
        made = Answer.failure(HubError(self.status, "A fault of the test"))
        if self.body is not None:
            made = Answer(self.status, self.body.encode(), {"Content-Type": "text/html"})
        made.headers |= self.headers
        return made


@dataclass
class Request:
    """A request that came; `path` is as sent, query included, and `status` is None if it got no answer."""

    method: str
    path: str
    status: int | None = None


class HubServer(Hub):
    """A Hub at `url` while the `with` block lasts."""

    def __init__(
        self,
        token: str = "hf_test",
        user: str = "tester",
        organizations: Sequence[str] = (),
        part_size: int | None = None,
    ) -> None:
        super().__init__(token, user, tuple(organizations), part_size)
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.lock = threading.Lock()  # one request is carried out at a time

    def __enter__(self) -> HubServer:
        self._listener = _Listener(self)
        self.url = f"http://127.0.0.1:{self._listener.server_port}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def environment(self, cache: Path) -> dict[str, str]:
        """Return the variables for a child process: this Hub, its token and a cache of its own, and no other setting."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_")) and not name.lower().endswith("_proxy")
        }
        switches = ("HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_PROGRESS_BARS")
        own = {"HF_ENDPOINT": self.url, "HF_TOKEN": self.token, "HF_HOME": str(cache)}
        return kept | own | dict.fromkeys(switches, "1")

    def begin(self, method: str, path: str) -> tuple[Request, Fault | None]:
        """Note a request and say what goes wrong with it."""
        with self.lock:
            self.requests.append(Request(method, path))
            for fault in self.faults:
                if fault.times > 0 and fault.method in ("", method) and search(fault.path, path):
                    fault.times -= 1
                    return self.requests[-1], fault
            return self.requests[-1], None


class _Listener(ThreadingHTTPServer):
    """Listens on a free port, and knows its connections, to end those that a client keeps for later."""

    def __init__(self, hub: HubServer) -> None:
        self.hub = hub
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self.connections):
            with suppress(OSError):  # it may have ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that left is no mistake of the server
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer goes in two writes, and the second would wait for the client
    server: _Listener

    def serve(self) -> None:
        request, fault = self.server.hub.begin(self.command, self.path)
        if fault:
            fault.meanwhile()
            time.sleep(fault.delay)
        body = self.receive(fault)
        made = None if body is None else self.carry_out(body, fault)
        if made is None:
            self.close_connection = True
            return
        request.status = made.status
        self.send(made, fault)

    def receive(self, fault: Fault | None) -> bytes | None:
        """Return the body of the request, None if it didn't come whole."""
        length = int(self.headers.get("Content-Length", 0))
        if fault and fault.cuts and length:
            self.rfile.read(min(fault.after_bytes or 0, length))
            return None
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def carry_out(self, body: bytes, fault: Fault | None) -> Answer | None:
        """Return the answer, None if the connection is to be cut."""
        if fault and not fault.after_handling and (fault.status is not None or (fault.cuts and not fault.after_bytes)):
            return fault.answer()
        with self.server.hub.lock:
            made = answer(Call(self.server.hub, self.command, self.path, self.headers, body))
        return fault.answer() if fault and fault.after_handling else made

    def send(self, made: Answer, fault: Fault | None) -> None:
        headers = {"Content-Type": "application/octet-stream"} | made.headers | {"Content-Length": str(len(made.body))}
        self.send_response(made.status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if fault and fault.cuts:
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(made.body[: fault.after_bytes] if fault and fault.cuts else made.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = serve

    def log_message(self, format: str, *args: Any) -> None:
        pass
