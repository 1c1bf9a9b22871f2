"""From rows of the lake to the messages they were made of: the inverse of `streams.lake_rows`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from contracts.events import Feedback, Play, Submission, encode
from contracts.lake import FEEDBACK, PLAYS
from contracts.topics import Kind
from streams.decode import Record

#: Columns that say where a row lay in the log.
PLACE = ["kafka_partition", "kafka_offset", "position"]
#: Rows in the log's order to ``(partition, message)``.
Records = Callable[[pa.Table], Iterator[tuple[int, Record]]]

_OF_PLAY = Play.__struct_fields__
#: Column of each field of a message of feedback.
_OF_FEEDBACK = {
    "user_id": "user_id",
    "kind": "kind",
    "at": "given_at",
    "source": "source",
    "track_id": "track_id",
    "artist": "artist",
    "title": "title",
}


def _values(rows: pa.Table, name: str) -> list[Any]:
    column = rows[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())  # milliseconds, as messages have them
    found: list[Any] = column.to_pylist()
    return found


def _places(rows: pa.Table) -> Iterator[tuple[int, int]]:
    return zip(*(_values(rows, name) for name in PLACE[:2]), strict=True)


def _submissions(rows: pa.Table) -> Iterator[tuple[int, Record]]:
    extras = map(_read_extra, _values(rows, "extra"))
    values = [extras if name == "extra" else _values(rows, name) for name in _OF_PLAY]
    plays = (Play(**dict(zip(_OF_PLAY, row, strict=True))) for row in zip(*values, strict=True))
    placed = zip(_places(rows), _values(rows, "user_id"), plays, strict=True)
    for (partition, offset), group in itertools.groupby(placed, key=lambda row: row[0]):
        of_message = list(group)
        user = of_message[0][1]
        value = encode(Submission(user_id=user, plays=[play for _, _, play in of_message]))
        yield partition, Record(offset, value, user.encode())


def _read_extra(text: str | None) -> dict[str, Any] | None:
    return None if text is None else msgspec.json.decode(text, type=dict[str, Any])


def _feedback(rows: pa.Table) -> Iterator[tuple[int, Record]]:
    values = [_values(rows, column) for column in _OF_FEEDBACK.values()]
    for (partition, offset), row in zip(_places(rows), zip(*values, strict=True), strict=True):
        given = Feedback(**dict(zip(_OF_FEEDBACK, row, strict=True)))
        yield partition, Record(offset, encode(given), given.user_id.encode())


def _schema(table: pa.Schema, *names: str) -> pa.Schema:
    return pa.schema([table.field(name) for name in (*names, *PLACE)])


#: By kind of topic: the columns to read, and what makes messages of them. Impressions are not here:
#: Kafka keeps them for 30 days by design.
MESSAGES: dict[Kind, tuple[pa.Schema, Records]] = {
    Kind.PLAYS: (_schema(PLAYS, "user_id", *_OF_PLAY), _submissions),
    Kind.FEEDBACK: (_schema(FEEDBACK, *_OF_FEEDBACK.values()), _feedback),
}
