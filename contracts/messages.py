"""Decoding of log messages, with the same errors on every topic."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from contracts.errors import InvalidEvent

T = TypeVar("T")


def read(decoder: msgspec.json.Decoder[T], value: bytes | None, what: str) -> T:
    """Decode a message.

    Parameters
    ----------
    what
        The expected message, for the error text: ``"a submission"``.

    Raises
    ------
    InvalidEvent
        With reason ``empty``, ``bad-json`` or ``bad-schema``.

    Examples
    --------
    >>> read(msgspec.json.Decoder(list[int]), b"[1]", "numbers")
    [1]
    """
    if not value:
        raise InvalidEvent("empty", f"the message has no value; it should be {what}")
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise InvalidEvent("bad-schema", f"not {what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent("bad-json", f"not JSON: {error}") from None


def check_version(found: int, known: int) -> None:
    """Raise InvalidEvent with reason ``bad-version`` unless the version is the known one."""
    if found != known:
        raise InvalidEvent("bad-version", f"version {found} is not understood here, only {known}")
