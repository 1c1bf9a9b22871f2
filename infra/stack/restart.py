"""When a process that died is started again."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds before the first restart, doubled with each failure in a row, up to the last.
FIRST_DELAY = 0.5
LAST_DELAY = 15.0
#: A process that ran this long (seconds) has proved itself: the next delay is the first again.
PROVED_AFTER = 30.0


@dataclass(slots=True)
class Ward:
    """The history of one process, by a monotonic clock in seconds.

    Attributes
    ----------
    restarts
        How often it was started again.
    due
        When it may start again; ``None`` while it runs.
    """

    restarts: int = 0
    due: float | None = None
    _failures: int = 0
    _started: float | None = None

    def started(self, now: float) -> None:
        """Note a start; every start but the first is a restart."""
        if self._started is not None:
            self.restarts += 1
        self._started = now
        self.due = None

    def died(self, now: float) -> float:
        """Note an end nobody asked for; return the seconds to wait before the next start."""
        if self._started is not None and now - self._started >= PROVED_AFTER:
            self._failures = 0
        delay = min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.due = now + delay
        return delay

    def is_due(self, now: float) -> bool:
        """Whether it is time to start again."""
        return self.due is not None and now >= self.due
