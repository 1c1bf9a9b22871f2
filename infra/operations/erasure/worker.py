"""The eraser: works off requests as they come, for as long as a stack runs."""

from __future__ import annotations

import logging

import psycopg

from contracts.errors import SegueError, first_line
from contracts.settings import Settings
from infra.operations.stopping import stop_on_signal

log = logging.getLogger(__name__)
_EVERY = 2.0
_WAITING = "select exists (select 1 from erasures where state <> 'done')"


def run(settings: Settings) -> int:
    """Look for requests every two seconds until SIGTERM; return the exit code.

    The connection is kept: making one costs both sides milliseconds of processor time.
    """
    stopping = stop_on_signal()
    while not stopping.wait(_EVERY):
        try:
            with psycopg.connect(
                settings.postgres_dsn, connect_timeout=5, autocommit=True
            ) as connection:
                while not stopping.is_set():
                    if _anything_waits(connection):
                        _work(settings)
                    stopping.wait(_EVERY)
        except (SegueError, psycopg.Error) as error:
            log.warning("erasures wait for a dependency: %s", first_line(error))
    return 0


def _anything_waits(connection: psycopg.Connection[tuple[bool]]) -> bool:
    row = connection.execute(_WAITING).fetchone()
    return bool(row and row[0])


def _work(settings: Settings) -> None:
    # The stores' libraries are imported only when they are needed.
    from infra.operations.erasure.run import run_pending

    found, done = run_pending(settings, patience=20.0)
    if done:
        log.info("%d of %d erasures done", done, found)
