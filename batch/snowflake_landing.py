"""Lands in Snowflake what is not in the log: merges, the arms of experiments, the catalogue.

Each piece is a Parquet file named by what it holds, put into the stage BATCH and copied by one
statement: it is in RAW whole or not at all. RAW is only appended to, and what it holds is asked
first, so landing again, after a kill too, lands nothing twice.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from batch.experiments.landing import experiment_arms
from batch.lake import Snapshot
from batch.merges import journal_of_merges
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.lake import CATALOGUE
from contracts.settings import Settings
from contracts.snowflake import BATCH_STAGE, REFUSED, Snowflake

if TYPE_CHECKING:
    from snowflake.connector.cursor import SnowflakeCursor

_BY_DAY = ds.partitioning(pa.schema([pa.field("landed_date", pa.date32())]), flavor="hive")


def land_batch_tables(
    settings: Settings, snapshots: Mapping[str, Snapshot | None]
) -> dict[str, int]:
    """Append what RAW does not hold yet; return how many rows of each table.

    Parameters
    ----------
    snapshots
        Table of the lake -> its version to read. Only tables of the catalogue are landed.

    Raises
    ------
    StoreUnavailable
        Snowflake does not answer; landing again is safe.
    ConfigurationError
        Snowflake refuses: ``segue snowflake apply`` was not run, or the role lacks a right.
    """
    landed = {}
    with _session() as cursor:
        if (journal := journal_of_merges(settings)) is not None:
            landed["play_merges"] = _merges(cursor, journal)
        if (arms := experiment_arms(settings)) is not None and arms.num_rows:
            landed["experiment_arms"] = _arms(cursor, arms)
        for table in CATALOGUE:
            snapshot = snapshots.get(table)
            if snapshot is not None and snapshot.rows:
                landed[table] = _catalogue(cursor, table, snapshot)
    return landed


def _merges(cursor: SnowflakeCursor, journal: pa.Table) -> int:
    """Append the entries that RAW lacks.

    Not only those above its highest id: ids are given before transactions commit, so an entry may
    appear below others that have landed.
    """
    cursor.execute(f"select id from {Snowflake.required().name('play_merges')}")  # noqa: S608
    held = pa.array([int(row[0]) for row in cursor.fetchall()], pa.int64())
    rows = journal.filter(pc.invert(pc.is_in(journal["id"], value_set=held)))
    if rows.num_rows:
        span = pc.min_max(rows["id"]).as_py()
        _append(cursor, "play_merges", f"{span['min']:020d}-{span['max']:020d}", rows)
    return int(rows.num_rows)


def _arms(cursor: SnowflakeCursor, arms: pa.Table) -> int:
    """Append the arms as they are now; staging reads the newest ``landed_at``.

    They are few, so an unchanged version lands again every night.
    """
    (version,) = set(arms["landed_at"].to_pylist())
    _append(cursor, "experiment_arms", f"{int(version.timestamp() * 1000):020d}", arms)
    return int(arms.num_rows)


def _catalogue(cursor: SnowflakeCursor, table: str, snapshot: Snapshot) -> int:
    """Append a version of a catalogue table; ``landed_at`` distinguishes versions."""
    data = ds.dataset(list(snapshot.files), format="parquet", partitioning=_BY_DAY)
    version = pc.max(data.to_table(columns=["landed_at"])["landed_at"]).as_py()
    cursor.execute(
        f"select count(*) from {Snowflake.required().name(table)} where landed_at = %s",  # noqa: S608
        (version.isoformat(),),
    )
    (count,) = cursor.fetchall()[0]
    if count:
        return 0
    rows = data.to_table(columns=CATALOGUE[table].names)
    _append(cursor, table, f"{int(version.timestamp() * 1000):020d}", rows)
    return int(rows.num_rows)


def _append(cursor: SnowflakeCursor, table: str, held: str, rows: pa.Table) -> None:
    """Put a file and copy it; what an earlier attempt left in the stage is cleared away."""
    snowflake = Snowflake.required()
    stage = "@" + snowflake.name(BATCH_STAGE)
    file = f"{held}-{rows.num_rows}.parquet"
    path = f"{table}/{file}"
    out = io.BytesIO()
    pq.write_table(rows.append_column("source_file", pa.repeat(path, rows.num_rows)), out)
    out.seek(0)
    cursor.execute(
        f"PUT 'file://{file}' {stage}/{table} AUTO_COMPRESS = FALSE OVERWRITE = TRUE",
        file_stream=out,
    )
    # FORCE: RAW itself was asked; the load history of a file deleted since must not decide.
    cursor.execute(
        f"copy into {snowflake.name(table)} from {stage} files = ('{path}') "
        "file_format = (type = parquet use_logical_type = true) "
        "match_by_column_name = case_insensitive "
        "include_metadata = (file_row = METADATA$FILE_ROW_NUMBER, "
        "loaded_at = METADATA$START_SCAN_TIME) on_error = abort_statement force = true"
    )
    cursor.execute(f"REMOVE {stage}/{table}/")


@contextmanager
def _session() -> Iterator[SnowflakeCursor]:
    from snowflake.connector.errors import Error

    connection = Snowflake.required().connect()
    try:
        yield connection.cursor()
    except Error as error:
        words: Any = error.msg
        if error.errno in REFUSED:
            raise ConfigurationError(
                f"Snowflake refuses: {words}: was `segue snowflake apply` run, and is this the "
                "transformer's role?"
            ) from None
        raise StoreUnavailable(f"Snowflake: {words}") from None
    finally:
        connection.close()
