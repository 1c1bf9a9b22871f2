"""Calls to a remote service that never keep this process from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from contracts.errors import StoreUnavailable
from streams.worker import Stopped

T = TypeVar("T")
_TICK = 0.05
#: A stopping worker waits this long for a call in flight, seconds.
GRACE = 8.0


class Remote:
    """Runs blocking calls in a thread, with a limit of time.

    The Snowpipe SDK sets no limit on a request and repeats failed ones for a minute; a worker must
    end within seconds of SIGTERM. An abandoned call continues in its daemon thread: every call made
    here may be repeated.

    Parameters
    ----------
    stopping
        Set when the worker has to stop.
    limit
        Longest time a call may take, seconds.
    """

    def __init__(self, stopping: threading.Event, limit: float = 90.0) -> None:
        self._stopping = stopping
        self._limit = limit
        self._told = 0.0

    def call(self, what: str, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, or raise what it raises.

        Raises
        ------
        StoreUnavailable
            It took too long.
        Stopped
            The worker has to end.
        """
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(work())
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=run, name=what, daemon=True)
        thread.start()
        deadline = time.monotonic() + self._limit
        while thread.is_alive():
            thread.join(_TICK)
            self._check_stop()
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"{what}: no answer in {self._limit:g} s")
        if failed:
            raise failed[0]
        return done[0]

    def pause(self, seconds: float) -> None:
        """Wait, or raise :class:`Stopped` when the worker has to end."""
        self._stopping.wait(seconds)
        if self._stopping.is_set():
            time.sleep(_TICK)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stopping.is_set():
            now = time.monotonic()
            self._told = self._told or now
            if now - self._told > GRACE:
                raise Stopped
