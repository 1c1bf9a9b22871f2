"""Addresses of PostgreSQL with parameters of the session, and its errors as errors of Segue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.errors import ConfigurationError, SegueError, StoreUnavailable, first_line

Connection = psycopg.Connection[tuple[Any, ...]]
#: Errors that may pass without a change of the code: PostgreSQL is away, or ``segue init`` has not
#: created a table or granted a right yet.
PASSING = (
    psycopg.OperationalError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.InsufficientPrivilege,
)


def with_session(dsn: str, **parameters: str | int) -> str:
    """Return an address whose sessions have these parameters besides those it sets already.

    Parameters
    ----------
    parameters
        Names and values of PostgreSQL's settings; numbers of time are milliseconds.

    Examples
    --------
    >>> with_session("host=h options='-c search_path=s'", lock_timeout=5)
    "host=h options='-c search_path=s -c lock_timeout=5'"
    """
    before = conninfo_to_dict(dsn).get("options") or ""
    added = " ".join(f"-c {name}={value}" for name, value in parameters.items())
    return make_conninfo(dsn, options=f"{before} {added}".strip())


def place(dsn: str) -> str:
    """Return login, server and database of an address, for a person; no password.

    Examples
    --------
    >>> place("postgresql://segue_api:secret@db:5433/music")
    'login segue_api at db:5433, database music'
    """
    found = conninfo_to_dict(dsn)
    server = f"{found.get('host') or 'localhost'}:{found.get('port') or 5432}"
    login = found.get("user") or "of the system's user"
    return f"login {login} at {server}, database {found.get('dbname') or login}"


def trouble(error: psycopg.Error, dsn: str) -> SegueError | None:
    """Return the error of Segue for one of PostgreSQL; ``None``: the statement is wrong.

    Returns
    -------
    SegueError
        :class:`ConfigurationError` if the login lacks a right, or the database a table; else
        :class:`StoreUnavailable`.
    """
    said = first_line(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return ConfigurationError(
            f"PostgreSQL, {place(dsn)}: {said}; grant the right with segue init, run by the owner "
            "of the tables, or name another login in the address (infra/postgres/README.md)"
        )
    if isinstance(error, psycopg.errors.UndefinedTable):
        return ConfigurationError(
            f"PostgreSQL, {place(dsn)}: the database lacks a table ({said}); create the tables "
            "with segue init, and name their schema in the address "
            "(?options=-csearch_path%3DSCHEMA)"
        )
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailable(f"PostgreSQL: {said}")
    return None


@contextmanager
def connect(dsn: str, *, autocommit: bool = False, seconds: int = 10) -> Iterator[Connection]:
    """Yield a connection, by default in a transaction that ends with the block.

    Parameters
    ----------
    seconds
        Longest time until PostgreSQL accepts the connection.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    ConfigurationError
        The login lacks a right, or the database a table.
    """
    try:
        with psycopg.connect(dsn, autocommit=autocommit, connect_timeout=seconds) as connection:
            yield connection
    except psycopg.Error as error:
        known = trouble(error, dsn)
        if known is None:
            raise
        raise known from None
