"""Numbers of the ListenBrainz API, and its rate window."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from api.http import Headers
from contracts.plays import OLDEST_MS, SKEW_MS

MAX_LISTEN_BYTES = 10_240
MAX_LISTENS = 1000
MAX_BODY = MAX_LISTENS * MAX_LISTEN_BYTES
MAX_TAGS = 50
MAX_TAG_CHARACTERS = 64
#: Longest duration, 24 days, in seconds.
MAX_DURATION = 24 * 24 * 60 * 60
#: 2002-10-01 00:00 UTC. The message to clients names another second; clients know that text.
OLDEST = OLDEST_MS // 1000
SKEW = SKEW_MS // 1000
DEFAULT_ITEMS = 25
MAX_ITEMS = 1000
#: A UUID in a body, as text. The length rules out a line feed at the end, which `$` lets pass.
UuidText = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        max_length=36,
    ),
]

WINDOW_SECONDS = 10
_EXPOSED = b"X-RateLimit-Remaining,X-RateLimit-Limit,X-RateLimit-Reset,X-RateLimit-Reset-In"
PREFIX = "/1/"
PREFLIGHT: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"86400"),
]
CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", _EXPOSED),
]


class RateWindow:
    """Counts requests of each caller in windows, of ten seconds by default.

    Examples
    --------
    >>> window = RateWindow(clock=lambda: 100.0)
    >>> window.count("token", 2), window.count("token", 2), window.count("token", 2)
    (1, 0, -1)
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, seconds: int = WINDOW_SECONDS
    ) -> None:
        self._clock = clock
        self._seconds = seconds
        self._window = -1
        self._counts: dict[str, int] = {}

    def count(self, caller: str, limit: int, price: int = 1) -> int:
        """Count one request and return how many remain; negative when there were too many.

        A request that costs more counts for ``price`` requests, but never for more than a window
        allows.
        """
        self._turn()
        used = self._counts.get(caller, 0) + min(price, limit)
        self._counts[caller] = used
        return limit - used

    def take_back(self, caller: str) -> None:
        """Uncount one request of this window."""
        self._turn()
        if used := self._counts.get(caller):
            self._counts[caller] = used - 1

    def _turn(self) -> None:
        window = int(self._clock()) // self._seconds
        if window != self._window:
            self._begin(window)

    def _begin(self, window: int) -> None:
        self._window = window
        self._counts = {}

    def headers(self, limit: int, remaining: int) -> Headers:
        """Return the headers with the client's limit, remaining requests and reset time."""
        now = self._clock()
        reset = (int(now) // self._seconds + 1) * self._seconds
        return [
            (b"x-ratelimit-limit", b"%d" % limit),
            (b"x-ratelimit-remaining", b"%d" % max(0, remaining)),
            (b"x-ratelimit-reset", b"%d" % reset),
            (b"x-ratelimit-reset-in", b"%d" % max(1, reset - int(now))),
        ]
