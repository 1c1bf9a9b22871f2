"""GET /ui/live and /ui/ops/live: the events of a tab.

A tab outlives the request that opened it. While it is open, its session is looked up again and
again, and the feed asks the API about its token.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from contracts.errors import StoreUnavailable
from web.api import Away, Refused
from web.listener.next import wants_of
from web.live.tabs import Tab, Wants
from web.sessions import Sessions
from web.visit import Visit

#: Tabs one process serves, and one session may have.
MOST = 3_000
MOST_OF_SESSION = 6
#: Time between two checks of the session (seconds), and between two comments, which keep proxies
#: from closing a silent stream. It is random: tabs opened together are not checked together.
KEEP_ALIVE = (15.0, 20.0)
#: The id makes a browser that comes back send Last-Event-ID.
_FIRST = b"retry: 1500\nid: 1\n\n"
_open: Counter[str] = Counter()


async def live(visit: Visit) -> Response:
    """Stream a tab's events until it closes."""
    site = visit.site
    if (busy := _busy(visit)) is not None:
        return busy
    kind = "connect" if visit.query("what") == "connect" else "next"
    wants = wants_of(visit)
    if kind == "connect":
        wants = Wants("connect", visit.base, visit.who.time_zone)
    again = bool(visit.query("again")) or "last-event-id" in visit.request.headers
    if site.feeds.follows(visit.subject) and await _token_has_ended(visit):
        tab = Tab(wants, visit.who.token)
        tab.sign_out()
        return _streamed(visit, tab, lambda: None)
    tab = site.feeds.open(
        visit.subject, wants, visit.who.token,
        window="" if again else visit.query("window"), again=again, origin=visit.origin,
    )  # fmt: skip
    return _streamed(visit, tab, lambda: site.feeds.close(visit.subject, tab))


async def console(visit: Visit) -> Response:
    """GET /ui/ops/live: the console's state, every two seconds."""
    feed = visit.site.console
    if (busy := _busy(visit)) is not None:
        return busy
    tab = feed.open(visit.who.token, visit.who.time_zone, visit.origin)
    return _streamed(visit, tab, lambda: feed.close(tab))


async def _token_has_ended(visit: Visit) -> bool:
    """Whether the API no longer knows the visitor's token.

    A feed that runs already asks the API with the token of another tab.
    """
    try:
        await visit.get("/v1/me")
    except Away:
        return False  # the feed asks again
    except Refused as error:
        return error.status == 401
    return False


async def _signed_in(sessions: Sessions, secret: str) -> bool:
    """Whether the session still exists; also while Redis does not answer."""
    try:
        return await sessions.find(secret) is not None
    except StoreUnavailable:
        return True  # looked up again after the next pause


def _busy(visit: Visit) -> Response | None:
    if visit.site.feeds.count < MOST and _open[visit.secret] < MOST_OF_SESSION:
        return None
    why = "Too many pages are open at once: close one, then this one continues."
    return PlainTextResponse(why, 503, {"retry-after": "5"})


def _streamed(visit: Visit, tab: Tab, close: Callable[[], None]) -> Response:
    signed_in = partial(_signed_in, visit.site.sessions, visit.secret)
    return EventStream(visit.secret, tab, close, signed_in)


class EventStream(Response):
    """A tab's events until it closes, or its session ends.

    A thousand of these are open at once, so each holds little: the tab, one task that waits for the
    browser to leave, and no copy of what was sent.

    Parameters
    ----------
    secret
        Id of the session.
    close
        Called at the end.
    signed_in
        Whether the session still exists; asked every 15 to 20 seconds.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        secret: str,
        tab: Tab,
        close: Callable[[], None],
        signed_in: Callable[[], Awaitable[bool]],
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._secret = secret
        self._tab = tab
        self._close = close
        self._signed_in = signed_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the tab is given."""
        _open[self._secret] += 1
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            headers = self.raw_headers
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _send(send, _FIRST)
            while not (gone.done() or self._tab.done):
                await self._send_some(send)
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._close()
            _open[self._secret] -= 1
            if not _open[self._secret]:
                del _open[self._secret]

    async def _send_some(self, send: Send) -> None:
        """Send what comes until the next check of the session, and check it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + random.uniform(*KEEP_ALIVE)  # noqa: S311
        silent = True
        while not self._tab.done and (left := until - loop.time()) > 0:
            for event in await self._tab.next(left):
                await _send(send, event.sent)
                silent = False
        if self._tab.ended:
            return
        if not await self._signed_in():
            self._tab.sign_out()
        elif silent:
            await _send(send, b": still here\n\n")

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._tab.end()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
