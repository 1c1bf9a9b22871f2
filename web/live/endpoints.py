"""GET /ui/live and /ui/ops/live: the events of a tab."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from web.listener.next import wants_of
from web.live.sse import Event, written
from web.live.tabs import Tab, Wants
from web.visit import Visit

#: Tabs one process serves, and one session may have.
MOST = 3_000
MOST_OF_SESSION = 6
KEEP_ALIVE = 20.0
_RETRY_MS = 1_500
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
    tab = site.feeds.open(visit.subject, wants, visit.who.token, again=again)
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
    why = "Too many pages are open at once: close one, this one goes on then."
    return PlainTextResponse(why, 503, {"retry-after": "5"})


def _streamed(visit: Visit, tab: Tab, close: Callable[[], None]) -> Response:
    return StreamingResponse(
        _events(visit, tab, close),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(visit: Visit, tab: Tab, close: Callable[[], None]) -> AsyncIterator[str]:
    _open[visit.secret] += 1
    try:
        yield f"retry: {_RETRY_MS}\n" + written(Event("state", "live", "1"))
        while True:
            events = await tab.next(KEEP_ALIVE)
            for event in events:
                yield written(event)
            if tab.ended:
                return
            if not events:
                yield ": still here\n\n"
    finally:
        close()
        _open[visit.secret] -= 1
        if not _open[visit.secret]:
            del _open[visit.secret]
