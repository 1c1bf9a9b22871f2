"""What only one process of a deployment may do at a time, by a lock in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import PoolTimeout

from api.errors import ApiError, unavailable
from api.services import Services
from contracts.audit import INSERT, Entry

_LOCK = "select pg_try_advisory_xact_lock(hashtext(current_schema() || '.' || %(name)s))"


@asynccontextmanager
async def alone(services: Services, name: str, doing: str) -> AsyncIterator[list[Entry]]:
    """Hold a lock while the block runs, and write the audit rows that the block appends.

    Parameters
    ----------
    doing
        What the holder of the lock does, for the message to a second caller.

    Raises
    ------
    ApiError
        409: another process holds the lock. 503: PostgreSQL does not answer; then nothing is done,
        because what cannot be recorded may not be done.
    """
    trail: list[Entry] = []
    try:
        async with (
            services.pool.connection(timeout=1.0) as connection,
            connection.transaction(),
        ):
            row = await (await connection.execute(_LOCK, {"name": name})).fetchone()
            if row is None or not row[0]:
                raise ApiError(409, "busy", f"{doing} already; wait until it has finished.")
            yield trail
            for entry in trail:
                await connection.execute(INSERT, entry)
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The audit trail cannot be written") from None
