"""The lake's RAW tables: what the sinks append and the warehouse reads.

RAW is append-only and keeps every delivery with its place in the log: ``(log_id, kafka_partition,
kafka_offset, position)`` is unique, ``event_id`` need not be (a play sent twice lies here twice and
is counted once downstream). Each commit carries the Delta transaction ``app_id(log, partition) ->
last offset``, which is where a sink resumes, so a killed sink neither loses nor doubles a play.
"""

from __future__ import annotations

import pyarrow as pa

_MS = pa.timestamp("ms", tz="UTC")

#: Table ``plays`` under the lake folder; one file set per ``landed_date``.
PLAYS = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("artist", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("album", pa.string()),
        pa.field("played_at", _MS, nullable=False),
        pa.field("received_at", _MS, nullable=False),
        pa.field("ms_played", pa.int64()),
        pa.field("duration_ms", pa.int64()),
        pa.field("skipped", pa.bool_()),
        pa.field("reason_end", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("session_hint", pa.string()),
        pa.field("impression_id", pa.string()),
        pa.field("extra", pa.string()),  # JSON text
        pa.field("log_id", pa.string(), nullable=False),
        pa.field("kafka_partition", pa.int32(), nullable=False),
        pa.field("kafka_offset", pa.int64(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),
        pa.field("landed_at", _MS, nullable=False),
        pa.field("landed_date", pa.date32(), nullable=False),
    ]
)

PARTITION_BY = ["landed_date"]


def app_id(log_id: str, partition: int) -> str:
    """Return the Delta application id under which a partition's progress is committed."""
    return f"segue:{log_id}:{partition}"
