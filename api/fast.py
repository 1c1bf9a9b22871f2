"""Requests answered where the server has parsed them, without a task of their own.

Running an ASGI application costs the server several times what parsing a request does: a task, a
scope, an event and two messages each. The two commonest requests need none of it: who calls is
known from a moment ago, lists come from the desk in a batch, and plays (:mod:`api.plays.fast`) go
straight to the log. Whatever is out of the ordinary (a token not seen lately, a bad parameter, too
many requests, a client that does not read) goes the way of every request, through
:class:`api.edge.Edge`, which answers the same bytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.cycle import Cycle, answer
from api.edge import error_reply
from api.errors import INTERNAL, ApiError
from api.http import Headers
from api.listenbrainz.gate import Gate
from api.plays.fast import FastPosts
from api.plays.submit import ROUTE as POST_ROUTE
from api.plays.wire import MAX_BODY
from api.services import Services
from api.serving.asked import parameters
from api.serving.recommend import LONGEST_NAME, PREFIX, ROUTE, SUFFIX

log = logging.getLogger(__name__)

_START, _END = PREFIX.encode(), SUFFIX.encode()
_POST = POST_ROUTE.encode()
#: Bytes of a request line and headers, at most; well above what arrives in one piece.
MAX_HEAD = 1_048_576


class Pending(NamedTuple):
    """A request on the desk."""

    fast: FastPath
    protocol: HttpToolsProtocol
    cycle: Cycle
    headers: Headers
    started: float

    def answer(self, made: bytes | Exception) -> None:
        """Send the list, or say that there is none (called by the desk)."""
        self.fast.send(self, made)


class FastPath:
    """Answers requests for recommendations on a protocol's behalf."""

    def __init__(self, services: Services) -> None:
        self._gate = Gate(services.accounts, services.rates, services.settings)
        self._desk = services.desk
        self._metrics = services.metrics
        self.posts = FastPosts(services)

    def take(self, protocol: HttpToolsProtocol, keep_alive: bool) -> Cycle | None:
        """Begin to answer a GET whose headers have arrived; ``None`` where it is not for us."""
        path, _, query = protocol.url.partition(b"?")
        if not (path.startswith(_START) and path.endswith(_END)) or b"#" in protocol.url:
            return None
        name = path[len(_START) : -len(_END)]
        if not 0 < len(name) <= LONGEST_NAME or b"%" in name or not name.isascii():
            return None
        user = name.decode("ascii")
        try:
            asked = parameters(query)
        except ApiError:
            return None
        if asked.costly:
            return None
        admitted = self._gate.admit(protocol.headers, user)
        if admitted is None:
            return None
        cycle = Cycle(keep_alive)
        pending = Pending(self, protocol, cycle, admitted, time.perf_counter())
        self._desk.put(user, asked, pending.answer)
        return cycle

    def send(self, pending: Pending, made: bytes | Exception) -> None:
        """Write an answer as the server writes the application's."""
        protocol, cycle, status = pending.protocol, pending.cycle, 200
        if isinstance(made, Exception):
            log.error("%s failed", ROUTE, exc_info=made)
            reply = error_reply(INTERNAL, ROUTE)
            made, status = reply.body, reply.status
        answer(protocol, cycle, status, pending.headers, made)
        self._metrics.answered(ROUTE, "GET", status, time.perf_counter() - pending.started)


def protocol_with(fast: FastPath) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol with the fast path before its application."""
    take_list, take_plays = _careful(fast.take), _careful(fast.posts.take)

    class FastProtocol(HttpToolsProtocol):
        #: Body so far of a POST that nobody has begun to answer.
        held: bytes | None = None
        #: Whether a request line or headers are still coming, and about how much of them came.
        heading, head_bytes = False, 0

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self.heading, self.head_bytes = True, 0

        def on_headers_complete(self) -> None:
            self.heading = False
            parser = self.parser
            free = self.cycle is None or self.cycle.response_complete
            if (
                free
                and parser.get_http_version() == "1.1"
                and not parser.should_upgrade()
                and not self.expect_100_continue
                and not self.flow.write_paused
            ):
                method = parser.get_method()
                if method == b"GET":
                    cycle = take_list(self, parser.should_keep_alive())
                    if cycle is not None:
                        self.cycle = cycle
                        return
                elif method == b"POST" and self.url == _POST and _is_plain(self.headers):
                    self.held = b""
                    return
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if self.held is None:
                super().on_body(body)
            else:
                self.held += body

        def on_message_complete(self) -> None:
            body, self.held = self.held, None
            if body is not None:
                cycle = take_plays(self, body, self.parser.should_keep_alive())
                if cycle is not None:
                    self.cycle = cycle
                    return
                self._go_around(body)
            super().on_message_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            body, self.held = self.held, None
            if body is not None:  # the rest may take its time: let the application wait
                self._go_around(body)
            elif self.heading:
                self.head_bytes += len(data)  # of the first part some may be another request's
                if self.head_bytes > MAX_HEAD and not self.transport.is_closing():
                    self.send_400_response("The request line and headers are too large.")

        def _go_around(self, body: bytes) -> None:
            super().on_headers_complete()
            if body:
                super().on_body(body)

    return FastProtocol


def _careful(take: Callable[..., Cycle | None]) -> Callable[..., Cycle | None]:
    """Return the same, but a mistake of ours is logged and the request goes around.

    The parser would take the exception for a request it cannot read, and answer 400.
    """

    def careful(*request: object) -> Cycle | None:
        try:
            return take(*request)
        except Exception:
            log.exception("a request was not taken at once")
            return None

    return careful


def _is_plain(headers: Headers) -> bool:
    """Whether a body has a length within bounds and comes as it is."""
    size = -1
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            size = int(value)
        elif name in (b"content-encoding", b"transfer-encoding"):
            return False
    return 0 <= size <= MAX_BODY
