"""One nightly at a time, and no erasure that rewrites files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from batch.runs import Runs
from contracts.errors import StoreUnavailable
from contracts.settings import Settings

_LOCK = "select pg_try_advisory_lock(hashtext(coalesce(current_schema(), '') || '.nightly'))"


@contextmanager
def alone_tonight(settings: Settings) -> Iterator[None]:
    """Hold the right to run; it is given back however a process ends.

    It is a lock on a file of the home. With the lake in object storage other hosts may run a
    nightly too, so it is also a lock of a session with PostgreSQL.

    Raises
    ------
    StoreUnavailable
        A nightly is running, here or on another host; or PostgreSQL does not answer.
    """
    with Runs(settings.paths.runs).lock():
        if not settings.lake:
            yield
            return
        try:
            holding = psycopg.connect(settings.postgres_dsn, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError as error:
            line = str(error).strip().splitlines()[0]
            raise StoreUnavailable(f"the lock of the nightly: PostgreSQL: {line}") from None
        with holding:
            row = holding.execute(_LOCK).fetchone()
            if row is None or not row[0]:
                raise StoreUnavailable("a nightly of this deployment is running on another host")
            yield
