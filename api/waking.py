"""Wakes the workers when something was posted, where the broker does not hold their fetches."""

from __future__ import annotations

import asyncio
import contextlib
import time

from redis.asyncio import Redis

from contracts.redis_client import UNAVAILABLE

#: A woken worker stays awake four times as long.
EVERY_SECONDS = 0.5


class Waker:
    """Publishes on a Redis channel, at most once in :data:`EVERY_SECONDS`.

    Parameters
    ----------
    redis
        May be away: then the workers look by themselves.
    channel
        What they subscribe to.
    """

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._last = -EVERY_SECONDS
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Call when the broker has something new; returns at once."""
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS:
            return
        self._last = now
        task = asyncio.ensure_future(self._publish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self) -> None:
        with contextlib.suppress(*UNAVAILABLE):
            await self._redis.publish(self._channel, b"")
