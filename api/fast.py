"""Recommendations answered where the server has parsed the request, without a task of their own.

Running an ASGI application costs the server several times what parsing a request does: a task, a
scope, an event and two messages each. The commonest request of all needs none of it: who calls is
known from a moment ago, and the list comes from the desk in a batch. Whatever is out of the
ordinary (a token not seen lately, a bad parameter, too many requests, a client that does not read)
goes the way of every request, through :class:`api.edge.Edge`, which answers the same bytes.
"""

from __future__ import annotations

import logging
import time
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from api.edge import error_reply
from api.errors import INTERNAL, ApiError
from api.http import JSON, Headers
from api.listenbrainz.gate import Gate
from api.services import Services
from api.serving.asked import parameters
from api.serving.recommend import PREFIX, ROUTE, SUFFIX

log = logging.getLogger(__name__)

_START, _END = PREFIX.encode(), SUFFIX.encode()


class _Nobody:
    """In place of the event by which an application learns that its request goes on."""

    def set(self) -> None:
        """Nobody waits."""


class Cycle(RequestResponseCycle):
    """What the protocol must know of a request in progress: nothing but that."""

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.body = bytearray()
        self.message_event = _NOBODY  # type: ignore[assignment]


_NOBODY = _Nobody()


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

    def take(self, protocol: HttpToolsProtocol, keep_alive: bool) -> Cycle | None:
        """Begin to answer a GET whose headers have arrived; ``None`` where it is not for us."""
        path, _, query = protocol.url.partition(b"?")
        if not (path.startswith(_START) and path.endswith(_END)) or b"#" in query:
            return None
        name = path[len(_START) : -len(_END)]
        if not name or b"%" in name or not name.isascii():
            return None
        user = name.decode("ascii")
        try:
            asked = parameters(query)
        except ApiError:
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
        if not cycle.disconnected:
            head = [JSON, (b"content-length", b"%d" % len(made)), *pending.headers]
            lines = b"".join([b"%b: %b\r\n" % line for line in head])
            close = b"" if cycle.keep_alive else b"connection: close\r\n"
            protocol.transport.write(b"%b%b%b\r\n%b" % (STATUS_LINE[status], lines, close, made))
            cycle.response_complete = True
            if not cycle.keep_alive:
                protocol.transport.close()
            protocol.on_response_complete()
        self._metrics.answered(ROUTE, "GET", status, time.perf_counter() - pending.started)


def protocol_with(fast: FastPath) -> type[HttpToolsProtocol]:
    """Return uvicorn's HTTP protocol with the fast path before its application."""

    class FastProtocol(HttpToolsProtocol):
        def on_headers_complete(self) -> None:
            parser = self.parser
            free = self.cycle is None or self.cycle.response_complete
            if (
                free
                and parser.get_method() == b"GET"
                and parser.get_http_version() == "1.1"
                and not parser.should_upgrade()
                and not self.expect_100_continue
                and not self.flow.write_paused
            ):
                cycle = fast.take(self, parser.should_keep_alive())
                if cycle is not None:
                    self.cycle = cycle
                    return
            super().on_headers_complete()

    return FastProtocol
