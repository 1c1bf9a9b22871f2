"""Keeps erasures from being written while a log is copied, and a second copy from starting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.errors import StoreUnavailable
from contracts.postgres import connect
from contracts.settings import Settings
from infra.operations.erasure.requests import LOCK_KEY

#: A step of the eraser waits 20 s for the workers; between two attempts it releases the lock.
_PATIENCE = 60.0
_TRY = f"select pg_try_advisory_lock({LOCK_KEY})"
_RUNNING = "select waiting_for from erasures where state = 'running' order by requested_at limit 1"


@contextmanager
def without_erasures(settings: Settings) -> Iterator[None]:
    """Hold the lock of the eraser while the block runs; the eraser starts no erasure until it ends.

    A run therefore knows every erasure that covers what it copies, and every erasure that comes
    later covers everything that it has copied.

    Raises
    ------
    StoreUnavailable
        An erasure is not finished, another run copies, or PostgreSQL does not answer.
    """
    with connect(settings.postgres_dsn, autocommit=True) as connection:
        deadline = time.monotonic() + _PATIENCE
        while (locked := connection.execute(_TRY.encode()).fetchone()) is None or not locked[0]:
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    "the eraser or another `segue repartition` is at work; run this again later"
                )
            time.sleep(0.2)
        if running := connection.execute(_RUNNING).fetchone():
            raise StoreUnavailable(
                f"an erasure is not finished (it waits for: {running[0] or 'the eraser'}); let "
                "`segue erase --pending` finish it, then run this again"
            )
        yield
        connection.execute("select 1")  # a lost connection has lost the lock
