"""Reports to Redis, once a second, that this worker lives, with its state and offsets."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import redis

from contracts.errors import SegueError
from contracts.features import Keys
from contracts.heartbeat import STOPPED, STUCK, STUCK_AFTER, Heartbeat, encode, read
from contracts.redis_client import UNAVAILABLE, client
from contracts.settings import Settings

log = logging.getLogger(__name__)
_EVERY = 1.0
#: Seconds after which the heartbeat of a process that ended is deleted; operators see it till then.
_KEPT_SECONDS = 86_400.0


class Status:
    """State of a worker: the worker writes these fields, the reporter reads them.

    Attributes
    ----------
    offsets
        ``"<topic>:<partition>" -> next offset``.
    partitions
        Partitions of ``plays`` that this process reads, if the processes of its worker share them.
    counters
        Counts and gauges by name.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: dict[str, float] = {}
        self.log_id = ""
        self.offsets: dict[str, int] = {}
        self.partitions: list[int] = []
        self.counters: dict[str, float] = {}
        self._state = "starting"
        self._detail = ""
        self._waiting: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """As in :class:`contracts.heartbeat.Heartbeat`; any part can make it wait or be stuck."""
        if self._state in ("stopping", STOPPED):
            return self._state
        if self._standing():
            return STUCK
        return "waiting" if self._waiting else self._state

    @property
    def detail(self) -> str:
        """Why it waits or is stuck, or what it is about, for a person."""
        if self.state == STUCK:
            return ", ".join(f"{part} for {s:.0f} s" for part, s in self._standing().items())
        reasons = list(self._waiting.values())
        return "; ".join(dict.fromkeys(reasons)) if self.state == "waiting" else self._detail

    def add(self, **counts: float) -> None:
        """Add to counters; any thread may."""
        with self._lock:
            for name, count in counts.items():
                self.counters[name] = self.counters.get(name, 0) + count

    def set_state(self, state: str, detail: str = "") -> None:
        """Say what the worker as a whole does; a change of the state is logged."""
        if state != self._state:
            log.info("%s", state)
        self._state, self._detail = state, detail

    def waits(self, part: str, why: str) -> None:
        """Say that a part of the worker waits for something; its beginning is logged."""
        if part in self._turns:
            self.turns(part)
        if part not in self._waiting:
            log.warning("%s waits: %s", part, why)
        self._waiting[part] = why

    def goes_on(self, part: str) -> None:
        """Say that a part does not wait, or not any more."""
        if self._waiting.pop(part, None) is not None:
            log.info("%s resumes", part)

    def turns(self, part: str) -> None:
        """Say that a loop has begun a turn: it must say so again, or :meth:`rests`, in time."""
        self._turns[part] = self._clock()

    def rests(self, part: str) -> None:
        """Say that a loop has ended, or waits for work."""
        self._turns.pop(part, None)

    def _standing(self) -> dict[str, float]:
        """Return the parts that have not turned in time, with their seconds."""
        now = self._clock()
        ages = {part: now - turned for part, turned in self._turns.copy().items()}
        return {part: age for part, age in ages.items() if age > STUCK_AFTER}


class Reporter(threading.Thread):
    """Writes a worker's status to Redis every second; a Redis that is down stops nothing."""

    def __init__(self, settings: Settings, name: str, status: Status) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._kind = name
        host = settings.host_name
        self.worker = name if host == Settings().host_name else f"{name}@{host}"
        self._status = status
        self._key = Keys(settings.namespace, settings.partitions).workers
        self._url = settings.redis_url
        self._client: redis.Redis | None = None
        self._end = threading.Event()

    def run(self) -> None:
        """Report until :meth:`close`, and once more then."""
        self._forget_gone()
        while not self._end.wait(_EVERY):
            self.report()
        self.report()
        if self._client is not None:
            self._client.close()

    def report(self) -> None:
        """Write one heartbeat."""
        status = self._status
        beat = Heartbeat(
            name=self.worker,
            pid=os.getpid(),
            at=int(time.time() * 1000),
            state=status.state,
            log_id=status.log_id,
            offsets=dict(status.offsets),
            partitions=status.partitions,
            counters=dict(status.counters),
            detail=status.detail,
        )
        try:
            self._store().hset(self._key, self.worker, encode(beat))  # type: ignore[arg-type,unused-ignore]
        except (*UNAVAILABLE, SegueError) as error:
            log.debug("heartbeat not written: %s", error)

    def _forget_gone(self) -> None:
        """Delete heartbeats of this worker, from any host, that are more than a day old."""
        oldest = int((time.time() - _KEPT_SECONDS) * 1000)
        try:
            stored: dict[bytes, bytes] = self._store().hgetall(self._key)  # type: ignore[assignment]
            gone = [
                name
                for name, beat in read(stored).items()
                if beat.at < oldest and name.partition("@")[0] == self._kind
            ]
            if gone:
                self._store().hdel(self._key, *gone)
        except (*UNAVAILABLE, SegueError) as error:
            log.debug("old heartbeats not deleted: %s", error)

    def _store(self) -> redis.Redis:
        if self._client is None:  # made at first use: the client of a Cluster connects at once
            self._client = client(self._url, socket_timeout=2.0, socket_connect_timeout=2.0)
        return self._client

    def close(self) -> None:
        """Write the last heartbeat and end."""
        self._end.set()
        self.join(5.0)
