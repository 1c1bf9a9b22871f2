"""From one message of ``plays`` to the rows that the SQL statements read.

The rules are those of every other fold (:mod:`streams.decode`): a message that is no submission
becomes a dead letter, an erased one is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from contracts.events import Play
from contracts.ids import artist_id
from contracts.plays import COUNTED_MS
from streams.decode import Decoder, Record, Rejected

_artist_id = lru_cache(65_536)(artist_id)


class Row(NamedTuple):
    """One delivery of one play; the columns of the tables ``timely`` and ``late_plays``.

    Attributes
    ----------
    heard
        It was heard for half a minute or more, according to the client.
    trace
        Hash of the track and the second in which it began.
    late
        It arrived later than the bound.
    """

    user_id: str
    event_id: str
    track_id: str
    artist_id: str
    artist: str
    title: str
    played_at: int
    received_at: int
    heard: bool
    trace: int
    late: bool


def is_late(played_at: int, received_at: int, bound: int) -> bool:
    """Whether a play arrived more than `bound` seconds after it was played.

    A rule about the play alone, so that the same plays are late in every run, however fast the job
    reads.

    Examples
    --------
    >>> is_late(0, 3_600_000, 3600), is_late(0, 3_600_001, 3600)
    (False, True)
    """
    return received_at - played_at > 1000 * bound


def is_heard(play: Play) -> bool:
    """Return whether a play was heard for half a minute; if the client sent no length, yes."""
    return not play.skipped and (play.ms_played is None or play.ms_played >= COUNTED_MS)


def trace(track_id: str, played_at: int) -> int:
    """Return 32 bits that two accounts share when they start a track at the same second."""
    return crc32(f"{track_id}{played_at // 1000}".encode())


def rows(
    decoder: Decoder, record: Record, *, partition: int, bound: int
) -> tuple[list[Row], list[Rejected]]:
    """Return the plays of a message, or why there are none.

    Parameters
    ----------
    partition
        Where the message lies.
    bound
        Seconds after which a play is late.
    """
    batch = decoder.plays([record], partition=partition, start=record.offset)
    return [
        row
        for _, submission in batch.messages
        for row in _plays(submission.user_id, submission.plays, bound)
    ], batch.rejected


def _plays(user_id: str, plays: list[Play], bound: int) -> Iterator[Row]:
    for play in plays:
        yield Row(
            user_id=user_id,
            event_id=play.event_id,
            track_id=play.track_id,
            artist_id=_artist_id(play.artist),
            artist=play.artist,
            title=play.title,
            played_at=play.played_at,
            received_at=play.received_at,
            heard=is_heard(play),
            trace=trace(play.track_id, play.played_at),
            late=is_late(play.played_at, play.received_at, bound),
        )
