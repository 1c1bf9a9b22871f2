"""The history sink: every play once in PostgreSQL, with exact counts, in the log's own order.

One flush is one transaction: the rows, the counts of what was really new, and the fence that says
up to which offset the table stands. PostgreSQL's text has no NUL, so NUL characters in names
become U+FFFD here; the log and the lake keep them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from contracts.errors import StoreUnavailable
from contracts.events import Play, Submission
from contracts.settings import Settings
from streams.consume import Follower
from streams.decode import Batch, Record, decode_plays
from streams.errors import PositionLost
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = (
    "user_id, played_at, event_id, track_id, artist, title, album, "
    "ms_played, duration_ms, skipped, source, received_at, extra"
)
_STAGE = "create temp table if not exists incoming (like plays) on commit delete rows"
_INSERT = f"""
with added as (
    insert into plays ({_COLUMNS}) select {_COLUMNS} from incoming
    on conflict do nothing returning user_id
), counted as (
    insert into listen_counts as c (user_id, plays)
    select user_id, count(*) from added group by user_id
    on conflict (user_id) do update set plays = c.plays + excluded.plays
    returning 1
)
select (select count(*) from added), (select count(*) from counted)
"""  # noqa: S608  (no value is spliced in, only our own column names)
_MEET = (
    "insert into history_fence (log_id, partition, applied_offset) values (%s, %s, -1) "
    "on conflict do nothing"
)
_READ = (
    "select partition, applied_offset from history_fence where log_id = %s "
    "and partition = any(%s) order by partition for update"
)
_ADVANCE = "update history_fence set applied_offset = %s where log_id = %s and partition = %s"


class HistorySink:
    """Writes batches of plays to PostgreSQL.

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
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self.dsn, connect_timeout=5)
            with self._connection.transaction():
                yield self._connection
        except psycopg.Error as error:
            self.close()
            if isinstance(error, (psycopg.OperationalError, psycopg.errors.UndefinedTable)):
                raise StoreUnavailable(f"PostgreSQL: {str(error).splitlines()[0]}") from None
            raise

    def close(self) -> None:
        """Drop the connection; the next call makes another."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset`` as the fence says."""
        with self._transaction() as connection:
            found = self._fence(connection, list(range(self.partitions)))
        return {p: found[p] + 1 for p in range(self.partitions)}

    def _fence(
        self, connection: psycopg.Connection[tuple[Any, ...]], partitions: list[int]
    ) -> dict[int, int]:
        with connection.cursor() as cursor:
            cursor.executemany(_MEET, [(self.log_id, p) for p in sorted(partitions)])
            cursor.execute(_READ, (self.log_id, partitions))
            return dict(cursor.fetchall())

    def write(self, batches: list[Batch[Submission]]) -> int:
        """Insert the plays of the batches that are new; return how many were.

        Raises
        ------
        PositionLost
            The fence stands before the batches: the table was replaced by an older one.
        StoreUnavailable
            PostgreSQL does not answer.
        """
        with self._transaction() as connection:
            fence = self._fence(connection, [b.partition for b in batches])
            if any(fence[b.partition] + 1 < b.start for b in batches):
                raise PositionLost(f"history stands at {fence}, before what was read")
            fresh = [b.after(fence[b.partition]) for b in batches if b.last > fence[b.partition]]
            with connection.cursor() as cursor:
                cursor.execute(_STAGE)
                with cursor.copy(f"copy incoming ({_COLUMNS}) from stdin") as copy:
                    for batch in fresh:
                        for _, submission in batch.messages:
                            for play in submission.plays:
                                copy.write_row(to_row(submission.user_id, play))
                cursor.execute(_INSERT)
                row = cursor.fetchone()
                assert row is not None
                cursor.executemany(_ADVANCE, [(b.last, self.log_id, b.partition) for b in fresh])
        return int(row[0])


def to_row(user_id: str, play: Play) -> tuple[Any, ...]:
    """Return a play as the columns of ``plays``."""
    return (
        user_id,
        _EPOCH + timedelta(milliseconds=play.played_at),
        play.event_id,
        _clean(play.track_id),
        _clean(play.artist),
        _clean(play.title),
        _clean(play.album),
        play.ms_played,
        play.duration_ms,
        play.skipped,
        _clean(play.source),
        _EPOCH + timedelta(milliseconds=play.received_at),
        None if play.extra is None else _text(play.extra),
    )


def _text(extra: dict[str, Any]) -> str:
    return msgspec.json.encode(extra).decode().replace("\\u0000", "\\ufffd")


def _clean(text: str | None) -> str | None:
    return text if text is None or "\0" not in text else text.replace("\0", "\ufffd")


def body(worker: Worker) -> None:
    """Follow ``plays`` into PostgreSQL until told to stop."""
    settings = worker.settings
    topic, partitions = worker.topics.plays, settings.partitions
    log_id = worker.find_logs()[topic]

    def decode(records: list[Record], partition: int, start: int) -> Batch[Submission]:
        return decode_plays(records, partition=partition, partitions=partitions, start=start)

    sink = HistorySink(settings.postgres_dsn, log_id, partitions)
    try:
        Follower(
            worker,
            topic,
            log_id,
            sink,
            decode,
            seconds=_SECONDS,
            rows=_ROWS,
            size=lambda submission: len(submission.plays),
        ).run()
    finally:
        sink.close()


# `listens` answers from this table, so it may lag a client's own submission only shortly.
_SECONDS, _ROWS = 0.25, 20_000


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, "history-sink", body)
