"""The embedded warehouse: every row that names the listener, then the file without its old pages.

Totals of tracks, artists and days name nobody; the next nightly recomputes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from batch import warehouse
from batch.lake import Lake, Snapshot
from contracts.errors import StoreUnavailable, first_line
from contracts.settings import Settings
from infra.operations.erasure.target import Target

_HOLDERS = """
    select c.table_schema, c.table_name from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.column_name = ? and t.table_type = 'BASE TABLE' order by 1, 2
"""


def forget(settings: Settings, target: Target) -> dict[str, int]:
    """Delete a target's rows from every table that has its key; returns how many of each.

    Raises
    ------
    StoreUnavailable
        Another process is writing to the warehouse (a nightly): try again after it.
    """
    if not settings.paths.warehouse_file.exists():
        return {}
    column, value = _key(target)
    removed = {}
    with warehouse.connect(settings, read_only=False) as connection:
        for schema, table in _holders(connection, column):
            statement = f'delete from "{schema}"."{table}" where {column} = ?'  # noqa: S608  names looked up
            (count,) = connection.execute(statement, [value]).fetchall()[0]
            if count:
                removed[f"{schema}.{table}"] = int(count)
    return removed


def left(settings: Settings, target: Target) -> dict[str, int]:
    """Return how many rows each table still has that should be gone; none: an empty mapping.

    The lake has no erased play any more. So plays that the views of ``raw`` hold are later ones, of
    a listener who came back: they stay, and so do tables that hold one row for each listener.

    Raises
    ------
    StoreUnavailable
        A nightly is writing to the warehouse, or its views name files that are gone.
    """
    if not settings.paths.warehouse_file.exists():
        return {}
    column, value = _key(target)
    found = {}
    try:
        with warehouse.connect(settings) as connection:
            holders = _holders(connection, column)
            if not holders:
                return {}
            later = f"select distinct event_id from raw.plays where {column} = ?"  # noqa: S608  ours
            kept = [event for (event,) in connection.execute(later, [value]).fetchall()]
            of_plays = _holders(connection, "event_id")
            for holder in holders:
                if kept and holder not in of_plays:
                    continue
                schema, table = holder
                statement = f'select count(*) from "{schema}"."{table}" where {column} = $value'  # noqa: S608
                values: dict[str, object] = {"value": value}
                if kept:
                    statement += " and event_id not in (select unnest($kept::varchar[]))"
                    values["kept"] = kept
                (count,) = connection.execute(statement, values).fetchall()[0]
                if count:
                    found[f"warehouse {schema}.{table}"] = int(count)
    except duckdb.Error as error:
        raise StoreUnavailable(
            f"the warehouse cannot be searched for rows that are left: {first_line(error)}"
        ) from None
    return found


def _key(target: Target) -> tuple[str, str]:
    """Return the column by which a target's rows are found, and its value."""
    if target.event_id is not None:
        return "event_id", target.event_id
    return "user_id", target.user_id


def _holders(connection: duckdb.DuckDBPyConnection, column: str) -> list[tuple[str, str]]:
    """Return the schema and name of every table that has a column."""
    return connection.execute(_HOLDERS, [column]).fetchall()


def rewrite(settings: Settings) -> dict[str, int]:
    """Copy the file: pages of deleted rows keep their bytes until something overwrites them.

    The views of ``raw`` are pointed at the lake as it is now: files of older versions are gone.
    """
    path = settings.paths.warehouse_file
    if not path.exists():
        _drop_copies(settings, {})
        return {"files": 0}
    newest = Lake.newest(settings)
    warehouse.land(settings, newest)
    _drop_copies(settings, newest)
    with warehouse.connect(settings, read_only=False):
        pass  # raises if a nightly holds the file
    fresh = path.with_suffix(".rewritten")
    _clean(fresh)
    connection = duckdb.connect()
    try:
        connection.execute(f"attach '{_quoted(path)}' as old")
        connection.execute(f"attach '{_quoted(fresh)}' as new")
        connection.execute("copy from database old to new")
        connection.execute("detach new")
        connection.execute("detach old")
    finally:
        connection.close()
    fresh.replace(path)
    _clean(fresh)
    return {"files": 1}


def _drop_copies(settings: Settings, keep: Mapping[str, Snapshot | None]) -> None:
    for name, lake in Lake.all(settings).items():
        lake.drop_copies(keep.get(name))


def _clean(path: Path) -> None:
    for name in (path, Path(f"{path}.wal")):
        name.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")
