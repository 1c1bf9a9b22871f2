"""A circuit breaker: after a failure, do not even try for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Remembers that a dependency failed.

    While it is open callers degrade at once, in no time, and no connection piles up on a
    dependency that does not answer.

    Parameters
    ----------
    seconds
        How long one failure keeps it open.

    Examples
    --------
    >>> breaker = Breaker(1.0, clock=lambda: 0.0)
    >>> breaker.closed
    True
    >>> breaker.failed()
    >>> breaker.closed
    False
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._open_until = -1.0

    @property
    def closed(self) -> bool:
        """Whether the dependency may be tried."""
        return self._clock() >= self._open_until

    def failed(self) -> None:
        """Open it."""
        self._open_until = self._clock() + self._seconds
