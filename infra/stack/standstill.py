"""Finds workers whose loop stands still although they report that they live.

A heartbeat is written by a thread of its own, so a lock in a database or a deadlock does not stop
it. The heartbeat then reports ``stuck`` (:class:`streams.heartbeat.Status`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from contracts.errors import SegueError
from contracts.heartbeat import STUCK, Heartbeat

_EVERY = 10.0
#: How long (seconds) a worker may report that it is stuck before it is ended.
PATIENCE = 30.0


class Standstill:
    """Reads the heartbeats every few seconds, in a thread: Redis may be what stands still.

    Parameters
    ----------
    heartbeats
        Returns the last report of each worker by name; may raise SegueError.
    pids
        Returns the process ids of the workers that run here; reports of others are left alone.
    """

    def __init__(
        self,
        heartbeats: Callable[[], Mapping[str, Heartbeat]],
        pids: Callable[[], Mapping[str, int]],
    ) -> None:
        self._heartbeats = heartbeats
        self._pids = pids
        self._pool = ThreadPoolExecutor(1, "heartbeats")
        self._asked: Future[Mapping[str, Heartbeat]] | None = None
        self._next = 0.0
        #: pid -> since when it reports that it is stuck.
        self._since: dict[int, float] = {}

    def found(self, now: float) -> list[str]:
        """Return the workers to end; `now` is in monotonic seconds."""
        if self._asked is None:
            if now >= self._next:
                self._next = now + _EVERY
                self._asked = self._pool.submit(self._heartbeats)
            return []
        if not self._asked.done():
            return []
        asked, self._asked = self._asked, None
        try:
            beats = asked.result()
        except SegueError:
            return []
        stuck = {
            pid: name
            for name, pid in self._pids().items()
            if (beat := beats.get(name)) and beat.pid == pid and beat.state == STUCK
        }
        self._since = {pid: self._since.get(pid, now) for pid in stuck}
        return [stuck[pid] for pid, since in self._since.items() if now - since >= PATIENCE]
