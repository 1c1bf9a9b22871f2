"""The eraser: works off requests as they come, for as long as a stack runs."""

from __future__ import annotations

import logging

import psycopg

from contracts.errors import SegueError
from contracts.settings import Settings
from infra.operations.stopping import stop_on_signal

log = logging.getLogger(__name__)
_EVERY = 2.0
_WAITING = "select exists (select 1 from erasures where state <> 'done')"


def run(settings: Settings) -> int:
    """Look for requests every two seconds until SIGTERM; return the exit code."""
    stopping = stop_on_signal()
    while not stopping.wait(_EVERY):
        try:
            if _anything_waits(settings):
                # The stores' libraries are imported only when they are needed.
                from infra.operations.erasure.run import run_pending

                found, done = run_pending(settings, patience=20.0)
                if done:
                    log.info("%d of %d erasures done", done, found)
        except (SegueError, psycopg.Error) as error:
            log.warning("erasures wait: %s", str(error).splitlines()[0])
    return 0


def _anything_waits(settings: Settings) -> bool:
    with psycopg.connect(settings.postgres_dsn, connect_timeout=5) as connection:
        row = connection.execute(_WAITING).fetchone()
    return bool(row and row[0])
