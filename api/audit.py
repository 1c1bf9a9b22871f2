"""Writing the audit trail: what cannot be recorded may not be done."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg
from fastapi import Request
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.errors import ApiError, unavailable
from contracts.audit import INSERT, Entry, entry
from contracts.listeners import LONGEST_NAME

#: A reader that polls shall not bury everything else in the trail.
EVERY_SECONDS = 3600.0
_MOST = 10_000


def origin_of(request: Request) -> str:
    """Return where a request came from."""
    return request.client.host if request.client else "unknown"


class AuditTrail:
    """Writes rows; readings of one listener's data by one account once an hour and process."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._noted: dict[tuple[str, str], float] = {}

    async def record(self, row: Entry) -> None:
        """Write a row.

        Raises
        ------
        ApiError
            503: PostgreSQL does not answer.
        """
        try:
            async with self._pool.connection(timeout=1.0) as connection:
                await connection.execute(INSERT, row)
        except (psycopg.Error, PoolTimeout, OSError):
            raise unavailable("The audit trail cannot be written") from None

    async def note_refusal(self, actor: str, subject: str, origin: str, route: str) -> None:
        """Put on record, once an hour, that an account asked for what it may not.

        If the audit trail cannot be written, the answer is the same refusal.
        """
        # The name comes from the path of the request, and may be very long.
        key = (actor, f"{subject[: LONGEST_NAME + 1]} {route}")
        now = time.monotonic()
        if now - self._noted.get(key, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        self._remember(key, now)
        with suppress(ApiError):
            await self.record(
                entry(actor, "data.read", subject, origin, outcome="refused", route=route)
            )

    def _remember(self, key: tuple[str, str], now: float) -> None:
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[key] = now

    async def note_reading(self, actor: str, user: str, origin: str) -> None:
        """Put on record that an account reads another's data; raises as :meth:`record`."""
        now = time.monotonic()
        if now - self._noted.get((actor, user), -EVERY_SECONDS) < EVERY_SECONDS:
            return
        await self.record(entry(actor, "data.read", user, origin))
        self._remember((actor, user), now)
