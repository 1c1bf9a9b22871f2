"""Where a listener can still be found: every store is searched for the name and for the key."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import psycopg
import pyarrow.parquet as pq

from contracts.ids import user_key
from contracts.settings import Settings


def traces(settings: Settings, user: str) -> set[str]:
    """Return the stores that know a listener by name or by key.

    Files are searched as bytes, tables as rows. Kafka is left out: what it keeps is listed in the
    ADR on erasure; so are PostgreSQL's own files, whose rows are searched instead.
    """
    parts = ("valkey", "lake", "warehouse", "model", "reports", "staging", "runs", "flink")
    found = {f"{part}: {path.name}" for part in parts for path in files(settings.home / part, user)}
    found |= {f"lake: {path.name}" for path in _parquet(settings) if _names(path, user)}
    found |= {f"postgres: {table}" for table in _tables(settings, user)}
    found |= {f"warehouse: {table}" for table in _warehouse(settings, user)}
    return found


def files(folder: Path, user: str) -> list[Path]:
    """Return the files of a folder that hold a listener's name or key.

    A file that its process deletes meanwhile holds nothing any more.
    """
    key = user_key(user)
    needles = [
        user.encode(),
        f"{key:016x}".encode(),
        key.to_bytes(8, "little"),
        key.to_bytes(8, "big"),
    ]
    return sorted(
        path
        for parent, _, names in os.walk(folder)  # skips folders that vanish
        for path in (Path(parent, name) for name in names)
        if any(needle in _content(path) for needle in needles)
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""  # no socket
    except FileNotFoundError:
        return b""


def stores(found: set[str]) -> set[str]:
    """Return only which stores they are."""
    return {name.partition(":")[0] for name in found}


def _parquet(settings: Settings) -> list[Path]:
    return sorted(settings.paths.lake.rglob("*.parquet"))


def _names(path: Path, user: str) -> bool:
    return user in str(pq.read_table(path).to_pydict())


def _tables(settings: Settings, user: str) -> list[str]:
    with psycopg.connect(settings.postgres_dsn) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = current_schema() and table_type = 'BASE TABLE'"
        ).fetchall()
        return [
            name
            for (name,) in tables
            if connection.execute(
                f"select 1 from {name} t where strpos(t::text, %s) > 0 limit 1", (user,)
            ).fetchone()
        ]


def _warehouse(settings: Settings, user: str) -> list[str]:
    if not settings.paths.warehouse_file.exists():
        return []
    with duckdb.connect(str(settings.paths.warehouse_file), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
        ).fetchall()
        return [
            f"{schema}.{name}"
            for schema, name in tables
            if connection.execute(
                f'select 1 from "{schema}"."{name}" t where contains(t::varchar, ?) limit 1', [user]
            ).fetchone()
        ]
