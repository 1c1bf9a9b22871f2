"""A pooler between the API and PostgreSQL (``SEGUE_POSTGRES_POOLER_DSN``), such as PgBouncer.

In transaction mode many clients share a session, so none may set its parameters. The API's role
sets them instead: its schema, and how long a statement may run and wait for a lock.
"""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from contracts.database_roles import API, role_name
from contracts.errors import StoreUnavailable, first_line
from contracts.settings import Settings


def set_parameters(settings: Settings) -> list[str]:
    """Set the parameters of the API's role; return the statements that this login may not run.

    Sessions that the pooler already holds keep the old parameters until it reconnects.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    """
    role = sql.Identifier(role_name(settings.schema, API))
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=10) as connection:
            database = sql.Identifier(connection.info.dbname)
            statements = [
                sql.SQL("alter role {} in database {} set {} to {}").format(
                    role, database, sql.SQL(name), sql.Literal(value)
                )
                for name, value in _parameters(settings).items()
            ]
            try:
                with connection.transaction():
                    for statement in statements:
                        connection.execute(statement)
            except psycopg.errors.InsufficientPrivilege:
                return [statement.as_string(connection) for statement in statements]
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"PostgreSQL: {first_line(error)}") from None
    return []


def faults(settings: Settings) -> list[tuple[str, str]]:
    """Return what is wrong with the sessions behind the pooler, and what to do about it.

    Raises
    ------
    StoreUnavailable
        The pooler does not answer, or refuses the login.
    """
    wanted = role_name(settings.schema, API)
    user = conninfo_to_dict(settings.postgres_pooler_dsn).get("user")
    if user != wanted:
        return [(f"SEGUE_POSTGRES_POOLER_DSN logs in as {user}", f"use the API's role, {wanted}")]
    try:
        with psycopg.connect(
            settings.postgres_pooler_dsn, connect_timeout=5, autocommit=True, prepare_threshold=None
        ) as connection:
            rows = connection.execute(
                "select name, setting from pg_settings where name = any(%s)",
                (list(_parameters(settings)),),
            ).fetchall()
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"SEGUE_POSTGRES_POOLER_DSN: {first_line(error)}") from None
    found: dict[str, str] = dict(rows)
    todo = "run segue init, then RECONNECT in PgBouncer's console"
    return [
        (
            f"sessions behind SEGUE_POSTGRES_POOLER_DSN have {name} {found.get(name)}, not {value}",
            todo,
        )
        for name, value in _parameters(settings).items()
        if found.get(name) != value
    ]


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "search_path": settings.schema,
        "statement_timeout": str(settings.statement_timeout_ms),
        "lock_timeout": str(settings.lock_timeout_ms),
    }
