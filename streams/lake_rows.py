"""From decoded messages to the rows of the lake's tables (:mod:`contracts.lake`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.events import Feedback, Play, Submission
from contracts.impressions import Impression
from contracts.lake import FEEDBACK, IMPRESSIONS, PLAYS, SESSIONS, SUSPECTS, UNIQUES
from streams.decode import Batch

T = TypeVar("T")
#: A message to ``(position, values by column)``, the place in the log left out.
Rows = Callable[[T], Iterator[tuple[int, dict[str, Any]]]]
#: Batches to values by column, what is the same in all rows left out.
Columns = Callable[[list[Batch[T]]], dict[str, Any]]

_ENCODER = msgspec.json.Encoder()
_LANDED = ("log_id", "landed_at", "landed_date")
_NO_TRACK = np.zeros((1, 2), np.float32)
#: Columns that all tracks of an impression share, and its fields.
_OF_IMPRESSION = {
    "impression_id": "impression_id",
    "user_id": "user_id",
    "shown_at": "at",
    "generation": "generation",
    "log_offset": "offset",
    "mode": "mode",
    "degraded": "degraded",
}
_OF_PLAY = {name: attrgetter(name) for name in Play.__struct_fields__ if name != "extra"}


def plays(batches: list[Batch[Submission]]) -> dict[str, Any]:
    """Return the columns: a row for each play. A column at a time, as for impressions."""
    placed = [(b.partition, offset, m) for b in batches for offset, m in b.messages]
    told = [play for _, _, m in placed for play in m.plays]
    sizes = np.array([len(m.plays) for _, _, m in placed], np.int64)
    of = np.repeat(np.arange(len(placed)), sizes)
    first = np.cumsum(sizes) - sizes
    return {name: list(map(value, told)) for name, value in _OF_PLAY.items()} | {
        "user_id": pa.array([m.user_id for _, _, m in placed], pa.string()).take(of),
        "extra": [None if p.extra is None else _ENCODER.encode(p.extra).decode() for p in told],
        "kafka_partition": np.array([p for p, _, _ in placed], np.int32)[of],
        "kafka_offset": np.array([offset for _, offset, _ in placed], np.int64)[of],
        "position": (np.arange(len(of)) - first[of]).astype(np.int32),
    }


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


def impressions(batches: list[Batch[Impression]]) -> dict[str, Any]:
    """Return the columns: a row for each track; one with position -1 for an empty list.

    Whole columns at a time, because every list that is shown lands here. Three lists, ``a`` of two
    tracks, ``b`` of none and ``c`` of one, become four rows::

        shown   [2, 0, 1]        tracks of each list
        rows    [2, 1, 1]        rows of each list: an empty one has a row as well
        of      [0, 0, 1, 2]     list of each row
        first   [0, 2, 3]        first row of each list
        nothing [F, F, T, F]     rows that stand for an empty list: null in columns of tracks
        position = arange(4) - first[of] = [0, 1, 0, 0], and -1 where nothing: [0, 1, -1, 0]
    """
    placed = [(b.partition, offset, m) for b in batches for offset, m in b.messages]
    told = [m for _, _, m in placed]
    shown = np.array([len(m.tracks) for m in told], np.int64)
    rows = np.maximum(shown, 1)
    of = np.repeat(np.arange(len(told)), rows)
    first = np.cumsum(rows) - rows
    nothing = (shown == 0)[of]
    # An empty list is one row without features in every column; the mask makes it null.
    matrices = [m.matrix() if m.tracks else _NO_TRACK for m in told]
    features = np.repeat([matrix.shape[1] - 2 for matrix in matrices], rows)
    ends = np.concatenate([[0], np.cumsum(features, dtype=np.int32)])

    def number(column: int) -> pa.Array:
        values = [matrix[:, column] for matrix in matrices]
        return pa.array(np.concatenate(values).astype(np.float64), mask=nothing)

    columns: dict[str, Any] = {
        column: pa.array([getattr(m, name) for m in told], IMPRESSIONS.field(column).type).take(of)
        for column, name in _OF_IMPRESSION.items()
    }
    return columns | {
        "arm": _arms(told, of),
        "track_id": [track for m in told for track in m.tracks or (None,)],
        "score": number(0),
        "propensity": number(1),
        "features": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()),
            pa.array(np.concatenate([matrix[:, 2:].ravel() for matrix in matrices])),
            IMPRESSIONS.field("features").type,
            mask=pa.array(nothing),
        ),
        "kafka_partition": np.array([p for p, _, _ in placed], np.int32)[of],
        "kafka_offset": np.array([offset for _, offset, _ in placed], np.int64)[of],
        "position": np.where(nothing, -1, np.arange(len(of)) - first[of]).astype(np.int32),
    }


def _arms(told: list[Impression], of: npt.NDArray[np.int64]) -> pa.Array:
    """Return the labels of each row: of its list, or, if two arms drafted it, of the row's arm."""
    if not any(m.teams for m in told):
        return pa.array([m.arm for m in told], pa.string()).take(of)
    return pa.array([labels for m in told for labels in m.arms()], pa.string())


def result(found: msgspec.Struct) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the one row of what a Flink job published: its fields are the columns."""
    yield 0, {name: getattr(found, name) for name in found.__struct_fields__ if name != "version"}


def _row_by_row(rows: Rows[T], names: list[str]) -> Columns[T]:
    """Return what makes columns of the rows of each message."""

    def make(batches: list[Batch[T]]) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {name: [] for name in names if name not in _LANDED}
        for batch in batches:
            for offset, message in batch.messages:
                for position, row in rows(message):
                    for name, value in row.items():
                        columns[name].append(value)
                    columns["kafka_partition"].append(batch.partition)
                    columns["kafka_offset"].append(offset)
                    columns["position"].append(position)
        return columns

    return make


#: The schema of each table and what makes its columns.
MAKERS: dict[str, tuple[pa.Schema, Columns[Any]]] = {
    "plays": (PLAYS, plays),
    "feedback": (FEEDBACK, _row_by_row(feedback, FEEDBACK.names)),
    "impressions": (IMPRESSIONS, impressions),
    "sessions": (SESSIONS, _row_by_row(result, SESSIONS.names)),
    "uniques": (UNIQUES, _row_by_row(result, UNIQUES.names)),
    "suspects": (SUSPECTS, _row_by_row(result, SUSPECTS.names)),
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
    if not any(batch.messages for batch in batches):
        return schema.empty_table()
    columns = make(batches)
    count = len(columns["position"])
    day = datetime.fromtimestamp(landed_at / 1000, UTC).date()
    for name, value in zip(_LANDED, (log_id, landed_at, day), strict=True):
        columns[name] = pa.repeat(pa.scalar(value, schema.field(name).type), count)
    return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)
