"""The Snowflake side of the nightly: the same calls as :mod:`batch.warehouse`.

RAW is filled by the landing sink all day; only what is not in the log is landed here. Checks and
reports are written in DuckDB's SQL and translated; what is built is the same dbt project.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch import dbt_runner
from batch.ask import Ask
from batch.dbt_runner import Build, Node
from batch.lake import Snapshot
from batch.snowflake_landing import land_batch_tables
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.settings import Settings
from contracts.snowflake import Snowflake


def land(settings: Settings, snapshots: Mapping[str, Snapshot | None]) -> None:
    """Make sure that RAW is there (Snowpipe fills it); land merges and the catalogue.

    Raises
    ------
    ConfigurationError
        It holds no plays.
    StoreUnavailable
        Snowflake does not answer.
    """
    if not count(settings, "raw.plays"):
        raise ConfigurationError(
            "RAW.PLAYS in Snowflake is empty: does the landing sink run (`segue status`)? "
            "`segue snowflake backfill` lands what lies in the lake"
        )
    land_batch_tables(settings, snapshots)


def folder(settings: Settings) -> Path:
    """Return where dbt keeps its parsed project and artifacts."""
    return settings.paths.warehouse.absolute() / "snowflake"


@contextmanager
def asking(settings: Settings) -> Iterator[Ask]:
    """Open a session for questions in DuckDB's SQL; every answer is read whole.

    Raises
    ------
    StoreUnavailable
        Snowflake cannot be reached or does not answer the question.
    """
    from snowflake.connector.errors import Error

    connection = Snowflake.required().connect(schema="MARTS")
    cursor = connection.cursor()

    def ask(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            cursor.execute(translated(sql), tuple(parameters) or None)
            return [tuple(_plain(value) for value in row) for row in cursor.fetchall()]
        except Error as error:
            raise StoreUnavailable(f"Snowflake: {error.msg}") from None

    try:
        yield ask
    finally:
        connection.close()


def whole_numbers(settings: Settings, sql: str) -> list[npt.NDArray[np.int64]]:
    """Return the columns of an answer in DuckDB's SQL that holds nothing but whole numbers.

    Read as Arrow, batch by batch: no Python object is made for a value.

    Raises
    ------
    StoreUnavailable
        Snowflake cannot be reached or does not answer the question.
    """
    from snowflake.connector.errors import Error

    connection = Snowflake.required().connect(schema="MARTS")
    try:
        cursor = connection.cursor()
        cursor.execute(translated(sql))
        names = [column.name for column in cursor.description or ()]
        # Widths differ from batch to batch: each is the narrowest that holds its values.
        parts = [
            [np.asarray(column.cast(pa.int64())) for column in batch.columns]
            for batch in cursor.fetch_arrow_batches()
        ]
    except Error as error:
        raise StoreUnavailable(f"Snowflake: {error.msg}") from None
    finally:
        connection.close()
    none: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    return [np.concatenate([none, *(part[at] for part in parts)]) for at in range(len(names))]


def count(settings: Settings, table: str) -> int:
    """Return the number of rows of a model, such as ``"fct_plays"`` or ``"raw.plays"``."""
    schema, _, name = table.rpartition(".")
    with asking(settings) as ask:
        found = ask(
            "select table_schema from information_schema.tables where table_name = ? "
            "and (? = '' or table_schema = ?)",
            [name.upper(), schema.upper(), schema.upper()],
        )
        if not found:
            raise ConfigurationError(f"the Snowflake database has no table {table}")
        # Both names were looked up above: they are identifiers.
        return int(ask(f"select count(*) from {found[0][0]}.{name}")[0][0])  # noqa: S608


def build(
    settings: Settings,
    *,
    full_refresh: bool = False,
    select: str | None = None,
    progress: Callable[[Node], None] | None = None,
) -> Build:
    """Build models and run their tests, as :func:`batch.warehouse.build` does.

    Raises
    ------
    ConfigurationError
        Snowflake is not configured, or the project cannot be read.
    """
    Snowflake.required()
    arguments = ["build", "--exclude-resource-type", "unit_test", "--target", "snowflake"]
    if full_refresh:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", select]
    folder(settings).mkdir(parents=True, exist_ok=True)
    # Everything else the profile reads is in our own environment.
    environ = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
    return dbt_runner.run(arguments, folder(settings), environ, progress)


@lru_cache(maxsize=256)
def translated(sql: str) -> str:
    """Return a statement of DuckDB's dialect in Snowflake's, with ``%s`` for each parameter.

    Examples
    --------
    >>> translated("select count(*) from raw.plays where user_id = ?")
    'SELECT COUNT(*) FROM raw.plays WHERE user_id = %s'
    """
    from sqlglot import exp, parse_one

    if sql.startswith("describe "):
        schema, _, table = sql.removeprefix("describe ").upper().rpartition(".")
        return (
            "select lower(column_name), data_type from information_schema.columns "  # noqa: S608
            f"where table_schema = '{schema}' and table_name = '{table}'"
        )
    tree = parse_one(sql, read="duckdb")
    text = tree.sql(dialect="snowflake")
    if not list(tree.find_all(exp.Placeholder)):
        return text
    return text.replace("%", "%%").replace("?", "%s")


def _plain(value: Any) -> Any:
    """Return numbers as DuckDB gives them: whole ones as int, others as float."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
