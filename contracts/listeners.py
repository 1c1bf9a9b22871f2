"""Names of listeners: one form, and characters that every route can carry."""

from __future__ import annotations

import unicodedata

from contracts.errors import InvalidEvent

#: Longest name, characters.
LONGEST_NAME = 256


def listener_name(name: str) -> str:
    """Return a name in its one form (Unicode NFC): what looks equal is one listener."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def check_user(user: str) -> None:
    """Check the name of a listener.

    Raises
    ------
    InvalidEvent
        It is empty, has control characters, or begins or ends with white space.
    """
    if not user or not user.isprintable() or user != user.strip() or len(user) > LONGEST_NAME:
        raise InvalidEvent(
            "bad-text",
            "A listener's name has 1 to 256 printable characters and no white space at its ends.",
        )


def check_new_listener(user: str) -> None:
    """Check the name of a listener who may be new: addresses must be able to carry it.

    Raises
    ------
    InvalidEvent
        As :func:`check_user`, or the name has a slash, which servers and proxies take for the end
        of a part of an address: nobody could read, export or erase the plays.
    """
    check_user(user)
    if "/" in user or "\\" in user or user in (".", ".."):
        raise InvalidEvent("bad-text", "A listener's name has no slash and is not '.' or '..'.")
