"""The warehouse: lands a lake snapshot, builds the dbt project, answers read-only questions.

While one process writes the file, DuckDB lets no other open it: that one gets
:class:`~contracts.errors.StoreUnavailable`, which names the process that holds the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from batch import dbt_runner
from batch.ask import Ask
from batch.dbt_runner import Build, Node
from batch.experiments.landing import land_arms
from batch.lake import Snapshot
from batch.merges import land_merges
from batch.play_erasures import land_play_erasures
from contracts.environ import read
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.lake import CATALOGUE, RESULTS, TABLES
from contracts.options import WarehouseLimits
from contracts.settings import Settings


@dataclass(frozen=True, slots=True)
class Rows:
    """An answer: column names and rows of plain Python values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Return one dictionary a row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@contextmanager
def connect(settings: Settings, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the DuckDB file and close it again.

    Raises
    ------
    ConfigurationError
        Nothing was built yet (``read_only`` only).
    StoreUnavailable
        Another process is writing.
    """
    path = settings.paths.warehouse_file
    if read_only and not path.exists():
        raise ConfigurationError(f"no warehouse at {path} yet: run `segue nightly` first")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(path), read_only=read_only)
    except duckdb.IOException as error:
        raise _locked(path, error) from None
    try:
        connection.execute("set TimeZone = 'UTC'")
        for setting, value in _limits(path).items():
            connection.execute(f"set {setting} = {_text(value)}")
        yield connection
    finally:
        connection.close()


def _limits(path: Path) -> dict[str, str]:
    """Return what a query may take; limits set by the operator win."""
    limits = read(WarehouseLimits)
    return {
        "memory_limit": limits.memory,
        "temp_directory": limits.temp or str(path.parent / "spill"),
        "threads": str(limits.threads or os.cpu_count() or 2),
    }


def _locked(path: Path, error: Exception) -> StoreUnavailable:
    text = str(error)
    if "lock" not in text.lower():
        return StoreUnavailable(f"warehouse {path}: {text}")
    holder = text[text.find("PID") :].split(")")[0] if "PID" in text else "another process"
    return StoreUnavailable(
        f"the warehouse {path} is being written by {holder} (another nightly?): wait for its end"
    )


def land(settings: Settings, snapshots: Mapping[str, Snapshot | None]) -> None:
    """Make each table of ``raw`` show exactly the rows of one snapshot of its lake table.

    Views over the snapshots' files, so nothing is copied and every model of a run reads the same
    version while the sink appends. A table without snapshot is there and empty.

    Parameters
    ----------
    snapshots
        By table of the lake (:mod:`contracts.lake`); one that is not named is left as it is, or
        made empty where it is not there yet.
    """
    with connect(settings, read_only=False) as connection:
        connection.execute("create schema if not exists raw")
        for table, schema in {**TABLES, **RESULTS, **CATALOGUE}.items():
            snapshot = snapshots.get(table)
            if snapshot is not None and snapshot.files:
                connection.execute(f"create or replace view raw.{table} as {rows_sql(snapshot)}")
                continue
            how = "create or replace view" if table in snapshots else "create view if not exists"
            connection.execute(f"{how} raw.{table} as {_nothing(connection, schema)}")
        land_merges(settings, connection)
        land_arms(settings, connection)
        land_play_erasures(settings, connection)


def rows_sql(snapshot: Snapshot) -> str:
    """Return DuckDB's SQL for every row of a snapshot of a lake table."""
    files = ", ".join(map(_text, snapshot.files))
    return (
        f"select * from read_parquet([{files}], "  # noqa: S608
        "hive_partitioning = true, hive_types = {'landed_date': date})"
    )


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _nothing(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> str:
    connection.register("nothing", schema.empty_table())
    described = connection.execute("describe nothing").fetchall()
    connection.unregister("nothing")
    columns = ", ".join(f"cast(null as {kind}) as {name}" for name, kind, *_ in described)
    return f"select {columns} where false"


def folder(settings: Settings) -> Path:
    """Return where dbt keeps its parsed project and artifacts."""
    return settings.paths.warehouse.absolute()


@contextmanager
def asking(settings: Settings) -> Iterator[Ask]:
    """Open the warehouse for questions; every answer is read whole."""
    with connect(settings) as connection:

        def ask(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
            return connection.execute(sql, list(parameters)).fetchall()

        yield ask


def query(settings: Settings, sql: str, parameters: Sequence[Any] = ()) -> Rows:
    """Run one read-only statement and return the whole answer."""
    with connect(settings) as connection:
        answer = connection.execute(sql, list(parameters))
        columns = tuple(column[0] for column in answer.description or ())
        return Rows(columns, answer.fetchall())


def count(settings: Settings, table: str) -> int:
    """Return the number of rows of a model, such as ``"fct_plays"`` or ``"raw.plays"``."""
    schema, _, name = table.rpartition(".")
    if not name.replace("_", "").isalnum() or (schema and not schema.isalnum()):
        raise ConfigurationError(f"{table!r} is not a table name")
    with connect(settings) as connection:
        found = connection.execute(
            "select table_schema from information_schema.tables where table_name = ? "
            "and (? = '' or table_schema = ?)",
            [name, schema, schema],
        ).fetchall()
        if not found:
            raise ConfigurationError(f"the warehouse has no table {table}")
        # Both names were looked up above: they are identifiers.
        rows = connection.execute(f"select count(*) from {found[0][0]}.{name}")  # noqa: S608
        return int(rows.fetchall()[0][0])


def build(
    settings: Settings,
    *,
    full_refresh: bool = False,
    select: str | None = None,
    progress: Callable[[Node], None] | None = None,
) -> Build:
    """Build models and run their tests, in dependency order.

    A failing test skips what depends on it and makes the result not ``ok``; only trouble that kept
    dbt from running raises.

    Parameters
    ----------
    full_refresh
        Build incremental models from nothing.
    select
        dbt selection, such as ``"fct_plays+"``; everything by default.
    progress
        Called after each node.

    Raises
    ------
    StoreUnavailable
        Another process is writing to the warehouse.
    ConfigurationError
        The project or profile cannot be read.
    """
    # dbt's unit tests check the SQL, not the data: they run with our own tests, not at night.
    arguments = ["build", "--exclude-resource-type", "unit_test"]
    if full_refresh:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", select]
    return _dbt(settings, arguments, progress)


def _dbt(
    settings: Settings,
    arguments: list[str],
    progress: Callable[[Node], None] | None = None,
) -> Build:
    with connect(settings, read_only=False):
        pass  # a locked file gets our message, not a traceback inside dbt
    folder = settings.paths.warehouse.absolute()
    return dbt_runner.run(arguments, folder, _profile(settings), progress)


def _profile(settings: Settings) -> dict[str, str]:
    """Return what ``dbt/profiles.yml`` reads."""
    path = settings.paths.warehouse_file.absolute()
    limits = _limits(path)
    return {
        "SEGUE_DUCKDB_PATH": str(path),
        "SEGUE_DUCKDB_MEMORY": limits["memory_limit"],
        "SEGUE_DUCKDB_TEMP": limits["temp_directory"],
        "SEGUE_DUCKDB_THREADS": limits["threads"],
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
