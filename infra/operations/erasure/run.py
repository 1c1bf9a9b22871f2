"""Processes erasure requests in steps; each finished step is recorded and harmless to repeat.

The order makes the result final. First the erasure is appended to the log, and every worker has
read it; only then rows are deleted, so no worker can write them again. Last, files that still hold
deleted rows (older versions of the lake, Redis's append-only file, the warehouse) are rewritten or
deleted, once for all requests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg

from batch.night_lock import alone_tonight
from contracts import model_copies
from contracts.errors import ConfigurationError, Retryable, StoreUnavailable
from contracts.postgres import connect
from contracts.settings import Settings
from infra.flink.copies import forget as forget_copies
from infra.operations.erasure import (
    features,
    history,
    lake,
    log,
    requests,
    snowflake,
    staging,
    warehouse,
)
from infra.operations.erasure.requests import Connection, Request
from infra.operations.erasure.target import Target

_OF_POSTGRES = (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege)
_LOG = logging.getLogger(__name__)
Progress = Callable[[str, str], None]
#: Steps that rewrite or delete whole files.
_FILES: dict[str, Callable[[Settings], dict[str, int]]] = {
    "redis-file": features.rewrite,
    "lake-versions": lake.purge,
    "model-copies": model_copies.forget,
    "warehouse-file": warehouse.rewrite,
    "flink-copies": forget_copies,
}


class Work:
    """One round through the open requests.

    Parameters
    ----------
    connection
        Autocommit: every finished step is on record at once.
    patience
        Seconds to wait for the workers.
    progress
        Called with (step, word), to show the progress.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        *,
        actor: str,
        origin: str,
        patience: float = 60.0,
        progress: Progress = lambda step, word: None,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._actor = actor
        self._origin = origin
        self._patience = patience
        self._progress = progress

    def run(self, found: list[Request]) -> int:
        """Work on requests; return how many are finished. One that waits records its reason."""
        ready = [request for request in found if self._attempt(request, self._remove)]
        if not ready:
            return 0
        files: dict[str, dict[str, int]] = {}
        done = 0
        for request in ready:
            # Snowflake last: while it is away everything of our own is finished.
            if self._attempt(
                request, lambda request: self._rewrite(request, files)
            ) and self._attempt(request, self._finish):
                requests.finish(self._connection, request, actor=self._actor, origin=self._origin)
                self._progress("erasure", "done")
                done += 1
        return done

    def _attempt(self, request: Request, work: Callable[[Request], None]) -> bool:
        try:
            work(request)
        # Also a wrong setting, such as the key of object storage: it must not end the whole pass.
        except (Retryable, ConfigurationError, *_OF_POSTGRES) as error:
            _LOG.info("erasure %s waits: %s", request.id, error)
            self._progress("waiting", str(error))
            requests.wait(self._connection, request, str(error))
            return False
        return True

    def _remove(self, request: Request) -> None:
        if request.ends is None:
            requests.begin(self._connection, request, log.ends(self._settings))
        target = self._target(request)
        settings, connection = self._settings, self._connection
        self._step(request, "log", lambda: log.publish(settings, target))
        place = request.steps["log"]["partition"], request.steps["log"]["offset"]
        self._step(
            request, "workers", lambda: log.wait_until_known(settings, *place, self._patience)
        )
        if target.event_id is None:
            self._step(request, "redis", lambda: features.forget(settings, target))
            self._step(request, "postgres", lambda: history.forget(connection, target))
            self._step(request, "staging", lambda: staging.forget(settings, connection, target))
        else:
            self._step(request, "postgres", lambda: self._play(target))
        self._step(request, "lake", lambda: lake.forget(settings, target))
        self._step(request, "warehouse", lambda: self._warehouse(target))
        if target.event_id is None:
            self._step(
                request, "model", lambda: log.wait_until_unlearned(settings, *place, self._patience)
            )

    def _play(self, target: Target) -> dict[str, int]:
        found = history.play(self._connection, target)
        counts = {"plays": 0, "window": 0}
        for play in found:
            counts["window"] += features.forget_play(self._settings, target, *play)["plays"]
        counts["plays"] = history.forget_play(self._connection, target)
        return counts

    def _warehouse(self, target: Target) -> dict[str, int]:
        # A nightly would write what it read from the lake before rows were deleted.
        with alone_tonight(self._settings):
            return warehouse.forget(self._settings, target)

    def _rewrite(self, request: Request, files: dict[str, dict[str, int]]) -> None:
        """Rewrite files, once for all requests of this pass."""
        settings = self._settings
        for step, act in _FILES.items():

            def once(
                step: str = step, act: Callable[[Settings], dict[str, int]] = act
            ) -> dict[str, int]:
                if step not in files:
                    # A nightly reads the versions that this step deletes.
                    with alone_tonight(settings):
                        files[step] = act(settings)
                return files[step]

            self._step(request, step, once)

    def _finish(self, request: Request) -> None:
        target = self._target(request)
        self._step(request, "snowflake", lambda: snowflake.forget(self._settings, target))
        self._make_sure(request, target)

    def _make_sure(self, request: Request, target: Target) -> None:
        """Look for rows that are left. If there are some, have them removed by the next pass."""
        left = (
            history.left(self._connection, target)
            | lake.left(self._settings, target)
            | warehouse.left(self._settings, target)
        )
        if not left:
            return
        requests.repeat(self._connection, request, ("postgres", "lake", "warehouse", *_FILES))
        found = ", ".join(f"{count} in {table}" for table, count in left.items())
        raise StoreUnavailable(f"rows were written again: {found}; they are removed once more")

    def _target(self, request: Request) -> Target:
        assert request.before_ms is not None
        assert request.ends is not None
        play = None if request.event_id is None else str(request.event_id)
        return Target(request.user_id, request.before_ms, play, request.ends)

    def _step(self, request: Request, name: str, act: Callable[[], dict[str, int]]) -> None:
        if name in request.steps:
            return
        self._progress(name, "running")
        removed = act()
        requests.note(self._connection, request, name, removed)
        self._progress(name, ", ".join(f"{key} {value}" for key, value in removed.items()) or "ok")


def run_pending(
    settings: Settings,
    *,
    actor: str = "segue",
    origin: str = "eraser",
    patience: float = 60.0,
    settle: float = requests.SETTLE_SECONDS,
    progress: Progress = lambda step, word: None,
) -> tuple[int, int]:
    """Process every open request; return how many were found and how many are finished.

    Two processes may call this at once: the second finds nothing.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    ConfigurationError
        The login lacks a right, or the database a table.
    """
    dsn = settings.postgres_dsn
    with (
        connect(dsn, seconds=5) as holding,
        connect(dsn, seconds=5, autocommit=True) as connection,
    ):
        locked = holding.execute(
            f"select pg_try_advisory_xact_lock({requests.LOCK_KEY})".encode()
        ).fetchone()
        if locked is None or not locked[0]:
            return 0, 0
        found = requests.pending(connection, settle)
        work = Work(
            settings,
            connection,
            actor=actor,
            origin=origin,
            patience=patience,
            progress=progress,
        )
        return len(found), work.run(found)
