"""The looks of the watcher: at the broker and its topics, at PostgreSQL, at the workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from api.offers import Offers
from api.producer import PlayLog
from contracts import heartbeat
from contracts.heartbeat import Heartbeat
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.workers import CORE_FOLDS, LEARNER, LISTENERS

#: Windows that nobody has folded plays into for so long are stale: lists made of them are degraded.
#: A worker that is started again takes less.
STALE_SECONDS = 20.0


class BrokerLook:
    """Looks at the broker, makes missing topics, polls idle producers and replaces stuck ones."""

    def __init__(self, plays: PlayLog, impressions: Offers, settings: Settings) -> None:
        self._plays = plays
        self._impressions = impressions
        self._settings = settings
        self._topics = Topics(settings.namespace)
        # One thread: a broker that does not answer holds up one look, not a pile of them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watcher")
        self._topics_known = False

    async def look(self) -> str:
        """Return ``"ok"`` or what is wrong."""
        loop = asyncio.get_running_loop()
        self._plays.poll()
        self._impressions.poll()
        if not self._topics_known:
            await loop.run_in_executor(self._thread, self._ensure_topics)
            self._topics_known = True
        metadata = await loop.run_in_executor(self._thread, self._plays.metadata, 3.0)
        if self._topics.plays not in metadata.topics:
            self._topics_known = False  # an in-memory broker was restarted
            return "the topics are gone; they are being created"
        self._plays.revive()
        self._impressions.revive()
        return "ok"

    def close(self) -> None:
        """Let go of the thread, which may still wait for the broker."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ensure_topics(self) -> None:
        settings = self._settings
        configs = self._topics.configs(settings.plays_retention_days, flink=bool(settings.flink))
        ensure_topics(settings, configs)


class DatabaseLook:
    """Looks at PostgreSQL through the pool of the accounts.

    A history that is locked makes answers poorer; without the accounts nobody is served.
    """

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def look(self) -> str:
        """Return ``"ok"`` if PostgreSQL answers; else raise the driver's error."""
        async with asyncio.timeout(3.0), self._pool.connection(timeout=1.0) as connection:
            await connection.execute("select 1")
        return "ok"


class WorkersLook:
    """Looks at Redis and remembers the heartbeats of the workers that are kept there.

    Parameters
    ----------
    trouble
        What those who read Redis for lists complain of; empty: nothing.

    Attributes
    ----------
    beats
        One report for each worker, by name, of all its processes.
    """

    def __init__(self, redis: Redis, key: str, trouble: Callable[[], str] = lambda: "") -> None:
        self._redis = redis
        self._key = key
        self._trouble = trouble
        self._began = int(time.time() * 1000)
        self._folded_at: dict[int, int] = {}
        self.beats: dict[str, Heartbeat] = {}

    async def look(self) -> str:
        """Return ``"ok"`` or what is wrong; let errors of the driver through."""
        stored: dict[bytes, bytes] = await self._redis.hgetall(self._key)  # type: ignore[assignment]
        beats = heartbeat.read(stored).values()
        self.beats = heartbeat.of_workers(beats, int(time.time() * 1000))
        for beat in beats:
            if beat.name.partition("@")[0] == LISTENERS.name and beat.state == "running":
                for partition in beat.partitions:
                    self._folded_at[partition] = max(beat.at, self._folded_at.get(partition, 0))
        return self._trouble() or "ok"

    def windows_stand_still(self, partition: int) -> bool:
        """Whether nobody has folded a partition into windows for :data:`STALE_SECONDS`.

        The processes of the worker share the partitions: one that waits makes the lists of its own
        listeners stale, and of nobody else. Where the worker has never reported the store holds
        nothing, and lists are degraded for that.
        """
        if LISTENERS.name not in self.beats:
            return False
        folded = max(self._began, self._folded_at.get(partition, 0))
        return time.time() * 1000 - folded > 1000 * STALE_SECONDS

    def log_id(self) -> str:
        """Return the identity of the log of plays that the listeners fold; empty: unknown."""
        beat = self.beats.get(LISTENERS.name)
        return "" if beat is None else beat.log_id

    def states(self) -> dict[str, str]:
        """Return ``worker -> "ok"`` or what is wrong, for the workers of every deployment."""
        now = int(time.time() * 1000)
        return {name: _state(self.beats.get(name), now) for name in CORE_FOLDS}

    def quality(self) -> dict[str, float]:
        """Return what the learner reports of its model."""
        beat = self.beats.get(LEARNER.name)
        counters = {} if beat is None else beat.counters
        return {
            name.removeprefix("quality_"): value
            for name, value in counters.items()
            if name.startswith("quality_")
        }


def _state(beat: Heartbeat | None, now_ms: int) -> str:
    if beat is None:
        return "has never reported"
    if not beat.is_fresh(now_ms):
        return f"silent for {(now_ms - beat.at) / 1000:.0f} s"
    if beat.state != "running":
        return f"{beat.state}: {beat.detail}" if beat.detail else beat.state
    return "ok"
