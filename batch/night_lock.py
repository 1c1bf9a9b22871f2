"""The lock of the nightly: one nightly at a time, and no erasure rewrites files while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

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
            raise _away(error) from None
        # Not `with holding`: it commits at the end, so a good nightly would fail if PostgreSQL had
        # been restarted meanwhile.
        with closing(holding):
            if not _locked(holding):
                raise StoreUnavailable(
                    "a nightly or an erasure of this deployment is running on another host"
                )
            yield


def _locked(connection: psycopg.Connection) -> bool:
    try:
        row = connection.execute(_LOCK).fetchone()
    except psycopg.OperationalError as error:
        raise _away(error) from None
    return row is not None and bool(row[0])


def _away(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the lock of the nightly: PostgreSQL: {first_line(error)}")
