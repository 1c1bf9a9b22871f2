"""How long it takes until a posted play is in what lists are made of, measured on real plays.

At most one play in ``SEGUE_FRESHNESS_SECONDS`` is followed: from its request to the moment at which
the feature store, and the model that this process maps, hold its place in the log. Lists read both
for every request, so that is the moment at which a list reflects the play (ADR 57).
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple

from confluent_kafka import Message
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from redis.asyncio import Redis

from api.background import end
from api.serving.live import LiveModel
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE

FEATURES, MODEL = "features", "model"
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
#: Pauses between two looks (seconds). A time is at most a quarter too long: each pause is a quarter
#: of the time that has passed, within these bounds.
_SHORTEST, _LONGEST, _SHARE = 0.005, 1.0, 0.25


class Place(NamedTuple):
    """Where a play is: the identity of the log, a partition and an offset."""

    log_id: str
    partition: int
    offset: int


#: Returns whether a part of what lists are made of holds a place.
Look = Callable[[Place], Awaitable[bool]]


def parts_of(redis: Redis, keys: Keys, model: LiveModel) -> dict[str, Look]:
    """Return the looks at the feature store and at the model of this host."""

    async def features(place: Place) -> bool:
        try:
            fence = await redis.hget(keys.fence(place.partition), place.log_id)
        except UNAVAILABLE:
            return False
        return fence is not None and int(fence) >= place.offset

    async def learned(place: Place) -> bool:
        if model.reader is None:
            return False
        offsets = model.reader.offsets
        return offsets.get((place.log_id, place.partition), -1) >= place.offset

    return {FEATURES: features, MODEL: learned}


class Freshness:
    """Follows one play at a time for each part.

    Parameters
    ----------
    every
        Seconds between two plays that are followed; 0: none is.
    topic
        Of the plays; other messages are not followed.
    log_id
        Returns the identity of that topic's log as the workers report it; empty: unknown.
    clock
        Monotonic seconds, the clock of ``posted_at``.
    """

    def __init__(
        self,
        every: float,
        topic: str,
        log_id: Callable[[], str],
        parts: Mapping[str, Look],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every = every
        self._topic = topic
        self._log_id = log_id
        self._parts = parts
        self._clock = clock
        self._due = dict.fromkeys(parts, clock() if every else float("inf"))
        self._soonest = min(self._due.values())
        self._since: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = {part: [0] * (len(_BUCKETS) + 1) for part in parts}
        self._sums = dict.fromkeys(parts, 0.0)

    def saw(self, posted_at: float, message: Message) -> None:
        """Take note that the broker has acknowledged a message; follow it if one is due.

        Parameters
        ----------
        posted_at
            When its request came.
        """
        if posted_at < self._soonest or message.topic() != self._topic:
            return
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None or offset < 0:
            return
        for part, due in self._due.items():
            if posted_at >= due:
                self._due[part], self._since[part] = float("inf"), posted_at
                task = asyncio.ensure_future(self._follow(part, posted_at, partition, offset))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._soonest = min(self._due.values())

    async def _follow(self, part: str, posted_at: float, partition: int, offset: int) -> None:
        log_id = ""
        try:
            # Another log has replaced it: the offset means nothing there.
            while (now_id := self._log_id()) == log_id or not log_id:
                log_id = now_id
                if log_id and await self._parts[part](Place(log_id, partition, offset)):
                    self._count(part, self._clock() - posted_at)
                    break
                passed = self._clock() - posted_at
                await asyncio.sleep(min(_LONGEST, max(_SHORTEST, _SHARE * passed)))
        finally:
            del self._since[part]
            self._due[part] = self._clock() + self._every
            self._soonest = min(self._due.values())

    def _count(self, part: str, seconds: float) -> None:
        self._counts[part][bisect_left(_BUCKETS, seconds)] += 1
        self._sums[part] += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the times by part, and the age of plays that are not there yet."""
        if not self._every:
            return
        times = HistogramMetricFamily(
            "segue_play_freshness_seconds",
            "Time from a posted play until a list reflects it, by what lists are made of.",
            labels=["part"],
        )
        waiting = GaugeMetricFamily(
            "segue_play_freshness_waiting_seconds",
            "Age of the followed play that a part does not hold yet; 0: none is followed.",
            labels=["part"],
        )
        now = self._clock()
        names = [*map(str, _BUCKETS), "+Inf"]
        for part, counts in self._counts.items():
            buckets = [(name, float(sum(counts[: n + 1]))) for n, name in enumerate(names)]
            times.add_metric([part], buckets, self._sums[part])
            waiting.add_metric([part], now - self._since[part] if part in self._since else 0.0)
        yield times
        yield waiting

    async def stop(self) -> None:
        """Stop following."""
        await end(list(self._tasks))
