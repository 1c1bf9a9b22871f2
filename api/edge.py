"""The outermost application: hot endpoints at once, everything else through FastAPI.

It also renders every error in the shape of the caller's protocol, counts and times every answer,
and lets no stack trace out.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import read_by_pages, tidy
from api.auth import CALLER
from api.errors import INTERNAL, ApiError, ClientGone, listenbrainz_body, native_body
from api.gate import Gate
from api.http import Handler, Headers, Reply, send_reply
from api.lastfm.reading import as_lastfm
from api.lastfm.tree import failure
from api.listenbrainz.limits import PREFIX, PREFLIGHT
from api.services import Services
from api.serving.recommend import ROUTE as LISTS
from api.traced import current_span, describe, serving

log = logging.getLogger(__name__)
#: Paths that name a listener, in Segue's own API and in that of ListenBrainz.
_NAMED = re.compile(r"/(?:v1/users|1/user)/([^/]+)")


def _one(_: Scope) -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Hot:
    """A hot endpoint: its handler, its name in the metrics, its protocol.

    ``price`` is the number of requests that one call counts for in the rate limit.
    """

    route: str
    handler: Handler
    listenbrainz: bool = False
    price: Callable[[Scope], int] = _one


def error_reply(error: ApiError, path: str) -> Reply:
    """Return an error in the shape of the protocol a path belongs to."""
    body = listenbrainz_body(error) if path.startswith(PREFIX) else native_body(error)
    headers: Headers = []
    if path.startswith("/2.0"):
        said = as_lastfm(error)
        body = failure(said.code, said.message, as_json=True)
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    return Reply(error.status, body, headers)


class Edge:
    """The ASGI application that the server runs.

    Parameters
    ----------
    find
        Returns the hot endpoint of ``(method, path)``, ``None`` for FastAPI's.
    """

    def __init__(
        self,
        services: Services,
        inner: ASGIApp,
        find: Callable[[str, str], Hot | None],
        gate: Gate,
    ) -> None:
        self._services = services
        self._inner = inner
        self._find = find
        self._gate = gate
        self._traces = services.traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        span = None if self._traces is None else self._traces.request(scope["headers"])
        if span is None:
            await self._serve(tidy(scope), receive, send)
        else:
            with serving(span):
                await self._serve(tidy(scope), receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = self._find(scope["method"], scope["path"])
        if hot is not None:
            await self._hot(hot, scope, receive, send)
        elif scope["method"] == "OPTIONS" and read_by_pages(scope["path"]):
            await send_reply(send, Reply(200, b"{}", PREFLIGHT))
        else:
            await self._cold(scope, receive, send)

    async def _hot(self, hot: Hot, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        extra: Headers = []
        path = PREFIX if hot.listenbrainz else scope["path"]
        try:
            extra, refusal = await self._gate.enter(
                scope, cors=hot.listenbrainz, price=hot.price(scope)
            )
            if refusal is not None:
                raise refusal
            reply = await hot.handler(scope, receive)
        except ClientGone:
            return
        except ApiError as error:
            reply = error_reply(error, path)
            if error.status == 403:
                await self._note_refusal(scope, hot.route)
        except Exception:
            log.exception("%s failed", hot.route)
            reply = error_reply(INTERNAL, path)
        if extra:
            reply = Reply(reply.status, reply.body, [*reply.headers, *extra])
        await send_reply(send, reply)
        self._answered(hot.route, scope["method"], reply.status, started)
        if hot.route == LISTS and (span := current_span()) is not None:
            self._services.traced_lists.describe(span, reply.status, reply.body)

    async def _cold(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        extra: Headers = []
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if extra:
                    given = {name for name, _ in message["headers"]}
                    more = [item for item in extra if item[0] not in given]
                    message = {**message, "headers": [*message["headers"], *more]}
                if status == 403:
                    await self._note_refusal(scope, _route(scope))
            await send(message)

        try:
            cors = scope["path"].startswith(PREFIX)
            extra, refusal = await self._gate.enter(scope, cors=cors)
            if refusal is not None:
                await send_reply(counted, error_reply(refusal, scope["path"]))
            else:
                await self._inner(scope, receive, counted)
        except ClientGone:
            return
        except Exception:
            # FastAPI has answered 500 already if it could; the reason is for the log alone.
            log.exception("%s %s failed", scope["method"], _route(scope))
            if not status:
                await send_reply(counted, error_reply(INTERNAL, scope["path"]))
        self._answered(_route(scope), scope["method"], status, started)

    def _answered(self, route: str, method: str, status: int, started: float) -> None:
        self._services.metrics.answered(route, method, status, time.perf_counter() - started)
        if (span := current_span()) is not None:
            describe(span, method, route, status)

    async def _note_refusal(self, scope: Scope, route: str) -> None:
        """Put on record that a known caller asked for what it may not."""
        caller = scope.get(CALLER)
        if caller is not None:
            origin = scope["client"][0] if scope.get("client") else "unknown"
            subject = _subject(scope) or caller.user_id
            await self._services.audit.note_refusal(caller.user_id, subject, origin, route)


def _subject(scope: Scope) -> str:
    """Return the listener that a path names; empty without one."""
    named = _NAMED.match(scope["path"])
    return named[1].replace("\x00", "") if named else ""


def _route(scope: Scope) -> str:
    """Return the route's pattern: paths themselves are too many to count by."""
    return getattr(scope.get("route"), "path", "unknown")
