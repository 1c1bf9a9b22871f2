"""The lock of the nightly: one nightly at a time, and no erasure rewrites files while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from batch.runs import Runs
from contracts.errors import StoreUnavailable, first_line
from contracts.settings import Settings

_LOCK = "select pg_try_advisory_lock(hashtext(coalesce(current_schema(), '') || '.nightly'))"


@contextmanager
def alone_tonight(settings: Settings) -> Iterator[None]:
    """Hold the lock; a process that is killed releases it too.

    It is a lock on a file of the home. With the lake in object storage other hosts may run a
    nightly too: then it is also an advisory lock of a PostgreSQL session.

    Raises
    ------
    StoreUnavailable
        A nightly or an erasure holds it, here or on another host; or PostgreSQL does not answer.
    """
    with Runs(settings.paths.runs).lock():
        if not settings.lake:
            yield
            return
        try:
            holding = psycopg.connect(settings.postgres_dsn, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            raise StoreUnavailable(
                f"the lock of the nightly: PostgreSQL: {first_line(error)}"
            ) from None
        with holding:
            row = holding.execute(_LOCK).fetchone()
            if row is None or not row[0]:
                raise StoreUnavailable(
                    "a nightly or an erasure of this deployment is running on another host"
                )
            yield
