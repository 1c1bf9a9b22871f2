"""A server on a real socket that speaks JSON and misbehaves on purpose."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: ``(status, document, headers)``
Reply = tuple[int, Any, dict[str, str]]
Handler = Callable[[str, dict[str, str], bytes, dict[str, str]], Reply]

#: Every way to fail, by name.
FAULTS = ("429", "429-date", "500", "503", "slow", "truncated", "reset", "html")
#: Those that fail for certain: whether a slow answer does, depends on the machine.
CERTAIN = tuple(fault for fault in FAULTS if fault != "slow")


class _Quiet(ThreadingHTTPServer):
    """Logs no error for clients that were killed in the middle of a request."""

    #: The usual 5 are soon full on a busy machine; the client's next attempt comes a second later.
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


class Misbehaving:
    """Answers with ``handler``, or with a fault.

    Parameters
    ----------
    handler
        ``(path, params, body, headers) -> (status, document, headers)``; called under a lock.
    share
        Probability that a GET is answered with a fault instead.
    script
        Faults for the first requests, in order (``""``: none), before chance takes over.
    """

    def __init__(
        self,
        handler: Handler,
        share: float = 0.0,
        script: list[str] | None = None,
        seed: int = 0,
        slow: float = 1.0,
        faults: tuple[str, ...] = FAULTS,
    ) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.injected: dict[str, int] = {}
        self.answered = 0
        self._lock = threading.Lock()
        rng, todo = random.Random(seed), list(script or [])
        outer = self

        class _Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _handle(self) -> None:
                url = urlsplit(self.path)
                params = dict(parse_qsl(url.query))
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                with outer._lock:
                    fault = ""
                    if self.command == "GET":
                        outer.requests.append((url.path, params))
                        outer.headers.append(headers)
                        if todo:
                            fault = todo.pop(0)
                        elif rng.random() < share:
                            fault = rng.choice(faults)
                    if fault:
                        outer.injected[fault] = outer.injected.get(fault, 0) + 1
                    if fault not in ("", "slow", "truncated"):
                        return self._fail(fault)
                    status, document, extra = handler(url.path, params, body, headers)
                    outer.answered += 1
                data = b"" if document is None else json.dumps(document).encode()
                if fault == "truncated":
                    return self._reply(status, data[: len(data) // 2], extra)
                if fault == "slow":
                    time.sleep(slow)
                return self._reply(status, data, extra)

            def _fail(self, fault: str) -> None:
                if fault == "429":
                    self._reply(429, b"{}", {"retry-after": "0"})
                elif fault == "429-date":
                    self._reply(429, b"{}", {"retry-after": formatdate(time.time(), usegmt=True)})
                elif fault == "reset":
                    self.close_connection = True
                    self.connection.close()
                elif fault == "html":
                    self._reply(200, b"<html>Bad gateway</html>", {})
                else:
                    self._reply(int(fault), b"oops", {})

            def do_GET(self) -> None:
                with suppress(OSError, ValueError):
                    self._handle()

            do_POST = do_GET

        self._server = _Quiet(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Misbehaving:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
