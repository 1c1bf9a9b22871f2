"""Knows all the time what is up: health answers come from its memory and never wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from contracts import heartbeat
from contracts.errors import SegueError
from contracts.kafka import ensure_topics
from contracts.workers import CORE_FOLDS, LEARNER

if TYPE_CHECKING:
    from api.services import Services

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5
#: What this process itself needs to take traffic; the rest only makes answers poorer or later.
OWN = ("kafka", "postgres")


class Watcher:
    """Looks at every dependency twice a second.

    Attributes
    ----------
    state
        ``name -> "ok"`` or what is wrong.
    workers
        Latest report of each worker, by name without ``@host``.
    stopping
        Set at shutdown: the process is no longer ready, whatever the rest says.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        # One thread: a broker that does not answer holds up one look, not a pile of them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="watcher")
        self._tasks: list[asyncio.Task[None]] = []
        self._topics_known = False
        self.state = dict.fromkeys(("kafka", "postgres", "redis", "model"), "not looked at yet")
        self.workers: dict[str, heartbeat.Heartbeat] = {}
        self.stopping = False

    def start(self) -> None:
        """Begin to look."""
        looks: dict[str, Callable[[], Awaitable[str]]] = {
            "kafka": self._kafka,
            "postgres": self._postgres,
            "redis": self._redis,
            "model": self._model,
        }
        self._tasks = [asyncio.ensure_future(self._watch(*item)) for item in looks.items()]
        self._services.metrics.watch_many(
            "segue_model_quality",
            "How good the lists are, judged by the learner on the plays it learns.",
            self.quality,
        )

    async def stop(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._thread.shutdown(wait=False, cancel_futures=True)

    def quality(self) -> dict[str, float]:
        """Return what the learner says of its model in its heartbeat."""
        beat = self.workers.get(LEARNER.name)
        if beat is None:
            return {}
        return {
            name.removeprefix("quality_"): value
            for name, value in beat.counters.items()
            if name.startswith("quality_")
        }

    def worker_states(self) -> dict[str, str]:
        """Return ``worker -> "ok"`` or what is wrong, from its last report."""
        now = int(time.time() * 1000)
        states = {}
        for name in CORE_FOLDS:
            beat = self.workers.get(name)
            if beat is None:
                states[name] = "has never reported"
            elif not beat.is_fresh(now):
                states[name] = f"silent for {(now - beat.at) / 1000:.0f} s"
            elif beat.state != "running":
                states[name] = f"{beat.state}: {beat.detail}" if beat.detail else beat.state
            else:
                states[name] = "ok"
        return states

    async def _watch(self, name: str, look: Callable[[], Awaitable[str]]) -> None:
        while True:
            try:
                found = await look()
            except (TimeoutError, OSError, SegueError) as error:
                found = str(error) or type(error).__name__
            except Exception as error:
                found = type(error).__name__  # drivers put addresses into their messages
            if found != self.state[name]:
                log.info("%s: %s", name, found)
                self.state[name] = found
            await asyncio.sleep(EVERY_SECONDS)

    async def _kafka(self) -> str:
        loop = asyncio.get_running_loop()
        services = self._services
        services.log.poll()
        services.impressions.poll()
        if not self._topics_known:
            await loop.run_in_executor(self._thread, self._ensure_topics)
            self._topics_known = True
        metadata = await loop.run_in_executor(self._thread, services.log.metadata, 2.0)
        if services.topics.plays not in metadata.topics:
            self._topics_known = False  # an in-memory broker was restarted
            return "the topics are gone; they are being created"
        return "ok"

    def _ensure_topics(self) -> None:
        settings = self._services.settings
        configs = self._services.topics.configs(settings.plays_retention_days)
        ensure_topics(settings.kafka, configs, settings.partitions)

    async def _postgres(self) -> str:
        """Look at the accounts: a history that is locked makes answers poorer, not this process."""
        pool = self._services.account_pool
        async with asyncio.timeout(3.0), pool.connection(timeout=1.0) as connection:
            await connection.execute("select 1")
        return "ok"

    async def _redis(self) -> str:
        services = self._services
        stored: dict[bytes, bytes] = await services.redis.hgetall(services.keys.workers)  # type: ignore[assignment]
        beats = sorted(map(heartbeat.decode, stored.values()), key=lambda beat: beat.at)
        # Of several hosts the one heard last speaks: one that was taken away is never heard again.
        self.workers = {beat.name.partition("@")[0]: beat for beat in beats}
        return "ok"

    async def _model(self) -> str:
        return await self._services.model.refresh()
