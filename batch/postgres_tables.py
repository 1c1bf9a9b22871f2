"""Tables of PostgreSQL that a build of the warehouse reads as they are at its beginning."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import duckdb
import psycopg
import pyarrow as pa

from contracts.errors import first_line
from contracts.postgres import PASSING
from contracts.settings import Settings

log = logging.getLogger(__name__)


def rows_of(settings: Settings, query: str, what: str) -> list[tuple[Any, ...]] | None:
    """Return the rows of a query; ``None`` if PostgreSQL is away or lacks table or right.

    The warehouse then keeps the rows of the build before.

    Parameters
    ----------
    what
        What the rows are, for the log.
    """
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=5) as connection:
            return connection.execute(query.encode()).fetchall()
    except PASSING as error:
        log.warning("%s not copied from PostgreSQL into the warehouse: %s", what, first_line(error))
        return None


def table_of(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; every row has the columns of the schema, in its order."""
    columns = list(zip(*rows, strict=True)) or [() for _ in schema]
    return pa.table(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)],
        schema=schema,
    )


def replace(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> int:
    """Replace ``raw.<name>`` by these rows; return how many there are."""
    connection.register("landed_now", rows)
    connection.execute(f"create or replace table raw.{name} as from landed_now")
    connection.unregister("landed_now")
    return int(rows.num_rows)
