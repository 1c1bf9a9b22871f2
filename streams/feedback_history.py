"""What listeners say of tracks, as it stands now, in PostgreSQL: a fold of the topic ``feedback``.

Of several feedbacks on one track the last in the log counts; ``undo`` removes it. One flush is one
transaction that also moves the fence, the last applied offset.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from contracts.events import Feedback
from contracts.ids import track_key
from contracts.postgres import Connection
from streams.decode import Batch
from streams.postgres_sink import PostgresSink, place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAY = """
    insert into feedback
        (user_id, track_key, kind, given_at, track_id, artist, title, source, place)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    on conflict (user_id, track_key) do update set kind = excluded.kind,
        given_at = excluded.given_at, track_id = excluded.track_id, artist = excluded.artist,
        title = excluded.title, source = excluded.source, place = excluded.place
"""
_UNDO = "delete from feedback where user_id = %s and track_key = %s"


class FeedbackSink(PostgresSink[Feedback]):
    """Writes batches of feedback to PostgreSQL; counts the messages."""

    fence = "feedback_fence"

    def apply(self, connection: Connection, batches: list[Batch[Feedback]]) -> int:
        """Apply the messages of the batches in the order of the log; return how many."""
        with connection.cursor() as cursor:
            for batch in batches:
                for offset, message in batch.messages:
                    _apply(cursor, message, place(self.numbers[batch.partition], offset))
        return sum(len(batch.messages) for batch in batches)


def _apply(cursor: psycopg.Cursor[Any], message: Feedback, at: int) -> None:
    user = message.user_id
    key = f"{track_key(message.artist, message.title):016x}"
    if message.kind == "undo":
        cursor.execute(_UNDO, (user, key))
        return
    given_at = _EPOCH + timedelta(milliseconds=message.at)
    names = [
        text.replace("\0", "\ufffd")
        for text in (message.track_id, message.artist, message.title, message.source)
    ]
    cursor.execute(_SAY, (user, key, message.kind, given_at, *names, at))
