"""Computes the pauses between attempts; the library tenacity repeats the attempts.

Every retry of Segue is a :class:`tenacity.Retrying` or :class:`tenacity.AsyncRetrying` with a
:class:`Backoff` (docs/adr/0026-tenacity-tries-again.md).
"""

from __future__ import annotations

import random

from tenacity import RetryCallState
from tenacity.wait import wait_base

_DOUBLINGS = 60  # further ones would overflow a float, and are beyond any limit


class TryAgain(Exception):
    """An attempt failed and may be repeated.

    Attributes
    ----------
    cause
        A word for counters.
    after
        Seconds that the server asks to wait; ``None``: it does not ask.

    Examples
    --------
    >>> TryAgain("429 Too Many Requests", cause="rate", after=30.0).after
    30.0
    """

    def __init__(self, problem: str, cause: str = "", after: float | None = None) -> None:
        super().__init__(problem)
        self.cause = cause
        self.after = after


class Backoff(wait_base):
    """Exponential pauses with jitter; a longer pause requested by :class:`TryAgain` is used.

    The jitter is "equal": a pause is at least half of its ceiling. Clients that failed at the same
    time must not retry at the same time, and a pause near zero would not relieve the server.

    Parameters
    ----------
    first, longest
        Seconds: ceiling of the pause after the first failure, and of all pauses.
    growth
        Factor between the ceilings of two successive failures.
    most_asked
        Seconds: longest pause that the server may request.

    Examples
    --------
    >>> pauses = Backoff(first=1.0, longest=8.0, rng=random.Random(0))
    >>> [0.5 * ceiling <= pauses.pause(failures) <= ceiling
    ...  for failures, ceiling in [(1, 1), (2, 2), (4, 8), (100, 8)]]
    [True, True, True, True]

    A server that asks for 30 s is asked again after 30 s:

    >>> from tenacity import Retrying, stop_after_attempt
    >>> slept = []
    >>> for attempt in Retrying(wait=pauses, stop=stop_after_attempt(2), sleep=slept.append):
    ...     with attempt:
    ...         if not slept:
    ...             raise TryAgain("429 Too Many Requests", after=30.0)
    >>> slept
    [30.0]
    """

    def __init__(
        self,
        first: float,
        longest: float,
        *,
        growth: float = 2.0,
        most_asked: float = float("inf"),
        rng: random.Random | None = None,
    ) -> None:
        self.first = first
        self.longest = longest
        self.growth = growth
        self.most_asked = most_asked
        self._rng = rng or random.Random()  # noqa: S311

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after a number of failures (1 or more)."""
        ceiling = self.first * self.growth ** (min(failures, _DOUBLINGS) - 1)
        return min(self.longest, ceiling) * self._rng.uniform(0.5, 1.0)

    def __call__(self, retry_state: RetryCallState) -> float:
        """Return the seconds to wait (called by tenacity)."""
        pause = self.pause(retry_state.attempt_number)
        asked = getattr(error_of(retry_state), "after", None) or 0.0
        return max(pause, min(asked, self.most_asked))


def error_of(state: RetryCallState) -> BaseException | None:
    """Return the exception of the last attempt."""
    return state.outcome.exception() if state.outcome else None
