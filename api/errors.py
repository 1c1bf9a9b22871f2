"""Errors of the HTTP API: one class, rendered in the shape of the caller's protocol.

Nothing else leaves the process: an unexpected exception is logged and answered as ``internal``.
"""

from __future__ import annotations

import msgspec

from contracts.errors import SegueError, first_line


class ApiError(SegueError):
    """A request that cannot be served.

    Parameters
    ----------
    status
        HTTP status.
    code
        A short stable word for programs, such as ``"unauthorized"``.
    message
        What is wrong and what to do, for a person.
    field
        The part of the request that is wrong, where there is one.
    retry_after
        Seconds after which the same request may succeed.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after


class ClientGone(SegueError):
    """The caller hung up before its request was read: there is nobody to answer."""


class ErrorDetail(msgspec.Struct, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    field: str | None = None


class ErrorBody(msgspec.Struct):
    """Body of every error under /v1."""

    error: ErrorDetail


def native_body(error: ApiError) -> bytes:
    """Return the error body of Segue's own API."""
    return msgspec.json.encode(ErrorBody(ErrorDetail(error.code, error.message, error.field)))


def listenbrainz_body(error: ApiError) -> bytes:
    """Return the error body of the ListenBrainz API."""
    return msgspec.json.encode({"code": error.status, "error": error.message})


def unavailable(what: str) -> ApiError:
    """Return a 503: a dependency is down, try again."""
    return ApiError(503, "unavailable", f"{what}; try again in a few seconds", retry_after=2)


def bad_value(error: Exception) -> ApiError:
    """Return a 400: PostgreSQL cannot hold a value of the request; the message has its reason."""
    if "NUL" in str(error):
        return ApiError(400, "bad-text", "A text contains the character NUL; remove it.")
    return ApiError(400, "bad-value", f"A value cannot be used: {first_line(error)}.")


def unauthorized(message: str = "Send a valid token: 'Authorization: Token <token>'.") -> ApiError:
    """Return a 401."""
    return ApiError(401, "unauthorized", message)


def forbidden(message: str) -> ApiError:
    """Return a 403."""
    return ApiError(403, "forbidden", message)


INTERNAL = ApiError(500, "internal", "An unexpected error happened; the server has logged it.")
