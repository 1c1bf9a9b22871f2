"""What can go wrong while following the log."""

from __future__ import annotations

from contracts.errors import Retryable


class PositionLost(Retryable):
    """A store or a consumer does not stand where this process believed.

    The process ends with :data:`RESTART`; the next one asks the store where it stands and folds
    the log from there.
    """


class LogChanged(Retryable):
    """The topic is another one than at the start: offsets of the old log mean nothing now."""


#: Exit codes of the workers besides 0: something is wrong that a person must see, a dependency
#: cannot be reached, "start me again, I will find my place", and "I could not stop in time".
FAILED, UNAVAILABLE, RESTART, CUT_SHORT = 1, 2, 3, 4


def exit_code(error: BaseException) -> int:
    """Return the exit code a worker ends with after ``error``."""
    if isinstance(error, (PositionLost, LogChanged)):
        return RESTART
    return UNAVAILABLE if isinstance(error, Retryable) else FAILED
