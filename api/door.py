"""Closes connections whose client sends no request or does not read its answer.

A client that opens a connection and sends nothing, or half a request line, costs a descriptor. Some
two thousand of them would keep everybody else out, so their number is bounded too. While a client
does not read its answer, the API keeps the resources of that answer: for an export, a transaction
of PostgreSQL.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from typing import Protocol

log = logging.getLogger(__name__)

#: Longest time until the head of a request is complete, from connecting or from its first byte on.
HEAD_SECONDS = 10.0
#: Longest time in which a client takes what waits for it to be read, and the rate that extends it
#: for an answer that is large and was written at once (bytes a second).
READ_SECONDS = 60.0
READ_RATE = 4_096
#: How often connections are looked over (seconds).
EVERY_SECONDS = 1.0
#: Descriptors kept for stores, files and the broker.
_OTHERS = 256


class Guest(Protocol):
    """A connection.

    Attributes
    ----------
    waiting_since
        Time of the loop at which its head began to be waited for; ``None`` while it is served.
    unread_until
        Time of the loop until which it may leave unread what was written; ``None`` if it reads.
    address
        Of the client.
    """

    waiting_since: float | None
    unread_until: float | None
    address: str

    def turn_away(self) -> None:
        """Close it at once."""
        ...


class Door:
    """Counts connections and closes those whose request does not come.

    Parameters
    ----------
    most
        Connections at once. One address may hold half of them.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.turned_away = 0
        self._guests: set[Guest] = set()
        self._by_address: Counter[str] = Counter()
        self._looking = False

    def enter(self, guest: Guest, loop: asyncio.AbstractEventLoop) -> bool:
        """Count a new connection; return ``False``, and close it, if there are too many."""
        full = len(self._guests) >= self.most
        if full or self._by_address[guest.address] >= max(1, self.most // 2):
            self.turned_away += 1
            if self.turned_away % 1000 == 1:
                log.warning("too many connections; closed %d since the start", self.turned_away)
            guest.turn_away()
            return False
        self._guests.add(guest)
        self._by_address[guest.address] += 1
        if not self._looking:
            self._looking = True
            loop.call_later(EVERY_SECONDS, self._look, loop)
        return True

    def leave(self, guest: Guest) -> None:
        """Forget a connection that is closed."""
        if guest in self._guests:
            self._guests.discard(guest)
            self._by_address[guest.address] -= 1
            if not self._by_address[guest.address]:
                del self._by_address[guest.address]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for guest in list(self._guests):
            if guest.waiting_since is not None and guest.waiting_since < now - HEAD_SECONDS:
                guest.turn_away()
            elif guest.unread_until is not None and guest.unread_until < now:
                log.info("closed a connection: its client did not read the answer")
                guest.turn_away()
        self._looking = bool(self._guests)
        if self._looking:
            loop.call_later(EVERY_SECONDS, self._look, loop)


def patience(waiting: int) -> float:
    """Return how many seconds a client has to read so many bytes.

    Examples
    --------
    >>> patience(65_536), patience(4_096_000)
    (60.0, 1000.0)
    """
    return max(READ_SECONDS, waiting / READ_RATE)


def raise_limit() -> int:
    """Let this process open as many files as it may; return how many connections that leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (ValueError, OSError):  # some systems report "unlimited" and refuse it
            log.warning("the limit of open files could not be raised; it stays at %d", soft)
    return max(16, soft - _OTHERS) if soft != resource.RLIM_INFINITY else 1_000_000
