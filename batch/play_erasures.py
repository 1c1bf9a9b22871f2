"""How many erasures of single plays were requested.

The lake then lacks these plays, but a session that Flink published before the erasure still counts
them. The comparison of sessions allows as many missing plays as there are such erasures.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from batch.postgres_tables import replace, rows_of, table_of
from contracts.settings import Settings

#: Table ``raw.play_erasures``: one row.
PLAY_ERASURES = pa.schema([pa.field("erasures", pa.int64(), nullable=False)])
_COUNT = "select count(*) from erasures where event_id is not null"


def land_play_erasures(settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
    """Replace ``raw.play_erasures``; it stays as it is if PostgreSQL does not answer."""
    rows = rows_of(settings, _COUNT, "the number of erased plays is")
    if rows is not None:
        replace(connection, "play_erasures", table_of(rows, PLAY_ERASURES))
