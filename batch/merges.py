"""The journal of merges: which plays two clients told, as PostgreSQL decided it.

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


def journal_of_merges(settings: Settings) -> pa.Table | None:
    """Return the journal as it is now, by :data:`PLAY_MERGES`; ``None`` where it cannot be had.

    While PostgreSQL is away a warehouse keeps the journal of the last time: it is then as far
    behind in merges as it is in plays.
    """
    columns: list[tuple[object, ...]]
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=5) as history:
            columns = list(zip(*history.execute(_JOURNAL).fetchall(), strict=True))
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable) as error:
        log.warning("the journal of merges is not landed: %s", str(error).splitlines()[0])
        return None
    data = columns or [() for _ in PLAY_MERGES]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(data, PLAY_MERGES, strict=True)],
        schema=PLAY_MERGES,
    )


def land_merges(settings: Settings, connection: duckdb.DuckDBPyConnection) -> int:
    """Replace ``raw.play_merges`` by the journal as it is now; return its length."""
    journal = journal_of_merges(settings)
    if journal is None:
        return 0
    connection.register("journal_of_merges", journal)
    connection.execute("create or replace table raw.play_merges as from journal_of_merges")
    connection.unregister("journal_of_merges")
    return int(journal.num_rows)
