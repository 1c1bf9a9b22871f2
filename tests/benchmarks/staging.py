"""Staging a million catalogue rows, beside plain COPY into an unconstrained table in the same run.

Both sides read the same rows from the same generator; the floor is what psycopg and PostgreSQL need
to store them at all.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from batch.staging.load import Loader
from batch.staging.tables import TRACKS, Row
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from tests.benchmarks.figures import machine

AT = datetime(2026, 1, 2, tzinfo=UTC)


_KNOWN = (
    "source", "source_key", "artist", "title", "album", "duration_ms", "year", "explicit",
    "danceability", "energy", "tempo", "observed_at",
)  # fmt: skip
_PLACES = [TRACKS.columns.index(name) for name in _KNOWN]


def tracks(count: int) -> Iterator[Row]:
    """Yield tracks as a catalogue file gives them: twelve of 27 columns known.

    Made as cheaply as Python can, so that both sides measure storing and not making rows.
    """
    row: list[object] = [None] * len(TRACKS.columns)
    for n in range(count):
        known = (
            "bench", f"track-{n:08d}", f"Artist {n % 60_000}", f"Title of track {n}",
            f"Album {n % 200_000}", 180_000 + n % 100_000, 1960 + n % 60, n % 9 == 0,
            (n % 1000) / 1000, (n % 997) / 1000, 60 + n % 120, AT,
        )  # fmt: skip
        for place, value in zip(_PLACES, known, strict=True):
            row[place] = value
        yield tuple(row)


def plain_copy(connection: psycopg.Connection[Any], count: int) -> float:
    """Return the seconds COPY needs into a table without constraints or keys."""
    connection.execute("drop table if exists floor_tracks")
    connection.execute("create table floor_tracks as select * from staged_tracks limit 0")
    columns = ", ".join(TRACKS.columns)
    started = time.perf_counter()
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy floor_tracks ({columns}) from stdin") as copy,
    ):
        for row in tracks(count):
            copy.write_row(row)
    return time.perf_counter() - started


def staged(connection: psycopg.Connection[Any], count: int) -> float:
    """Return the seconds of staging: validated, deduplicated, upserted."""
    started = time.perf_counter()
    loaded = Loader(connection, TRACKS).load(tracks(count))
    seconds = time.perf_counter() - started
    assert not loaded.rejected
    return seconds


def run(*, rows: int = 1_000_000) -> dict[str, Any]:
    """Measure rows a second into the staging tables, beside COPY without constraints; memory.

    Parameters
    ----------
    rows
        Tracks of the generated file.
    """
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(Path(folder), free_ports(1)[0])
        server.start()
        try:
            with psycopg.connect(server.address, autocommit=True) as connection:
                floor = plain_copy(connection, rows)
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                first = staged(connection, rows)
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                again = staged(connection, rows)
                total = connection.execute("select count(*) from staged_tracks").fetchone()
                assert total == (rows,)
        finally:
            server.stop()
    return {
        "rows": rows,
        "copy_rows_per_s": round(rows / floor),
        "staged_rows_per_s": round(rows / first),
        "staged_again_rows_per_s": round(rows / again),
        "ratio": round(floor / first, 3),
        "peak_mb": round(peak / 1024, 1),
        "staging_added_mb": round((peak - before) / 1024, 1),
        "machine": machine(),
    }
