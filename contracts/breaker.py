"""A circuit breaker: callers stop calling a dependency that keeps failing, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


class Breaker:
    """Opens after ``after`` failures in a row; one trial attempt after ``rest`` seconds decides.

    While it is open, callers fail or degrade at once, so no requests accumulate on a dependency
    that does not answer.

    Parameters
    ----------
    rest
        Seconds it stays open.
    after
        Failed attempts in a row that open it.
    clock
        Monotonic seconds.

    Examples
    --------
    >>> breaker = Breaker(60.0, after=2, clock=lambda: 0.0)
    >>> breaker.failed(); breaker.closed
    True
    >>> breaker.failed(); breaker.rests_for()
    60.0
    """

    def __init__(
        self, rest: float, *, after: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rest = rest
        self._after = after
        self._clock = clock
        self._failures = 0
        self._open_until = -float("inf")
        self.times_opened = 0

    @property
    def closed(self) -> bool:
        """Whether an attempt is allowed now."""
        return self._clock() >= self._open_until

    def rests_for(self) -> float:
        """Return the seconds until an attempt is allowed; 0 when it is allowed now."""
        return max(0.0, self._open_until - self._clock())

    def succeeded(self) -> None:
        """Record a successful attempt; close the breaker."""
        self._failures = 0
        self._open_until = -float("inf")

    def failed(self) -> None:
        """Record a failed attempt; open the breaker after ``after`` of them in a row."""
        self._failures += 1
        if self._failures >= self._after:
            # The count stays at the brink: the trial attempt after the rest opens it again.
            self._failures = self._after - 1
            self.open_for(self._rest)

    def open_for(self, seconds: float) -> None:
        """Open for this many seconds, as the dependency asked (``Retry-After``)."""
        self._open_until = self._clock() + seconds
        self.times_opened += 1
