"""Small lakes for tests: plays as the lake sink writes them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from contracts.ids import event_id, track_id
from contracts.lake import PARTITION_BY, PLAYS
from contracts.settings import Settings

#: Noon of a Monday; every test counts minutes from here.
START = datetime(2025, 3, 3, 12, tzinfo=UTC)
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


def append(settings: Settings, rows: list[dict[str, Any]]) -> None:
    """Append one commit to the lake of a deployment."""
    path: Path = settings.lake_dir / "plays"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=PLAYS)
    write_deltalake(str(path), table, mode="append", partition_by=PARTITION_BY)
