"""An open tab: what it shows, and what waits to be sent to it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import NamedTuple

from web.live.sse import Event

#: Events a tab keeps one of each kind of, the newest; of others it keeps so many.
_MOST = 20
_REPLACING = frozenset({"list", "now", "state", "ops"})


class Wants(NamedTuple):
    """Which list a tab shows; tabs that want the same share one rendering.

    ``kind`` is ``next`` (the list) or ``connect`` (plays as they arrive).
    """

    kind: str
    base: str
    zone: str = "UTC"
    length: int = 20
    discover: bool = False
    variety: float = 0.0


class Tab:
    """The events for one tab.

    Attributes
    ----------
    token
        Of the session that opened it.
    origin
        Address of the browser; empty if unknown.
    window
        State of the listener's plays that the list on the tab was made from; empty if unknown.
    """

    def __init__(self, wants: Wants, token: str, window: str = "", origin: str = "") -> None:
        self.wants = wants
        self.token = token
        self.origin = origin
        self.window = window
        self.ended = False
        self._waiting: list[Event] = []
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event; a newer list replaces one that was not sent yet.

        A tab that has ended takes none.
        """
        if self.ended:
            return
        if event.name in _REPLACING:
            self._waiting = [e for e in self._waiting if e.name != event.name]
        self._waiting.append(event)
        del self._waiting[:-_MOST]
        self._arrived.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self.ended = True
        self._arrived.set()

    def sign_out(self) -> None:
        """End with the one event that leads to the sign-in page; what waits is not sent."""
        self._waiting.clear()
        self.put(Event("signed-out", "/ui/login?ended=1"))
        self.end()

    @property
    def done(self) -> bool:
        """Whether it has ended and nothing waits to be sent."""
        return self.ended and not self._waiting

    async def next(self, seconds: float) -> list[Event]:
        """Return what waits; empty after so many seconds without anything, or at the end."""
        if not self._waiting and not self.ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
        self._arrived.clear()
        found, self._waiting = self._waiting, []
        return found
