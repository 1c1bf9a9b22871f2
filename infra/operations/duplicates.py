"""What was merged of a listener's plays, and taking it apart."""

from __future__ import annotations

import uuid

import msgspec

from contracts.errors import ConfigurationError
from contracts.postgres import connect
from streams.nearby import SEED_COLUMNS
from streams.settle import LOCK, settle

_MERGED = """
select
    m.event_id::text, m.head_id::text, m.artist, m.title, m.source, head.source,
    floor(extract(epoch from m.played_at) * 1000)::bigint,
    extract(epoch from m.played_at - head.played_at)::float8,
    note.why, floor(extract(epoch from note.at) * 1000)::bigint
from merged_plays m
join merged_plays head on head.user_id = m.user_id and head.event_id = m.head_id
cross join lateral (
    select n.why, n.at from merges n
    where n.user_id = m.user_id and n.event_id = m.event_id order by n.id desc limit 1
) as note
where m.user_id = %s and m.event_id <> m.head_id
order by m.played_at desc, m.event_id
"""
_KNOWN = """
select exists (
    select from plays where user_id = %(user)s and event_id = %(event)s
    union all select from merged_plays where user_id = %(user)s and event_id = %(event)s
)
"""
_KEEP = "insert into kept_apart (user_id, event_id) values (%s, %s) on conflict do nothing"
_SEED = f"""
select {SEED_COLUMNS} from merged_plays
where user_id = %(user)s and event_id = %(event)s
"""  # noqa: S608  the columns are ours


class Merge(msgspec.Struct):
    """A play that is counted as part of another.

    Attributes
    ----------
    into
        The event it is counted as.
    source, into_source
        The clients that reported the two.
    played_at, at
        Start of the play, and when it was merged: milliseconds since the epoch, UTC.
    seconds_apart
        How much later than the other it began.
    """

    event_id: str
    into: str
    artist: str
    title: str
    source: str
    into_source: str
    played_at: int
    seconds_apart: float
    why: str
    at: int


def merged(dsn: str, user: str) -> list[Merge]:
    """Return what was merged of a listener's plays, the latest play first.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    """
    with connect(dsn) as connection:
        return [Merge(*row) for row in connection.execute(_MERGED, (user,))]


def unmerge(dsn: str, user: str, event_id: str) -> bool:
    """Separate a play permanently, also when the log is read again.

    Returns
    -------
    bool
        Whether it had been merged.

    Raises
    ------
    ConfigurationError
        The listener has no such play.
    StoreUnavailable
        PostgreSQL does not answer.
    """
    try:
        event = str(uuid.UUID(event_id))
    except ValueError:
        raise ConfigurationError(f"{event_id!r} is not an event id; see segue duplicates") from None
    with connect(dsn) as connection:
        connection.execute(LOCK)
        known = connection.execute(_KNOWN, {"user": user, "event": event}).fetchone()
        if known is None or not known[0]:
            raise ConfigurationError(f"{user} has no play {event}; see segue duplicates {user}")
        connection.execute(_KEEP, (user, event))
        return settle(connection, _SEED, {"user": user, "event": event}) > 0
