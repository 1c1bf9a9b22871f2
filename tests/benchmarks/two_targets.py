"""``segue bench two-targets``: one nightly on both targets over real plays, mart by mart.

A file of interactions becomes a lake: its plays, and made from them, so that no mart is empty,
lists that showed them, feedback, plays that two clients reported, a catalogue. The lake moves to an
emulated Snowflake through stage and Snowpipe, ``segue nightly`` runs on both, and every mart is
compared: rows and checksum. The seconds of the Snowflake side are those of an emulation: they say
nothing about Snowflake.
"""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
from deltalake import write_deltalake

from batch.nightly import nightly
from contracts.ids import event_id, partition_of, track_id
from contracts.lake import CATALOGUE, PARTITION_BY, TABLES
from contracts.settings import Settings
from infra.operations.interactions import read
from infra.snowflake.backfill import backfill
from infra.snowflake.compare import compare
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from tests.snowflake_emulator.deployment import deployed

#: Every n-th play was reported twice, came from a list, was loved.
TWICE, LISTED, LOVED = 100, 40, 200
#: Length of every track, where the file names none.
DURATION_MS = 200_000
#: Artists that tracks are spread over, where the file names none; tracks a list shows.
ARTISTS, SHOWN = 500, 5
GENRES = ("ambient", "folk", "jazz", "rock", None)

Row = dict[str, Any]


def run(file: Path, limit: int = 50_000) -> dict[str, Any]:
    """Run the nightly on DuckDB and on an emulated Snowflake; exit code 1 if a mart differs.

    Parameters
    ----------
    file
        Interactions, parquet or csv.
    limit
        Plays of it.
    """
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, deployed(Path(name)) as snowflake:
        server = Postgres(Path(name), free_ports(1)[0])
        server.start()
        try:
            settings = Settings(home=Path(name) / "home", postgres_dsn=server.address)
            said["landed"] = _land(settings, file, limit)
            began = time.monotonic()
            moved = backfill(settings, snowflake.loader)
            said["backfill_seconds"] = round(time.monotonic() - began, 1)
            assert {m.table: m.landed for m in moved} == {t: said["landed"][t] for t in TABLES}
            os.environ |= snowflake.environ(snowflake.transformer)
            os.environ["SEGUE_SNOWFLAKE_THREADS"] = "1"
            for target in ("duckdb", "snowflake"):
                done = nightly(settings, target=target, until="reports")
                said[target] = {s.name: s.seconds for s in done.steps if s.seconds is not None}
                said[target]["error"] = done.error
            found = compare(settings, snowflake.transformer)
        finally:
            server.stop()
    said["marts"] = {
        each.table: {
            "rows": each.duckdb and each.duckdb.rows,
            "checksum": each.duckdb and each.duckdb.checksum,
            "same": each.same,
        }
        for each in found
    }
    said["same"] = bool(found) and all(each.same for each in found)
    errors = [said[target]["error"] for target in ("duckdb", "snowflake")]
    said["ok"] = said["same"] and not any(errors)
    said["empty"] = [each.table for each in found if not (each.duckdb and each.duckdb.rows)]
    return said


def _land(settings: Settings, file: Path, limit: int) -> dict[str, int]:
    """Write the lake and the journal of merges; return rows by table."""
    plays = list(_plays(file, limit))
    merged = [row for row in plays if row["source"] == "two-targets/2"]
    heads = {(row["user_id"], row["title"], row["played_at"]): row["event_id"] for row in plays}
    with psycopg.connect(settings.postgres_dsn) as history, history.cursor() as cursor:
        cursor.executemany(
            "insert into merges (user_id, event_id, head_id, why, at) values (%s, %s, %s, '', %s)",
            [
                (
                    row["user_id"],
                    row["event_id"],
                    heads[row["user_id"], row["title"], row["played_at"] - 7000],
                    row["landed_at"],
                )
                for row in merged
            ],
        )
    tracks = sorted({row["title"]: row["track_id"] for row in plays}.items())
    tables = {
        "plays": plays,
        "impressions": list(_lists(plays, tracks)),
        "feedback": [_word(row) for row in plays[::LOVED]],
        **_catalogue({row["title"]: row for row in plays}),
    }
    settings.paths.lake.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        schema = {**TABLES, **CATALOGUE}[name]
        columns = [pa.array([row.get(f.name) for row in rows], f.type) for f in schema]
        table = pa.table(columns, schema=schema)
        write_deltalake(str(settings.paths.lake / name), table, partition_by=PARTITION_BY)
    return {name: len(rows) for name, rows in tables.items()} | {"play_merges": len(merged)}


def _plays(file: Path, limit: int) -> Iterator[Row]:
    plays = read(file, limit=limit)
    offsets: dict[int, int] = {}
    landed = datetime.now(UTC)
    for number, (user, _, second) in enumerate(plays.iter_rows()):
        artist, title = plays.name(number, file.stem)
        if artist == file.stem:
            artist = f"Artist {zlib.crc32(title.encode()) % ARTISTS}"
        for late, client in ((0, 1), (7, 2)) if number % TWICE == 0 else ((0, 1),):
            at = (second + late) * 1000
            partition = partition_of(user, 12)
            offsets[partition] = offsets.get(partition, -1) + 1
            yield {
                "event_id": event_id(user, at, artist, title),
                "user_id": user,
                "track_id": track_id(artist, title),
                "artist": artist,
                "title": title,
                "album": f"Album {zlib.crc32(title.encode()) % 3000}" if client == 2 else None,
                "played_at": at,
                "received_at": landed,
                "impression_id": _list_of(number) if number % LISTED == 0 else None,
                "duration_ms": DURATION_MS,
                **_end(number),
                "source": f"two-targets/{client}",
            } | _place(partition, offsets[partition], landed)


def _end(number: int) -> Row:
    """Return how a play ended: unknown for one in three; of the others 30 % were skipped."""
    share = number * 37 % 100
    return {"ms_played": share * DURATION_MS // 100, "skipped": share < 30} if number % 3 else {}


def _lists(plays: list[Row], tracks: list[tuple[str, str]]) -> Iterator[Row]:
    """Yield a list for each play that names one: its track among others."""
    listed = [row for row in plays if row["impression_id"] and row["source"] == "two-targets/1"]
    for number, row in enumerate(listed):
        for position in range(SHOWN):
            other = tracks[(number * SHOWN + position) % len(tracks)][1]
            partition = row["kafka_partition"]
            yield {
                "impression_id": row["impression_id"],
                "user_id": row["user_id"],
                "shown_at": row["played_at"] - 10_000,
                "generation": 1,
                "log_offset": number,
                "arm": "default",
                "mode": "next",
                "degraded": False,
                "track_id": row["track_id"] if position == number % SHOWN else other,
                "score": 1.0 / (1 + position),
                "propensity": 0.5,
                "features": [0.5, float(position)],
            } | _place(partition, number, row["landed_at"], position)


def _word(row: Row) -> Row:
    place = _place(row["kafka_partition"], row["kafka_offset"], row["landed_at"])
    kept = {name: row[name] for name in ("user_id", "track_id", "artist", "title", "source")}
    return kept | {"kind": "love", "given_at": row["played_at"]} | place


def _catalogue(titles: dict[str, Row]) -> dict[str, list[Row]]:
    """Return what a catalogue knows of two tracks in three and of their artists."""
    known = [row for number, row in enumerate(titles.values()) if number % 3]
    place = {"landed_at": known[0]["landed_at"], "landed_date": known[0]["landed_date"]}
    artists = {row["artist"] for row in known}
    return {
        "catalogue_artists": [
            {
                "name": name,
                "artist_id": name,
                "genre": GENRES[zlib.crc32(name.encode()) % len(GENRES)],
                "tags": '[["tag", 0.5]]',
                "popularity": (zlib.crc32(name.encode()) % 100) / 100,
                "sources": "bench",
            }
            | place
            for name in sorted(artists)
        ],
        "catalogue_tracks": [
            {name: row[name] for name in ("track_id", "artist", "title", "album")}
            | {"year": 1960 + number % 60, "popularity": number % 100 / 100, "energy": 0.25}
            | place
            for number, row in enumerate(known)
        ],
    }


def _list_of(number: int) -> str:
    return str(UUID(int=number + 1))


def _place(partition: int, offset: int, landed: datetime, position: int = 0) -> Row:
    return {
        "log_id": "log",
        "kafka_partition": partition,
        "kafka_offset": offset,
        "position": position,
        "landed_at": landed,
        "landed_date": landed.date(),
    }
