"""Small lakes for tests: plays, lists and feedback as the lake sink writes them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pyarrow as pa
from deltalake import write_deltalake

from contracts.ids import event_id, track_id
from contracts.lake import CATALOGUE, IMPRESSIONS, PARTITION_BY, PLAYS, TABLES
from contracts.lake_tables import lake_table
from contracts.settings import Settings

#: Noon of a Monday; every test counts minutes from here.
START = datetime(2025, 3, 3, 12, tzinfo=UTC)
#: Shared by every test of a process, so nobody knows the numbers: rows made later are behind.
_OFFSETS = itertools.count()


def at(minutes: float) -> datetime:
    """Return START plus some minutes."""
    return START + timedelta(minutes=minutes)


def delivery(
    user: str = "ada",
    track: str = "One",
    minutes: float = 0,
    *,
    artist: str = "Air",
    landed: float | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return one RAW row: a play at START + ``minutes`` that landed at START + ``landed``."""
    played_at = at(minutes)
    landed_at = at(minutes + 5 if landed is None else landed)
    row: dict[str, Any] = dict.fromkeys(PLAYS.names)
    row |= {
        "event_id": event_id(user, int(played_at.timestamp() * 1000), artist, track),
        "user_id": user,
        "track_id": track_id(artist, track),
        "artist": artist,
        "title": track,
        "played_at": played_at,
        "received_at": landed_at - timedelta(seconds=2),
        "source": "test/1",
        "log_id": "log",
        "kafka_partition": 0,
        "kafka_offset": next(_OFFSETS),
        "position": 0,
        "landed_at": landed_at,
    }
    row |= fields
    row["landed_date"] = row["landed_at"].date()
    return row


def repeated(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as the log holds it when it is sent a second time: behind every row so far."""
    return row | {"kafka_offset": next(_OFFSETS)}


def shown(
    user: str, tracks: list[str], minutes: float, *, artist: str = "Air", **fields: Any
) -> list[dict[str, Any]]:
    """Return the RAW rows of a list shown at START + ``minutes``; ``fields`` go into every row."""
    offset = next(_OFFSETS)
    rows = []
    for position, track in enumerate(tracks):
        row: dict[str, Any] = dict.fromkeys(IMPRESSIONS.names)
        row |= {
            "impression_id": str(UUID(int=offset)),
            "user_id": user,
            "shown_at": at(minutes),
            "generation": 1,
            "log_offset": 5,
            "arm": "default",
            "mode": "next",
            "degraded": False,
            "track_id": track_id(artist, track),
            "score": 1.0,
            "propensity": 1.0,
            "features": [0.5],
            "log_id": "log",
            "kafka_partition": 0,
            "kafka_offset": offset,
            "position": position,
            "landed_at": at(minutes + 1),
            "landed_date": at(minutes + 1).date(),
        }
        rows.append(row | fields)
    return rows


def said(user: str, kind: str, track: str, minutes: float, **fields: Any) -> dict[str, Any]:
    """Return the RAW row of a word of feedback on a track of Air."""
    row: dict[str, Any] = {
        "user_id": user,
        "kind": kind,
        "given_at": at(minutes),
        "track_id": "",
        "artist": "Air",
        "title": track,
        "source": "test/1",
        "log_id": "log",
        "kafka_partition": 0,
        "kafka_offset": next(_OFFSETS),
        "position": 0,
        "landed_at": at(minutes + 1),
        "landed_date": at(minutes + 1).date(),
    }
    return row | fields


def append(settings: Settings, rows: list[dict[str, Any]], name: str = "plays") -> None:
    """Append one commit to a table of the lake of a deployment."""
    table = pa.Table.from_pylist(rows, schema=TABLES[name])
    _write(settings, name, table, "append")


def replace_catalogue(
    settings: Settings, genre: str, artists: list[str], tracks: list[str]
) -> None:
    """Replace the catalogue's tables as the nightly does; every artist has every track."""
    now = datetime.now(UTC)
    common = {"genre": genre, "popularity": 0.5, "landed_at": now, "landed_date": now.date()}
    rows = {
        "catalogue_artists": [
            common | {"name": name, "artist_id": name, "tags": f'[["{genre}", 0.7]]', "sources": ""}
            for name in artists
        ],
        "catalogue_tracks": [
            common
            | {"track_id": track_id(artist, title), "artist": artist, "title": title}
            | {"album": f"{title} LP", "year": 1990 + number % 30, "energy": 0.25}
            for artist in artists
            for number, title in enumerate(tracks)
        ],
    }
    for name, found in rows.items():
        table = pa.Table.from_pylist(found, schema=CATALOGUE[name])
        _write(settings, name, table, "overwrite")


def _write(
    settings: Settings, name: str, table: pa.Table, mode: Literal["append", "overwrite"]
) -> None:
    place = lake_table(settings, name)
    write_deltalake(
        place.uri,
        table,
        mode=mode,
        partition_by=PARTITION_BY,
        storage_options=place.options or None,
    )
