"""Error codes of Last.fm. Players retry only 11, 16 and (after a new login) 9."""

from __future__ import annotations

import msgspec

from contracts.errors import SegueError

INVALID_METHOD = 3
AUTHENTICATION_FAILED = 4
INVALID_PARAMETERS = 6
INVALID_RESOURCE = 7
INVALID_SESSION = 9
INVALID_SIGNATURE = 13
UNAUTHORIZED_TOKEN = 14
TEMPORARILY_UNAVAILABLE = 16
LOGIN_REQUIRED = 17
RATE_LIMIT = 29

_STATUS = {
    AUTHENTICATION_FAILED: 403,
    INVALID_SESSION: 403,
    INVALID_SIGNATURE: 403,
    UNAUTHORIZED_TOKEN: 403,
    LOGIN_REQUIRED: 403,
    INVALID_RESOURCE: 404,
    TEMPORARILY_UNAVAILABLE: 503,
    RATE_LIMIT: 429,
}


class LastfmFailure(msgspec.Struct):
    """A refused call as JSON; ``error`` is one of Last.fm's numbers, which players act on."""

    error: int
    message: str


class LastfmError(SegueError):
    """A refused call.

    Parameters
    ----------
    code
        One of the numbers above.
    message
        For a person.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """HTTP status that goes with the code."""
        return _STATUS.get(self.code, 400)


def try_again() -> LastfmError:
    """Return the one answer after which every player keeps its plays and sends them again."""
    return LastfmError(TEMPORARILY_UNAVAILABLE, "The service is temporarily unavailable.")
