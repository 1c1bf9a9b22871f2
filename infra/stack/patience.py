"""How long a starting server may stay without an answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from infra.stack.process import Process

#: Share of one core that a process uses while it does something; an idle Java program stays below.
_WORKING = 0.05
#: However busy it is: the whole wait is at most so many times the patience.
_MOST = 10


class Patience:
    """Ends after some seconds without an answer, later while the process shows that it works.

    A broker that was killed reads its log again before it answers. On a busy machine that takes
    minutes, and a killed broker would only start from scratch.

    Parameters
    ----------
    process
        The process that is starting.
    seconds
        The patience. It restarts if the process wrote to its log or used the processor.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, process: Process, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._process = process
        self._seconds = seconds
        self._clock = clock
        self._last = clock() + _MOST * seconds
        self._begin()

    def _begin(self) -> None:
        self._until = self._clock() + self._seconds
        self._written, self._used = self._signs()

    def _signs(self) -> tuple[int, float]:
        """Return the bytes of the log and the processor seconds used, children included."""
        written, used = 0, 0.0
        try:
            written = self._process.log.stat().st_size
            if self._process.pid is not None:
                process = psutil.Process(self._process.pid)
                for each in (process, *process.children(recursive=True)):
                    times = each.cpu_times()
                    used += times.user + times.system
        except (OSError, psutil.Error):
            pass
        return written, used

    @property
    def over(self) -> bool:
        """Whether to give up."""
        now = self._clock()
        if now < self._until:
            return False
        written, used = self._signs()
        works = written > self._written or used - self._used >= _WORKING * self._seconds
        if not works or now >= self._last:
            return True
        self._begin()
        return False
