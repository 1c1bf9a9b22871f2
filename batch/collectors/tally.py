"""Honest figures of a run: what was asked, how often it had to be asked again, what failed."""

from __future__ import annotations

import msgspec


class Tally(msgspec.Struct):
    """Counts of one run against one source.

    Attributes
    ----------
    calls
        Questions that went to the network, however many attempts each took.
    attempts
        HTTP requests sent.
    retries
        Requests sent again, by cause (``429``, ``500``, ``timeout``, ``transport``,
        ``bad-json``, ...).
    failed
        Calls without an answer after all attempts, by cause of the last.
    missing
        Calls answered "there is no such thing": an answer, not a failure.
    unchanged
        Calls answered 304 from the conditional request; the stored answer was used.
    fresh
        Questions answered by the cache without a call.
    resumed
        Questions an earlier, interrupted part of this run had already asked.
    drift
        ``"<path> <what>" -> count``: differences between answers and their contract.
    rejected
        Records that could not be used, by reason.
    """

    calls: int = 0
    attempts: int = 0
    retries: dict[str, int] = {}
    failed: dict[str, int] = {}
    missing: int = 0
    unchanged: int = 0
    fresh: int = 0
    resumed: int = 0
    bytes: int = 0
    breaker_opened: int = 0
    drift: dict[str, int] = {}
    rejected: dict[str, int] = {}

    @property
    def failure_rate(self) -> float:
        """Share of calls that failed after retries (0 without calls)."""
        return sum(self.failed.values()) / self.calls if self.calls else 0.0


def count(counts: dict[str, int], what: str, by: int = 1) -> None:
    """Add to a counter."""
    counts[what] = counts.get(what, 0) + by
