"""The journal of merges: which plays two clients reported, as PostgreSQL decided it.

The decision is made once, where the history is written (`streams.duplicates`); the warehouse does
not decide again, so both count the same.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from batch.postgres_tables import replace, rows_of, table_of
from contracts.settings import Settings

#: Table ``raw.play_merges``; ``head_id`` is null for a play that was separated again.
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
    """Return the journal as it is now, by :data:`PLAY_MERGES`; ``None`` where it cannot be had."""
    rows = rows_of(settings, _JOURNAL, "the journal of merges is")
    return None if rows is None else table_of(rows, PLAY_MERGES)


def land_merges(settings: Settings, connection: duckdb.DuckDBPyConnection) -> int:
    """Replace ``raw.play_merges`` by the journal as it is now; return its length."""
    journal = journal_of_merges(settings)
    return 0 if journal is None else replace(connection, "play_merges", journal)
