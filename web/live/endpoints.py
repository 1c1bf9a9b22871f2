"""GET /ui/live and /ui/ops/live: the events of a tab."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from web.listener.next import wants_of
from web.live.tabs import Tab, Wants
from web.visit import Visit

#: Tabs one process serves, and one session may have.
MOST = 3_000
MOST_OF_SESSION = 6
#: Time between two comments, which keep proxies from closing a silent stream (seconds): random,
#: so that tabs that were opened together do not get theirs together.
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
    tab = site.feeds.open(
        visit.subject, wants, visit.who.token,
        window="" if again else visit.query("window"), again=again,
    )  # fmt: skip
    return _streamed(visit, tab, lambda: site.feeds.close(visit.subject, tab))


async def console(visit: Visit) -> Response:
    """GET /ui/ops/live: the console's state, every two seconds."""
    feed = visit.site.console
    if (busy := _busy(visit)) is not None:
        return busy
    tab = feed.open(visit.who.token, visit.who.time_zone)
    return _streamed(visit, tab, lambda: feed.close(tab))


def _busy(visit: Visit) -> Response | None:
    if visit.site.feeds.count < MOST and _open[visit.secret] < MOST_OF_SESSION:
        return None
    why = "Too many pages are open at once: close one, then this one continues."
    return PlainTextResponse(why, 503, {"retry-after": "5"})


def _streamed(visit: Visit, tab: Tab, close: Callable[[], None]) -> Response:
    return EventStream(visit.secret, tab, close)


class EventStream(Response):
    """A tab's events until it closes.

    A thousand of these are open at once, so each holds little: the tab, one task that waits for the
    browser to leave, and no copy of what was sent.
    """

    media_type = "text/event-stream"

    def __init__(self, secret: str, tab: Tab, close: Callable[[], None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._secret = secret
        self._tab = tab
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the tab is given."""
        _open[self._secret] += 1
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            headers = self.raw_headers
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await _send(send, _FIRST)
            while not (gone.done() or await self._send_next(send)):
                pass
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._close()
            _open[self._secret] -= 1
            if not _open[self._secret]:
                del _open[self._secret]

    async def _send_next(self, send: Send) -> bool:
        """Send what comes next; return whether the tab has ended."""
        events = await self._tab.next(random.uniform(*KEEP_ALIVE))  # noqa: S311
        for event in events:
            await _send(send, event.sent)
        if not events and not self._tab.ended:
            await _send(send, b": still here\n\n")
        return self._tab.ended

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._tab.end()


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
