"""Moves an embedded deployment to Snowflake: the rows of the lake land in RAW, exactly once.

The files are those the landing sink would have made, so the sink continues behind them: no play of
the log lands twice when both are used.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from batch.lake import Lake, Snapshot
from batch.warehouse import rows_sql
from contracts.lake import TABLES
from contracts.settings import Settings
from contracts.snowflake import Snowflake
from contracts.topics import Kind, Topics
from streams.snowflake_sink.files import RangeFile, newest
from streams.snowflake_sink.landing import Landing
from streams.snowflake_sink.pipe import Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.stage import Stage


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one table.

    Attributes
    ----------
    lake
        Rows of the lake's newest version.
    landed
        Rows that this run brought into RAW; the others were there.
    quarantined
        Files that could not be loaded.
    """

    table: str
    lake: int
    landed: int
    quarantined: int


def backfill(
    settings: Settings,
    snowflake: Snowflake,
    progress: Callable[[RangeFile], None] = lambda file: None,
) -> list[Moved]:
    """Land the newest version of every table of the lake; running again changes nothing.

    Stop the landing sink first: of two writers one would lose its position in the log and start
    again.

    Raises
    ------
    StoreUnavailable
        Snowflake or the lake cannot be reached; the next run resumes.
    """
    remote = Remote(threading.Event())
    moved = []
    for table in TABLES:
        snapshot = Lake.of(settings, table).on_disk()
        if snapshot is None:
            continue
        stage = Stage(snowflake, remote, table)
        landing = Landing(stage, Pipe(snowflake, remote, table), remote, snowflake.silence_seconds)
        topic = Topics(settings.namespace).of(Kind(table))
        landed = quarantined = 0
        try:
            for file, rows in _ranges(snapshot, topic, stage):
                progress(file)
                stage.put(file, _encode(file, rows))
                outcome = landing.finish([file], resumed=True)
                landed, quarantined = landed + outcome.rows, quarantined + outcome.quarantined
        finally:
            stage.close()
        moved.append(Moved(table, snapshot.rows, landed, quarantined))
    return moved


def what_next(plays: int) -> str:
    """Return what to do after so many plays were landed late, in a sentence; empty for none."""
    if not plays:
        return ""
    return (
        f"{plays:,} plays keep the time at which they landed first. Where a nightly was built "
        "since, it does not look back so far: run `segue nightly --target snowflake "
        "--full-refresh` once"
    )


def _ranges(snapshot: Snapshot, topic: str, stage: Stage) -> Iterator[tuple[RangeFile, pa.Table]]:
    """Yield one file for each partition of each log: what lies behind the newest file there."""
    # pyarrow can neither filter nor sort the string views in files that an erasure rewrote.
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create view rows as {rows_sql(snapshot)}")
        ends = connection.execute(_ENDS).fetchall()
        for log_id, partition, last in ends:
            landed = newest(stage.files(topic, log_id)).get(partition)
            first = landed.last + 1 if landed else 0
            found = connection.sql(_ROWS, params=[log_id, partition, first])
            rows = found.to_arrow_table()
            if rows.num_rows:
                yield RangeFile(topic, log_id, partition, first, last, rows.num_rows), rows


_ENDS = """
    select log_id, kafka_partition, max(kafka_offset) from rows
    group by log_id, kafka_partition order by kafka_partition
"""
_ROWS = """
    select * from rows where log_id = ? and kafka_partition = ? and kafka_offset >= ?
    order by kafka_offset, position
"""


def _encode(file: RangeFile, rows: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(rows.append_column("source_file", pa.repeat(file.path, file.rows)), out)
    return out.getvalue()
