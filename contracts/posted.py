"""The JSON of a play that importers and collectors send to ``POST /v1/plays``.

Fields other than artist, title and time are often malformed, and must not make the API refuse the
play: :func:`optional` and :func:`milliseconds` return a valid value, or ``None``.
"""

from __future__ import annotations

import re

import msgspec

#: Longest artist, title or album and longest of the other texts, in characters.
MAX_NAME, MAX_WORD = 1000, 256
#: Longest time a play or track may last: 24 days, in ms.
MAX_MS = 2_073_600_000
#: Name in ``extra`` of what a play was imported from; plays without it came from a player.
IMPORTED_FROM = "imported_from"
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")


class PostedPlay(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One play of a request, fields named as in the API's document.

    ``played_at`` is the start, milliseconds since the epoch, UTC; without ``user`` it is counted
    for the account of the token. ``imported_from`` names the export or the service that an importer
    read: such plays are history, and relays do not forward them.

    Examples
    --------
    >>> play = PostedPlay(artist="Air", title="Run", played_at=1_700_000_000_000, source="me/1")
    >>> msgspec.json.encode(play).decode()
    '{"artist":"Air","title":"Run","played_at":1700000000000,"source":"me/1"}'
    """

    artist: str
    title: str
    played_at: int
    source: str
    user: str = ""
    album: str | None = None
    ms_played: int | None = None
    duration_ms: int | None = None
    skipped: bool | None = None
    reason_end: str | None = None
    recording_mbid: str | None = None
    isrc: str | None = None
    spotify_uri: str | None = None
    imported_from: str | None = None


def storable(text: str) -> bool:
    """Whether a text can be written as UTF-8 and stored: no NUL, no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def optional(value: object, limit: int = MAX_WORD) -> str | None:
    """Return an optional text; ``None`` for anything the API would refuse.

    Examples
    --------
    >>> optional(" Moon Safari "), optional(7), optional("x" * 257)
    ('Moon Safari', None, None)
    """
    if not isinstance(value, str) or not (text := value.strip()) or len(text) > limit:
        return None
    return text if storable(text) else None


def milliseconds(value: object) -> int | None:
    """Return a length in milliseconds; ``None`` for an invalid value.

    Examples
    --------
    >>> milliseconds("251000"), milliseconds(251000.4), milliseconds(-1), milliseconds(True)
    (251000, 251000, None, None)
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= MAX_MS else None
