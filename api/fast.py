"""Requests answered where the server has parsed them, without a task of their own.

Running an ASGI application costs the server several times what parsing a request does: a task, a
scope, an event and two messages each. The two commonest requests need none of it: who calls is
known from a moment ago, lists come from the desk in a batch, and plays (:mod:`api.plays.fast`) go
straight to the log. Who may ask, and how often, is decided by the functions that decide it for
every request (:mod:`api.gate`, :func:`api.serving.recommend.question`). Anything unusual (a token
not seen lately, an encoded name, a list that takes long, a client that does not read) goes to the
application through :class:`api.edge.Edge`, which answers the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.cycle import Cycle, answer
from api.door import Door, patience
from api.edge import error_reply
from api.errors import INTERNAL, ApiError
from api.gate import Gate
from api.http import Headers
from api.plays.fast import FastPosts
from api.plays.submit import ROUTE as POST_ROUTE
from api.plays.wire import MAX_BODY
from api.services import Services
from api.serving.recommend import PREFIX, ROUTE, SUFFIX, question
from api.traced import finish

if TYPE_CHECKING:
    from contracts.trace_export import Span

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
    span: Span | None

    def answer(self, made: bytes | Exception) -> None:
        """Send the list, or say that there is none (called by the desk)."""
        self.fast.send(self, made)


class FastPath:
    """Answers requests for recommendations on a protocol's behalf."""

    def __init__(self, services: Services) -> None:
        self._gate = Gate(services.accounts, services.rates, services.settings)
        self._desk = services.desk
        self._arms = services.arms
        self._traces = services.traces
        self._listed = services.traced_lists.describe
        self._metrics = services.metrics
        self.posts = FastPosts(services, self._gate)
        self.door = Door(services.settings.max_connections)

    def take(self, protocol: HttpToolsProtocol, keep_alive: bool) -> Cycle | None:
        """Begin to answer a GET whose headers have arrived; ``None`` where it is not for us."""
        path, _, query = protocol.url.partition(b"?")
        if not (path.startswith(_START) and path.endswith(_END)) or b"#" in protocol.url:
            return None
        name = path[len(_START) : -len(_END)]
        if not name or b"%" in name or not name.isascii():
            return None
        known = self._gate.recall(protocol.headers)
        if known is None:
            return None
        started = time.perf_counter()
        (identity, caller), user = known, name.decode("ascii")
        asked, wrong = None, None
        try:
            asked = question(identity, user, query, self._arms)
            if asked.costly:
                return None
        except ApiError as error:
            if error.status == 403:
                return None  # the edge puts it on record
            wrong = error
        # Not earlier: the edge makes the span of a request that is not answered here.
        span = None if self._traces is None else self._traces.request(protocol.headers)
        headers, refusal = self._gate.admit(caller)
        cycle = Cycle(keep_alive)
        pending = Pending(self, protocol, cycle, headers, started, span)
        refused = refusal or wrong
        if asked is None or refused is not None:
            # Not from within the parser, which may have the next request in hand already.
            protocol.loop.call_soon(pending.answer, refused or INTERNAL)
        else:
            self._desk.put(user, asked, pending.answer)
        return cycle

    def send(self, pending: Pending, made: bytes | Exception) -> None:
        """Write an answer as the server writes the application's."""
        protocol, cycle, headers, status = pending.protocol, pending.cycle, pending.headers, 200
        if isinstance(made, Exception):
            if not isinstance(made, ApiError):
                log.error("%s failed", ROUTE, exc_info=made)
                made = INTERNAL
            reply = error_reply(made, ROUTE)
            made, status, headers = reply.body, reply.status, [*reply.headers, *headers]
        answer(protocol, cycle, status, headers, made)
        self._metrics.answered(ROUTE, "GET", status, time.perf_counter() - pending.started)
        if pending.span is not None:
            self._listed(pending.span, status, made)
            finish(pending.span, "GET", ROUTE, status)


class FastProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol with the fast path before its application.

    The states of one request, with the callbacks of the parser that lead on::

        head ---- on_headers_complete ---> GET taken ---------> the desk answers
        |  \\                         \\--> POST held: its body is kept here
        |   \\-- (anything else) ---.          |-- on_message_complete --> taken: the log answers
        |                           v          |-- (not taken) -------.
        '-- more than MAX_HEAD -> 400  application <------------------+
                                       ^-- the body is not whole yet -'

    Attributes
    ----------
    held
        Body so far of a POST in the state *held*; ``None`` in every other state.
    heading
        Whether the request line or headers are still coming (the state *head*).
    head_bytes
        About how much of them has come.

    Parameters
    ----------
    fast
        Takes requests.
    given
        What uvicorn gives its protocol.
    """

    def __init__(self, fast: FastPath, **given: Any) -> None:
        super().__init__(**given)
        self.take_list, self.take_plays = _careful(fast.take), _careful(fast.posts.take)
        self.held: bytes | None = None
        self.heading, self.head_bytes = False, 0
        self.door = fast.door
        self.waiting_since: float | None = None
        self.unread_until: float | None = None
        self.address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, unless there are too many connections."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.waiting_since = self.loop.time()
        self.door.enter(self, self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        self.door.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Have the application wait until the client has read (called by the transport)."""
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size()
        self.unread_until = self.loop.time() + patience(waiting)

    def resume_writing(self) -> None:
        """Let the application write again."""
        super().resume_writing()
        self.unread_until = None

    def turn_away(self) -> None:
        """Close the connection (called by the door)."""
        self.transport.abort()

    def on_message_begin(self) -> None:
        """Enter the state *head*."""
        super().on_message_begin()
        self.heading, self.head_bytes = True, 0
        self.waiting_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Take a GET, hold a POST, or begin the application."""
        self.heading, self.waiting_since = False, None
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
                cycle = self.take_list(self, parser.should_keep_alive())
                if cycle is not None:
                    self.cycle = cycle
                    return
            elif method == b"POST" and self.url == _POST and _is_plain(self.headers):
                self.held = b""
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep the body of a held POST; give any other to the application."""
        if self.held is None:
            super().on_body(body)
        else:
            self.held += body

    def on_message_complete(self) -> None:
        """Take a held POST, or begin the application with it."""
        body, self.held = self.held, None
        if body is not None:
            cycle = self.take_plays(self, body, self.parser.should_keep_alive())
            if cycle is not None:
                self.cycle = cycle
                return
            self._go_around(body)
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; a POST whose body has not come whole by then is the application's."""
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


def protocol_with(fast: FastPath) -> type[HttpToolsProtocol]:
    """Return what uvicorn calls, as it calls a class, to make the protocol of a connection."""
    return cast(type[HttpToolsProtocol], partial(FastProtocol, fast))


def _careful(take: Callable[..., Cycle | None]) -> Callable[..., Cycle | None]:
    """Return the same, but a mistake of ours is logged and the request goes around.

    The parser would take the exception for a request it cannot read, and answer 400.
    """

    def careful(*request: object) -> Cycle | None:
        try:
            return take(*request)
        except Exception:
            log.exception("error on the fast path; the application answers this request")
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
