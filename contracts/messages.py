"""Reading one message of the log: what is none is refused with the same words on every topic."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from contracts.errors import InvalidEvent

T = TypeVar("T")


def read(decoder: msgspec.json.Decoder[T], value: bytes | None, what: str) -> T:
    """Return the message.

    Parameters
    ----------
    what
        What it should be, for a person: ``"a submission"``.

    Raises
    ------
    InvalidEvent
        ``empty``, ``bad-json`` or ``bad-schema``: reasons fit for counting and for dead letters.

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
    """Raise a ``bad-version`` unless a message has the version that is read here."""
    if found != known:
        raise InvalidEvent("bad-version", f"version {found} is not understood here, only {known}")
