"""Connections to PostgreSQL: one pool for what people read, a small one for who may read it.

Slow queries, or a table locked by another session, can use up the first pool; tokens, logins and
the audit trail then still have connections of their own. No statement waits longer than
the limits of :class:`contracts.settings.Settings`.
"""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool

from contracts.postgres import with_session
from contracts.settings import Settings


def reading_pool(settings: Settings) -> AsyncConnectionPool:
    """Return the pool for the history and the catalogue; it has to be opened."""
    return _pool(settings, settings.postgres_connections)


def account_pool(settings: Settings) -> AsyncConnectionPool:
    """Return the pool for accounts, erasures and audit trail; the caller opens and closes it."""
    return _pool(settings, settings.account_connections)


def _pool(settings: Settings, size: int) -> AsyncConnectionPool:
    kwargs: dict[str, Any] = {"autocommit": True, "connect_timeout": 3}
    if settings.postgres_pooler_dsn:
        # Clients share sessions: the role has the time limits, and no statement stays prepared.
        dsn = settings.postgres_pooler_dsn
        kwargs["prepare_threshold"] = None
    else:
        dsn = with_session(
            settings.postgres_dsn,
            statement_timeout=settings.statement_timeout_ms,
            lock_timeout=settings.lock_timeout_ms,
        )
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size,
        open=False,
        timeout=1.0,
        reconnect_timeout=60.0,
        kwargs=kwargs,
    )
