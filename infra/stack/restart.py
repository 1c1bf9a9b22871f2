"""When a process that died is started again."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds before the first restart, doubled with each failure in a row, up to the last.
FIRST_DELAY = 0.5
LAST_DELAY = 15.0
#: A process that ran this long (seconds) has proved itself: the next delay is the first again.
PROVED_AFTER = 30.0
#: The patience with a server that does not answer doubles with each failed start, up to this.
MOST_PATIENCE = 8.0


@dataclass(slots=True)
class Ward:
    """The history of one process, by a monotonic clock in seconds.

    Attributes
    ----------
    starts
        How often it was started.
    due
        When it may start again; ``None`` while it runs.
    """

    starts: int = 0
    due: float | None = None
    _failures: int = 0
    _running_since: float | None = None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    def started(self, now: float) -> None:
        """Note a start."""
        self.starts += 1
        self._running_since = now
        self.due = None

    def died(self, now: float) -> float:
        """Note an unexpected end, or a start that failed; return the seconds to wait now."""
        if self._running_since is not None and now - self._running_since >= PROVED_AFTER:
            self._failures = 0
        self._running_since = None
        delay = min(LAST_DELAY, FIRST_DELAY * 2.0 ** min(self._failures, 16))
        self._failures += 1
        self.due = now + delay
        return delay

    def patience(self, first: float) -> float:
        """Return how long (seconds) this start may take, where the first may take `first`."""
        return first * min(MOST_PATIENCE, 2.0 ** min(max(0, self._failures - 1), 16))

    def is_due(self, now: float) -> bool:
        """Whether it is time to start again."""
        return self.due is not None and now >= self.due
