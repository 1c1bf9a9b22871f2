"""The lake's RAW tables: what the sinks append and the warehouse reads.

RAW is append-only and keeps every delivery with its place in the log: ``(log_id, kafka_partition,
kafka_offset, position)`` is unique, ``event_id`` need not be (a play sent twice lies here twice and
is counted once downstream). Each commit carries the Delta transaction ``app_id(log, partition) ->
last offset``, which is where a sink resumes, so a killed sink neither loses nor doubles a play.
"""

from __future__ import annotations

import pyarrow as pa

_MS = pa.timestamp("ms", tz="UTC")

#: Where a row lay in the log, and when it landed; the end of every table.
_PLACE = [
    pa.field("log_id", pa.string(), nullable=False),
    pa.field("kafka_partition", pa.int32(), nullable=False),
    pa.field("kafka_offset", pa.int64(), nullable=False),
    pa.field("position", pa.int32(), nullable=False),
    pa.field("landed_at", _MS, nullable=False),
    pa.field("landed_date", pa.date32(), nullable=False),
]

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
        *_PLACE,
    ]
)

#: Table ``feedback``: one row a message, ``position`` is 0.
FEEDBACK = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("given_at", _MS, nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("artist", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        *_PLACE,
    ]
)

#: Table ``impressions``: one row a track shown, ``position`` is its place in the list from 0. A
#: list that showed nothing has one row with ``position`` -1 and no track.
IMPRESSIONS = pa.schema(
    [
        pa.field("impression_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("shown_at", _MS, nullable=False),
        pa.field("generation", pa.int64(), nullable=False),
        pa.field("log_offset", pa.int64(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("degraded", pa.bool_(), nullable=False),
        pa.field("track_id", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("propensity", pa.float64()),
        pa.field("features", pa.list_(pa.float32())),
        *_PLACE,
    ]
)

#: Every table that holds a log, by the name of its folder and of its topic.
TABLES: dict[str, pa.Schema] = {
    "plays": PLAYS,
    "feedback": FEEDBACK,
    "impressions": IMPRESSIONS,
}

#: Sessions as the Flink job counted them; a repeat has the same listener and start.
SESSIONS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("started_at", _MS, nullable=False),
        pa.field("last_played_at", _MS, nullable=False),
        pa.field("plays", pa.int64(), nullable=False),
        pa.field("tracks", pa.int64(), nullable=False),
        pa.field("run", pa.int64(), nullable=False),
        *_PLACE,
    ]
)

#: Different listeners of a track in an hour as the Flink job counted them.
UNIQUES = pa.schema(
    [
        pa.field("hour", _MS, nullable=False),
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("listeners", pa.int64(), nullable=False),
        pa.field("plays", pa.int64(), nullable=False),
        pa.field("run", pa.int64(), nullable=False),
        *_PLACE,
    ]
)

#: Suspects as the Flink job found them, and their releases (contracts.suspects).
SUSPECTS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("pattern", pa.string(), nullable=False),
        pa.field("started_at", _MS, nullable=False),
        pa.field("ended_at", _MS, nullable=False),
        pa.field("plays", pa.int64(), nullable=False),
        pa.field("run", pa.int64(), nullable=False),
        *_PLACE,
    ]
)

#: What Flink publishes and the lake keeps; empty where Flink does not run.
RESULTS: dict[str, pa.Schema] = {
    "sessions": SESSIONS,
    "uniques": UNIQUES,
    "suspects": SUSPECTS,
}

_LANDED = [
    pa.field("landed_at", _MS, nullable=False),
    pa.field("landed_date", pa.date32(), nullable=False),
]

#: What the catalogue knows of each name an artist has; names merged share ``artist_id``, tags and
#: popularity. ``tags`` is JSON: a list of ``[tag, weight]``, the strongest first, 0 .. 1.
CATALOGUE_ARTISTS = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("artist_id", pa.string(), nullable=False),
        pa.field("genre", pa.string()),
        pa.field("tags", pa.string(), nullable=False),
        pa.field("popularity", pa.float32(), nullable=False),
        pa.field("sources", pa.string(), nullable=False),
        *_LANDED,
    ]
)

#: The best word of all sources on each track; ``genre`` is its own or its artist's.
CATALOGUE_TRACKS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("artist", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("album", pa.string()),
        pa.field("genre", pa.string()),
        pa.field("year", pa.int32()),
        pa.field("duration_ms", pa.int64()),
        pa.field("recording_mbid", pa.string()),
        pa.field("isrc", pa.string()),
        pa.field("spotify_id", pa.string()),
        pa.field("popularity", pa.float32(), nullable=False),
        pa.field("danceability", pa.float32()),
        pa.field("energy", pa.float32()),
        pa.field("acousticness", pa.float32()),
        pa.field("instrumentalness", pa.float32()),
        pa.field("valence", pa.float32()),
        *_LANDED,
    ]
)

#: Tables about music, not people: replaced whole by the nightly when the catalogue has changed.
CATALOGUE: dict[str, pa.Schema] = {
    "catalogue_artists": CATALOGUE_ARTISTS,
    "catalogue_tracks": CATALOGUE_TRACKS,
}

PARTITION_BY = ["landed_date"]


def app_id(log_id: str, partition: int) -> str:
    """Return the Delta application id under which a partition's progress is committed."""
    return f"segue:{log_id}:{partition}"


def whole_id(log_id: str, partition: int) -> str:
    """Return the Delta application id under which a sink commits that it has skipped messages.

    The version is the offset from which on the table holds every message of the partition. Without
    it the table holds every message from offset 0.
    """
    return f"{app_id(log_id, partition)}:whole-from"
