"""Holds the two targets side by side: the same rows in every mart, down to the last value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from batch import warehouse
from contracts.settings import Settings
from contracts.snowflake import Snowflake

#: Digits of a fraction that count: two engines sum in different orders.
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows of a table and a hash of them that does not depend on their order."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Compared:
    """One table on both targets; ``None`` where it is not there."""

    table: str
    duckdb: Sum | None
    snowflake: Sum | None

    @property
    def same(self) -> bool:
        """Whether both hold the same rows."""
        return self.duckdb is not None and self.duckdb == self.snowflake


def compare(settings: Settings, snowflake: Snowflake, schema: str = "marts") -> list[Compared]:
    """Compare every table of a schema.

    Raises
    ------
    ConfigurationError
        Nothing was built on DuckDB yet.
    StoreUnavailable
        One of the two cannot be reached.
    """
    here, there = of_duckdb(settings, schema), of_snowflake(snowflake, schema)
    return [Compared(t, here.get(t), there.get(t)) for t in sorted(here.keys() | there.keys())]


def of_duckdb(settings: Settings, schema: str) -> dict[str, Sum]:
    """Return the sums of a schema of the embedded warehouse."""
    with warehouse.connect(settings) as connection:
        found = connection.execute(
            "select table_name from information_schema.tables where table_schema = ?", [schema]
        ).fetchall()
        sums = {}
        for (table,) in found:
            answer = connection.execute(f'select * from {schema}."{table}"')  # noqa: S608
            names = [column[0] for column in answer.description or ()]
            sums[table.lower()] = checksum(names, answer.fetchall())
    return sums


def of_snowflake(snowflake: Snowflake, schema: str) -> dict[str, Sum]:
    """Return the sums of a schema of the Snowflake database."""
    connection = snowflake.connect(schema=schema.upper())
    try:
        cursor = connection.cursor()
        cursor.execute(
            "select table_name from information_schema.tables where table_schema = %s",
            (schema.upper(),),
        )
        sums = {}
        for (table,) in cursor.fetchall():
            name = f'{snowflake.database.upper()}.{schema.upper()}."{table}"'
            cursor.execute(f"select * from {name}")  # noqa: S608
            names = [column[0] for column in cursor.description]
            sums[str(table).lower()] = checksum(names, cursor.fetchall())
    finally:
        connection.close()
    return sums


def checksum(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Sum:
    """Return the number of rows and the sum, modulo 2**64, of a hash of each.

    Columns count by name, in any order and spelling; numbers by value, times by the millisecond.

    Examples
    --------
    >>> checksum(["a", "B"], [(1, 2.0)]) == checksum(["b", "A"], [(2, 1)])
    True
    """
    order = sorted(range(len(names)), key=lambda index: names[index].lower())
    count = total = 0
    for row in rows:
        text = "\x1f".join(_canonical(row[index]) for index in order)
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        total = (total + int.from_bytes(digest)) % 2**64
        count += 1
    return Sum(count, f"{total:016x}")


def _canonical(value: Any) -> str:
    if isinstance(value, (float, Decimal)) and not isinstance(value, bool):
        return f"{float(value):.{DIGITS}g}" if value != int(value) else str(int(value))
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return "\x00" if value is None else str(value)
