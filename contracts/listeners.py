"""Names of listeners: one normal form, and only characters that every route can transport."""

from __future__ import annotations

import unicodedata

from contracts.errors import InvalidEvent

#: Longest name, characters.
LONGEST_NAME = 256


def listener_name(name: str) -> str:
    """Return a name in Unicode NFC, so that names that look equal are one listener.

    Examples
    --------
    >>> listener_name("Zoe\u0308") == "Zo\u00eb"
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def check_user(user: str) -> None:
    """Check the name of a listener.

    Raises
    ------
    InvalidEvent
        It is empty, has control characters, or begins or ends with white space.

    Examples
    --------
    >>> check_user("ada")
    >>> check_user(" ada")
    Traceback (most recent call last):
    contracts.errors.InvalidEvent: A listener's name has 1 to 256 printable characters and no \
white space at its ends.
    """
    if not user or not user.isprintable() or user != user.strip() or len(user) > LONGEST_NAME:
        raise InvalidEvent(
            "bad-text",
            "A listener's name has 1 to 256 printable characters and no white space at its ends.",
        )


def check_new_listener(user: str) -> None:
    """Check the name of a listener who may be new: it must fit into a URL path.

    Raises
    ------
    InvalidEvent
        As :func:`check_user`, or the name has a slash. Servers and proxies treat a slash as the
        end of a path segment, so no request could read, export or erase the plays.

    Examples
    --------
    >>> check_new_listener("ada/phone")
    Traceback (most recent call last):
    contracts.errors.InvalidEvent: A listener's name has no slash and is not '.' or '..'.
    """
    check_user(user)
    if "/" in user or "\\" in user or user in (".", ".."):
        raise InvalidEvent("bad-text", "A listener's name has no slash and is not '.' or '..'.")
