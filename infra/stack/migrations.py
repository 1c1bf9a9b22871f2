"""Versioned migrations: the numbered SQL files of ``infra/postgres/``, each applied once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from contracts.errors import ConfigurationError, IncompatibleState, first_line
from contracts.postgres import connect, place

FOLDER = Path(__file__).resolve().parent.parent / "postgres"
_LOCK = 0x5E60E  # any number; the same in every process that migrates

_BOOK = """
create table if not exists schema_migrations (
    version    text primary key,
    checksum   text not null,
    applied_at timestamptz not null default now()
)
"""


def migrate(dsn: str, namespace: str, folder: Path = FOLDER) -> list[str]:
    """Bring the schema `namespace` up to date; return the names of the files applied now.

    Each file runs in one transaction together with its record, so that a crash leaves either both
    or none. Several processes may call this at once.

    Raises
    ------
    IncompatibleState
        A file that was applied has changed or is gone: schemas move forward by new files only.
    StoreUnavailable
        PostgreSQL does not answer.
    ConfigurationError
        The login lacks a right.
    """
    files = {f.stem: f.read_text() for f in sorted(folder.glob("*.sql"))}
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    with connect(dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        connection.execute("set client_min_messages = warning")
        _make_schema(connection, dsn, namespace)
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(namespace)))
        connection.execute(_BOOK)
        rows = connection.execute("select version, checksum from schema_migrations").fetchall()
        applied: dict[str, str] = dict(rows)
        for version, checksum in applied.items():
            if sums.get(version) != checksum:
                raise IncompatibleState(
                    f"migration {version} was applied to schema {namespace!r} and has "
                    f"{'changed' if version in sums else 'vanished'} since: "
                    "restore the file and put the change into a new one"
                )
        missing = [name for name in files if name not in applied]
        for name in missing:
            with connection.transaction():
                connection.execute(files[name].encode())
                connection.execute(
                    "insert into schema_migrations (version, checksum) values (%s, %s)",
                    (name, sums[name]),
                )
        return missing


def _make_schema(connection: psycopg.Connection[Any], dsn: str, name: str) -> None:
    """Create a schema, unless there is one: then the login needs no right to create schemas."""
    if connection.execute("select from pg_namespace where nspname = %s", (name,)).rowcount:
        return
    schema, login = sql.Identifier(name), sql.Identifier(connection.info.user)
    try:
        connection.execute(sql.SQL("create schema if not exists {}").format(schema))
    except psycopg.errors.InsufficientPrivilege as error:
        statement = sql.SQL("create schema {} authorization {}").format(schema, login)
        raise ConfigurationError(
            f"PostgreSQL, {place(dsn)}: schema {name} cannot be created ({first_line(error)}); a "
            f"superuser must run: {statement.as_string(connection)}"
        ) from None
