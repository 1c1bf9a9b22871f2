"""Lands the journal of merges: which plays two clients told, as PostgreSQL decided it.

The decision is made once, where the history is written (`streams.duplicates`); the warehouse does
not decide again, so both count the same.
"""

from __future__ import annotations

import logging

import duckdb
import psycopg
import pyarrow as pa

from contracts.settings import Settings

log = logging.getLogger(__name__)
#: Table ``raw.play_merges``; ``head_id`` is null where a play stands for itself again.
PLAY_MERGES = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("head_id", pa.string()),
        pa.field("changed_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
_JOURNAL = "select id, event_id::text, head_id::text, at from merges order by id"


def land_merges(settings: Settings, connection: duckdb.DuckDBPyConnection) -> int:
    """Replace ``raw.play_merges`` by the journal as it is now; return its length.

    While PostgreSQL is away the journal of the last time stays: the warehouse is then as far behind
    in merges as it is in plays.
    """
    columns: list[tuple[object, ...]]
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=5) as history:
            columns = list(zip(*history.execute(_JOURNAL).fetchall(), strict=True))
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
        log.warning("the journal of merges is not landed: %s", str(error).splitlines()[0])
        return 0
    data = columns or [() for _ in PLAY_MERGES]
    journal = pa.table(
        [pa.array(values, field.type) for values, field in zip(data, PLAY_MERGES, strict=True)],
        schema=PLAY_MERGES,
    )
    connection.register("journal_of_merges", journal)
    connection.execute("create or replace table raw.play_merges as from journal_of_merges")
    connection.unregister("journal_of_merges")
    return int(journal.num_rows)
