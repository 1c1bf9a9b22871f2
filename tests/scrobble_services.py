"""A server that speaks the submitting half of ListenBrainz and of Last.fm, over a real socket.

It checks what the real ones check (token, session key, signature, sizes), counts a play once by its
start and names, and fails as a test asks it to.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

KEY, SHARED_SECRET = "an api key", "a shared secret"
#: A failure: status, headers, body. Or a function that is called before the answer.
Failure = tuple[int, dict[str, str], Any]


class ScrobbleServices:
    """The server; use it as a context.

    Attributes
    ----------
    tokens, sessions
        Token or session key -> account.
    plan
        What the next calls that submit meet, first come first: a failure, a function to call
        before the play is taken, or ``None``.
    bodies
        Every body that was submitted, also those that met a failure.
    plays
        Account -> ``(start, artist, track)`` of what was taken, each once.
    """

    def __init__(self) -> None:
        self.tokens = {"lb-token": "ada-at-lb"}
        self.sessions = {"lfm-key": "ada-at-lfm"}
        self.plan: deque[Failure | Callable[[], None] | None] = deque()
        self.bodies: list[Any] = []
        self.plays: dict[str, list[tuple[int, str, str]]] = {}
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked += 1
                account = outer.tokens.get(self.headers.get("authorization", "").partition(" ")[2])
                assert self.path == "/1/validate-token"
                valid = {"code": 200, "valid": account is not None, "user_name": account or ""}
                self._answer(200, valid)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/1/submit-listens":
                    self._answer(*outer.submit(self.headers.get("authorization", ""), body))
                else:
                    assert self.path == "/2.0/"
                    self._answer(*outer.web_service(dict(parse_qsl(body.decode()))))

            def _answer(
                self, status: int, body: Any, headers: dict[str, str] | None = None
            ) -> None:
                encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> ScrobbleServices:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def listenbrainz(self) -> str:
        """Address as a person would set it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def lastfm(self) -> str:
        """Address of the Web Services."""
        return f"{self.listenbrainz}/2.0/"

    def _planned(self) -> Failure | None:
        step = self.plan.popleft() if self.plan else None
        if callable(step):
            step()
            return None
        return step

    def submit(self, authorization: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """ListenBrainz: take listens, all of a request or none."""
        given = json.loads(body)
        self.bodies.append(given)
        if (failure := self._planned()) is not None:
            status, headers, said = failure
            return status, said, headers
        account = self.tokens.get(authorization.removeprefix("Token "))
        if account is None:
            return 401, {"code": 401, "error": "Invalid authorization token."}, {}
        for listen in given["payload"]:
            if set(listen) != {"listened_at", "track_metadata"} or len(json.dumps(listen)) > 10_240:
                return 400, {"code": 400, "error": "bad listen"}, {}
            if listen["track_metadata"]["track_name"] == "Poison":
                return 400, {"code": 400, "error": "Poison is not taken"}, {}
        for listen in given["payload"]:
            about = listen["track_metadata"]
            self._take(account, listen["listened_at"], about["artist_name"], about["track_name"])
        return 200, {"status": "ok"}, {"X-RateLimit-Remaining": "29"}

    def web_service(self, given: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """Last.fm: check signature and session key, then carry the method out."""
        signed = "".join(f"{n}{given[n]}" for n in sorted(given) if n not in ("format", "api_sig"))
        wanted = hashlib.md5((signed + SHARED_SECRET).encode()).hexdigest()
        if given["api_key"] != KEY or given["api_sig"] != wanted:
            return 403, {"error": 13, "message": "Invalid method signature supplied"}, {}
        account = self.sessions.get(given["sk"])
        if given["method"] == "track.scrobble":
            self.bodies.append(given)
            if (failure := self._planned()) is not None:
                status, headers, said = failure
                return status, said, headers
        if account is None:
            return 403, {"error": 9, "message": "Invalid session key - Please re-authenticate"}, {}
        if given["method"] == "user.getInfo":
            self.asked += 1
            return 200, {"user": {"name": account}}, {}
        results: list[dict[str, Any]] = []
        while f"artist[{len(results)}]" in given:
            i = len(results)
            track = given[f"track[{i}]"]
            code = "1" if track == "Ignored" else "0"
            if code == "0":
                self._take(account, int(given[f"timestamp[{i}]"]), given[f"artist[{i}]"], track)
            results.append({"ignoredMessage": {"code": code, "#text": ""}})
        assert len(results) <= 50
        shown = results[0] if len(results) == 1 else results
        return 200, {"scrobbles": {"scrobble": shown}}, {}

    def _take(self, account: str, second: int, artist: str, track: str) -> None:
        known = self.plays.setdefault(account, [])
        if (second, artist, track) not in known:
            known.append((second, artist, track))
