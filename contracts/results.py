"""Results of the Flink jobs: one message per result, on separate topics.

A result is a function of the play log, so a restarted job may publish it again. The message key
identifies the result (window, listener, pattern), and readers keep one message per key: a duplicate
changes nothing.

``run`` identifies the job that counted. 0 is the streaming job, which leaves late plays out. A
batch run over the lake counts late plays too; its ``run`` is the time of its start. For a day that
a batch run has counted, the rows of the newest run replace all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from contracts.messages import check_version, read

VERSION = 1
#: The windows of the trending lists: name -> (length, slide) in minutes.
WINDOWS: dict[str, tuple[int, int]] = {
    "1h": (60, 5),
    "24h": (24 * 60, 60),
    "7d": (7 * 24 * 60, 6 * 60),
}
#: Kinds of trending lists.
KINDS = ("tracks", "artists")


class Place(msgspec.Struct, kw_only=True):
    """One line of a trending list.

    Attributes
    ----------
    id
        Public id of the track or artist.
    title
        Empty for an artist.
    listeners
        Number of different listeners who played it.
    weight
        Plays, of which each listener counts for at most three. The list is in this order; then by
        listeners, then by id.
    """

    place: int
    id: str
    artist: str
    title: str
    listeners: int
    plays: int
    weight: int


class Trending(msgspec.Struct, kw_only=True):
    """A whole list of one window. Key: kind and window, such as ``tracks:24h``.

    Attributes
    ----------
    kind
        One of :data:`KINDS`.
    window
        One of :data:`WINDOWS`.
    window_start, window_end
        Milliseconds since the epoch, UTC; the end is not part of the window.
    places
        In any order; ``place`` is the rank.

    Examples
    --------
    >>> decode_trending(b'{"kind": "tracks", "window": "1h", "window_start": 0,'
    ...                 b' "window_end": 3600000, "places": []}').window
    '1h'
    """

    kind: str
    window: str
    window_start: int
    window_end: int
    places: list[Place]
    run: int = 0
    version: int = VERSION


class Session(msgspec.Struct, kw_only=True):
    """Plays of one listener whose starts are less than 30 minutes apart (contracts.plays).

    Key: listener and start. Times are milliseconds since the epoch, UTC, of the first and the last
    play's start.

    Examples
    --------
    >>> decode_session(b'{"user_id": "ada", "started_at": 0, "last_played_at": 240000,'
    ...                b' "plays": 2, "tracks": 2}').plays
    2
    """

    user_id: str
    started_at: int
    last_played_at: int
    plays: int
    tracks: int
    run: int = 0
    version: int = VERSION


class Uniques(msgspec.Struct, kw_only=True):
    """Number of different listeners of a track in an hour. Key: hour and track.

    Examples
    --------
    >>> decode_uniques(b'{"hour": 0, "track_id": "t", "listeners": 3, "plays": 5}').listeners
    3
    """

    hour: int
    track_id: str
    listeners: int
    plays: int
    run: int = 0
    version: int = VERSION


class Late(msgspec.Struct, kw_only=True):
    """Deliveries that arrived too late for the windows. Key: hour of arrival and day of play.

    ``day`` is the UTC day of the plays (``2026-01-31``), ``hour`` the hour of arrival. If the sum
    over the messages of a day is large, count that day again with a batch run.
    """

    day: str
    hour: int
    plays: int
    run: int = 0
    version: int = VERSION


T = TypeVar("T", Trending, Session, Uniques, Late)


def decoder(message: type[T], what: str) -> Callable[[bytes | None], T]:
    """Return the decoder of one kind of message; the decoder raises InvalidEvent."""
    json = msgspec.json.Decoder(message)

    def decode(value: bytes | None) -> T:
        found: T = read(json, value, what)
        check_version(found.version, VERSION)
        return found

    return decode


decode_trending = decoder(Trending, "a trending list")
decode_session = decoder(Session, "a session")
decode_uniques = decoder(Uniques, "a count of listeners")
decode_late = decoder(Late, "a count of late plays")
