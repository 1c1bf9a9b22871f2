"""What listeners say of tracks, as it stands now, in PostgreSQL: a fold of the topic ``feedback``.

Of several words on one track the last in the log counts; ``undo`` takes the word back. One flush is
one transaction with the fence that says up to which offset the table stands.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from contracts.errors import StoreUnavailable
from contracts.events import Feedback
from contracts.ids import track_key
from streams.decode import Batch
from streams.errors import PositionLost

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEET = (
    "insert into feedback_fence (log_id, partition, applied_offset) values (%s, %s, -1) "
    "on conflict do nothing"
)
_READ = (
    "select partition, applied_offset from feedback_fence where log_id = %s "
    "and partition = any(%s) order by partition for update"
)
_ADVANCE = "update feedback_fence set applied_offset = %s where log_id = %s and partition = %s"
_SAY = """
    insert into feedback (user_id, track_key, kind, given_at, track_id, artist, title, source)
    values (%s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (user_id, track_key) do update set kind = excluded.kind,
        given_at = excluded.given_at, track_id = excluded.track_id, artist = excluded.artist,
        title = excluded.title, source = excluded.source
"""
_UNDO = "delete from feedback where user_id = %s and track_key = %s"
_ERASE = "delete from feedback where user_id = %s"


class FeedbackSink:
    """Writes batches of feedback to PostgreSQL (a :class:`streams.consume.Sink`).

    Parameters
    ----------
    dsn
        Where; its ``search_path`` names the schema.
    log_id, partitions
        The log the offsets belong to.
    """

    def __init__(self, dsn: str, log_id: str, partitions: int) -> None:
        self.dsn = dsn
        self.log_id = log_id
        self.partitions = partitions

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset`` as the fence says."""
        try:
            with psycopg.connect(self.dsn, connect_timeout=5) as connection:
                found = self._fence(connection.cursor(), list(range(self.partitions)))
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
            raise _unavailable(error) from None
        return {p: found[p] + 1 for p in range(self.partitions)}

    def write(self, batches: list[Batch[Feedback]]) -> int:
        """Apply the feedback of the batches that is new; return how many messages that was.

        Raises
        ------
        PositionLost
            The fence stands before the batches: the table was replaced by an older one.
        StoreUnavailable
            PostgreSQL does not answer.
        """
        try:
            # Feedback is rare: a connection for each flush costs less than one kept for ever.
            with psycopg.connect(self.dsn, connect_timeout=5) as connection:
                cursor = connection.cursor()
                fence = self._fence(cursor, [b.partition for b in batches])
                if any(fence[b.partition] + 1 < b.start for b in batches):
                    raise PositionLost(f"feedback stands at {fence}, before what was read")
                fresh = [
                    b.after(fence[b.partition]) for b in batches if b.last > fence[b.partition]
                ]
                for batch in fresh:
                    for _, message in batch.messages:
                        _apply(cursor, message)
                    cursor.execute(_ADVANCE, (batch.last, self.log_id, batch.partition))
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
            raise _unavailable(error) from None
        return sum(len(batch.messages) for batch in fresh)

    def _fence(self, cursor: psycopg.Cursor[Any], partitions: list[int]) -> dict[int, int]:
        cursor.executemany(_MEET, [(self.log_id, p) for p in sorted(partitions)])
        cursor.execute(_READ, (self.log_id, partitions))
        return dict(cursor.fetchall())


def _apply(cursor: psycopg.Cursor[Any], message: Feedback) -> None:
    user = message.user_id
    if message.kind == "erase":
        cursor.execute(_ERASE, (user,))
        return
    key = f"{track_key(message.artist, message.title):016x}"
    if message.kind == "undo":
        cursor.execute(_UNDO, (user, key))
        return
    given_at = _EPOCH + timedelta(milliseconds=message.at)
    names = [
        text.replace("\0", "\ufffd")
        for text in (message.track_id, message.artist, message.title, message.source)
    ]
    cursor.execute(_SAY, (user, key, message.kind, given_at, *names))


def _unavailable(error: psycopg.Error) -> StoreUnavailable:
    return StoreUnavailable(f"PostgreSQL: {str(error).splitlines()[0]}")
