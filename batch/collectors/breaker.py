"""A circuit breaker: a source that keeps failing is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable


class Breaker:
    """Opens after so many failures in a row; one trial attempt after the rest decides.

    Parameters
    ----------
    after
        Failed attempts in a row that open it.
    rest
        Seconds it stays open.
    clock
        Monotonic seconds.

    Examples
    --------
    >>> breaker = Breaker(after=2, rest=60.0, clock=lambda: 0.0)
    >>> breaker.failed(); breaker.failed(); breaker.rests_for()
    60.0
    """

    def __init__(self, after: int, rest: float, clock: Callable[[], float]) -> None:
        self._after = after
        self._rest = rest
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self.times_opened = 0

    def rests_for(self) -> float:
        """Return the seconds until an attempt is allowed; 0 when it is allowed now."""
        return max(0.0, self._open_until - self._clock())

    def succeeded(self) -> None:
        """Note a good answer: closed again."""
        self._failures = 0
        self._open_until = 0.0

    def failed(self) -> None:
        """Note a failed attempt."""
        self._failures += 1
        if self._failures >= self._after:
            # The count stays at the brink: the trial attempt after the rest opens it again.
            self._failures = self._after - 1
            self.open_for(self._rest)

    def open_for(self, seconds: float) -> None:
        """Leave the source alone for so long, as it asks itself."""
        self._open_until = self._clock() + seconds
        self.times_opened += 1
