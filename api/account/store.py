"""Statements on accounts and tokens, with the audit trail in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from api.errors import bad_value, unavailable
from api.services import Services
from contracts.audit import INSERT, Entry

#: Characters of a token's hash that name it in listings and the audit trail.
ID = 12


async def run(
    services: Services, statement: str, arguments: Mapping[str, Any], *trail: Entry
) -> list[tuple[Any, ...]]:
    """Run one statement and write rows of the audit trail, together or not at all.

    Raises
    ------
    ApiError
        503: PostgreSQL does not answer. 400: PostgreSQL cannot hold a value, with its reason.
    """
    try:
        async with (
            services.pool.connection(timeout=1.0) as connection,
            connection.transaction(),
        ):
            cursor = await connection.execute(statement.encode(), arguments)
            rows = await cursor.fetchall() if cursor.description else []
            for row in trail:
                await connection.execute(INSERT, row)
            return rows
    except psycopg.DataError as error:
        raise bad_value(error) from None
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The accounts cannot be read or written") from None
