"""Plays taken where the server has parsed the request, without a task of their own.

For requests that hold nothing but good plays of a caller known from a moment ago: they are written
to the log at once, and the answer follows from the delivery report. Every other request falls back
to :class:`api.edge.Edge`, which answers the same bytes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.cycle import Cycle, answer
from api.edge import error_reply
from api.errors import ApiError, unavailable
from api.gate import Gate
from api.http import Headers
from api.plays.parse import Parsed, parse_plays
from api.plays.submit import NOT_ACKNOWLEDGED, ROUTE, answer_of
from api.services import Services
from api.traced import finish
from contracts.errors import BrokerUnavailable

if TYPE_CHECKING:
    from contracts.trace_export import Span


class Posted:
    """A request whose plays are in flight to the log; the producer reports each delivery to it."""

    __slots__ = ("_cycle", "_headers", "_parsed", "_posts", "_protocol", "_span", "_started")

    def __init__(
        self,
        posts: FastPosts,
        protocol: HttpToolsProtocol,
        cycle: Cycle,
        headers: Headers,
        parsed: Parsed,
        span: Span | None,
    ) -> None:
        self._posts = posts
        self._protocol = protocol
        self._cycle = cycle
        self._headers = headers
        self._parsed = parsed
        self._span = span
        self._started = time.perf_counter()

    def done(self) -> bool:
        """Whether the result is known (the interface of a future)."""
        return self._cycle.response_complete

    def set_result(self, _: None) -> None:
        """Answer 202: the broker has acknowledged every message of the request."""
        self._posts.metrics.accepted(ROUTE, len(self._parsed.results))
        self._answer(202, self._headers, answer_of(self._parsed))

    def set_exception(self, _: BaseException) -> None:
        """Answer 503: the broker has not acknowledged every message of the request."""
        self.refuse(unavailable(NOT_ACKNOWLEDGED))

    def refuse(self, error: ApiError) -> None:
        """Answer with an error."""
        reply = error_reply(error, ROUTE)
        self._answer(reply.status, [*reply.headers, *self._headers], reply.body)

    def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        answer(self._protocol, self._cycle, status, headers, body)
        self._posts.metrics.answered(ROUTE, "POST", status, time.perf_counter() - self._started)
        if self._span is not None:
            finish(self._span, "POST", ROUTE, status)


class FastPosts:
    """Takes plays on a protocol's behalf."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._traces = services.traces
        self.metrics = services.metrics

    def take(self, protocol: HttpToolsProtocol, body: bytes, keep_alive: bool) -> Cycle | None:
        """Begin to answer a POST that has arrived; ``None`` where it is not for us."""
        services = self._services
        known = self._gate.recall(protocol.headers)
        if known is None:
            return None
        identity, caller = known
        try:
            parsed = parse_plays(body, identity, int(time.time() * 1000))
        except ApiError:
            return None
        if parsed.refused:
            return None
        # Not earlier: the edge makes the span of a request that is not answered here.
        span = None if self._traces is None else self._traces.request(protocol.headers)
        headers, refusal = self._gate.admit(caller)
        cycle = Cycle(keep_alive)
        posted = Posted(self, protocol, cycle, headers, parsed, span)
        if refusal is not None:
            protocol.loop.call_soon(posted.refuse, refusal)
            return cycle
        try:
            records = services.records.of_all(parsed.by_listener)
            services.log.submit(records, posted, None if span is None else span.context)
        except BrokerUnavailable as error:
            # Not from within the parser, which may have the next request in hand already.
            protocol.loop.call_soon(posted.set_exception, error)
        return cycle
