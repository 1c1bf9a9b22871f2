"""The history sink: every play once in PostgreSQL, with exact counts, in the log's own order.

One flush is one transaction: the rows, the merges of two clients' reports of one play
(:mod:`contracts.same_play`), the counts of new plays, and the fence, the last applied offset.
PostgreSQL's text has no NUL, so NUL characters in names become U+FFFD here; the log and the lake
keep them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.events import Play, Submission
from contracts.postgres import Connection, with_session
from contracts.recordings import recording_number
from contracts.same_play import client_of
from contracts.settings import Settings
from contracts.topics import Topic
from contracts.workers import HISTORY_SINK
from streams.consume import Follower, follow_together
from streams.decode import Batch
from streams.duplicates import ReportedPlay, fill
from streams.feedback_history import FeedbackSink
from streams.postgres_sink import PostgresSink, place
from streams.rekey import rekey
from streams.shared import SharedFollower
from streams.upsert import upsert
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# `listens` answers from this table, so it may lag a client's own submission only shortly.
_SECONDS, _ROWS = 0.25, 20_000


class HistorySink(PostgresSink[Submission]):
    """Writes batches of plays to PostgreSQL; counts the plays that were new."""

    fence = "history_fence"

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset``; rows of an older version get their keys first."""
        with self._transaction() as connection:
            if rekey(connection):
                log.info(
                    "recomputed the keys of all plays: the rule that compares names has changed"
                )
        return super().positions()

    def apply(self, connection: Connection, batches: list[Batch[Submission]]) -> int:
        """Insert the plays of the batches; return how many were new."""
        return upsert(connection, _reported_once(batches, self.numbers))


def _reported_once(
    batches: list[Batch[Submission]], numbers: dict[int, int]
) -> Iterable[ReportedPlay]:
    """Return the plays of the batches, those of one event as one."""
    events: dict[tuple[str, str], ReportedPlay] = {}
    for batch in batches:
        for offset, submission in batch.messages:
            at = place(numbers[batch.partition], offset)
            for play in submission.plays:
                told = to_reported(submission.user_id, play, at)
                key = told.user_id, told.event_id
                known = events.get(key)
                events[key] = told if known is None else fill(known, told)
    return events.values()


def to_reported(user_id: str, play: Play, at: int) -> ReportedPlay:
    """Return a play as the columns of ``plays``; ``extra`` is JSON text, ``at`` its place."""
    source = _clean(play.source) or ""
    return ReportedPlay(
        user_id=user_id,
        played_at=_EPOCH + timedelta(milliseconds=play.played_at),
        event_id=play.event_id.lower(),
        track_id=_clean(play.track_id) or "",
        artist=_clean(play.artist) or "",
        title=_clean(play.title) or "",
        album=_clean(play.album),
        ms_played=play.ms_played,
        duration_ms=play.duration_ms,
        skipped=play.skipped,
        source=source,
        received_at=_EPOCH + timedelta(milliseconds=play.received_at),
        extra=None if play.extra is None else _text(play.extra),
        name_key=recording_number(play.artist, play.title),
        place=at,
        clients=[client_of(source)],
    )


def _text(extra: dict[str, Any]) -> str:
    return msgspec.json.encode(extra).decode().replace("\\u0000", "\\ufffd")


def _clean(text: str | None) -> str | None:
    return text if text is None or "\0" not in text else text.replace("\0", "\ufffd")


def body(worker: Worker) -> None:
    """Follow ``plays`` and ``feedback`` into PostgreSQL until the worker has to stop."""
    settings, logs, topics = worker.settings, worker.find_logs(), worker.topics
    kinds: dict[Topic, type[PostgresSink[Any]]] = {
        topics.plays: HistorySink,
        topics.feedback: FeedbackSink,
    }
    # If another session holds a lock for longer, this worker reports that it waits, and why.
    dsn = with_session(settings.postgres_dsn, lock_timeout=settings.sink_lock_timeout_ms)
    follower = SharedFollower if settings.shared_sinks else Follower
    sinks = {topic: kind(dsn, logs[topic], settings.partitions) for topic, kind in kinds.items()}
    try:
        follow_together(
            worker,
            [
                follower(worker, topic, logs[topic], sink, seconds=_SECONDS, rows=_ROWS)
                for topic, sink in sinks.items()
            ],
        )
    finally:
        for sink in sinks.values():
            sink.close()


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, HISTORY_SINK.name, body)
