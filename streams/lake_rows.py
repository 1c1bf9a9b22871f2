"""From decoded messages to the rows of the lake's tables (:mod:`contracts.lake`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
import pyarrow as pa

from contracts.events import Feedback, Impression, Play, Submission
from contracts.lake import FEEDBACK, IMPRESSIONS, PLAYS
from streams.decode import Batch

T = TypeVar("T")
#: A message to ``(position, values by column)``, the place in the log left out.
Rows = Callable[[T], Iterator[tuple[int, dict[str, Any]]]]

_OF_PLAY = [name for name in Play.__struct_fields__ if name != "extra"]


def plays(submission: Submission) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield a row for each play."""
    for position, play in enumerate(submission.plays):
        row = {name: getattr(play, name) for name in _OF_PLAY}
        row["user_id"] = submission.user_id
        row["extra"] = None if play.extra is None else msgspec.json.encode(play.extra).decode()
        yield position, row


def feedback(given: Feedback) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the one row."""
    yield (
        0,
        {
            "user_id": given.user_id,
            "kind": given.kind,
            "given_at": given.at,
            "track_id": given.track_id,
            "artist": given.artist,
            "title": given.title,
            "source": given.source,
        },
    )


def impressions(impression: Impression) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield a row for each track shown; one with position -1 for a list that showed nothing."""
    shared = {
        "impression_id": impression.impression_id,
        "user_id": impression.user_id,
        "shown_at": impression.at,
        "generation": impression.generation,
        "log_offset": impression.offset,
        "arm": impression.arm,
        "mode": impression.mode,
        "degraded": impression.degraded,
    }
    if not impression.shown:
        yield -1, shared | dict.fromkeys(("track_id", "score", "propensity", "features"))
    for position, shown in enumerate(impression.shown):
        yield (
            position,
            {
                **shared,
                "track_id": shown.track_id,
                "score": shown.score,
                "propensity": shown.propensity,
                "features": shown.features,
            },
        )


#: The schema of each table and what makes its rows.
MAKERS: dict[str, tuple[pa.Schema, Rows[Any]]] = {
    "plays": (PLAYS, plays),
    "feedback": (FEEDBACK, feedback),
    "impressions": (IMPRESSIONS, impressions),
}


def to_table(table: str, batches: list[Batch[Any]], log_id: str, landed_at: int) -> pa.Table:
    """Return the messages of the batches as rows of a lake table.

    Parameters
    ----------
    table
        One of :data:`MAKERS`.
    landed_at
        Milliseconds since the epoch, UTC; the same for all rows.
    """
    schema, make = MAKERS[table]
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for batch in batches:
        for offset, message in batch.messages:
            for position, row in make(message):
                for name, value in row.items():
                    columns[name].append(value)
                columns["kafka_partition"].append(batch.partition)
                columns["kafka_offset"].append(offset)
                columns["position"].append(position)
    count = len(columns["position"])
    columns["log_id"] = [log_id] * count
    columns["landed_at"] = [landed_at] * count
    columns["landed_date"] = [datetime.fromtimestamp(landed_at / 1000, UTC).date()] * count
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)
