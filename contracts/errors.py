"""The exceptions of Segue. Callers decide by class and never parse a message.

::

    SegueError
    ├── Retryable            the same call may succeed later: wait, then retry
    │   └── BrokerUnavailable, StoreUnavailable
    └── Terminal             the same call will fail again: reject, dead-letter or inform the user
        ├── InvalidEvent     (reason)
        ├── ConfigurationError
        └── IncompatibleState
"""

from __future__ import annotations


class SegueError(Exception):
    """Base of every error Segue raises on purpose.

    Examples
    --------
    >>> try:
    ...     raise StoreUnavailable("Redis does not answer")
    ... except Retryable as error:
    ...     print("try again later:", error)
    try again later: Redis does not answer
    """


class Retryable(SegueError):
    """The same call may succeed later."""


class Terminal(SegueError):
    """The same call will fail again."""


class BrokerUnavailable(Retryable):
    """The Kafka broker did not acknowledge in time."""


class StoreUnavailable(Retryable):
    """Redis, PostgreSQL or the warehouse did not answer."""


class InvalidEvent(Terminal):
    """An event breaks its contract.

    Parameters
    ----------
    reason
        A short stable word for counting, such as ``"bad-json"`` or ``"future"``.
    message
        What is wrong and what to do, for a person.

    Examples
    --------
    >>> InvalidEvent("future", "the play starts tomorrow").reason
    'future'
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ConfigurationError(Terminal):
    """A setting is missing or invalid; the message names it."""


class IncompatibleState(Terminal):
    """Stored state was written by another layout or version and cannot be read."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its class if it has no message.

    Examples
    --------
    >>> first_line(OSError("no route to host\\nat connect()")), first_line(TimeoutError())
    ('no route to host', 'TimeoutError')
    """
    line: str = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line[:300]
