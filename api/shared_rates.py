"""Requests of a caller, counted by all API processes; no request waits for Redis.

Each process decides by what it has counted itself and by what the others had counted when it asked
last. A second after a caller has used more than one part in :data:`SHARE` of its limit here, the
process adds its count to a hash in Redis and reads the sum. So N processes together accept, beyond
the limit of a window, at most what reaches them in that second and N - 1 parts of the limit.
Callers that use less cost nothing. While Redis does not answer, each process applies the whole
limit to what it sees.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable

from redis.asyncio import Redis

from api.background import end
from api.listenbrainz.limits import WINDOW_SECONDS, RateWindow
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE

SHARE = 64
EVERY_SECONDS = 1.0


class SharedRates(RateWindow):
    """A window whose counts of busy callers are exchanged every second.

    Parameters
    ----------
    clock
        Seconds since the epoch; windows begin at the same time in all processes.
    """

    def __init__(self, redis: Redis, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._redis = redis
        self._keys = keys
        self._elsewhere: dict[str, int] = {}
        self._reported: dict[str, int] = {}
        self._busy: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def count(self, caller: str, limit: int, price: int = 1) -> int:
        """Count one request; see the base class."""
        left = super().count(caller, limit, price)
        if (limit - left) * SHARE > limit:
            self._busy.add(caller)
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._exchange_soon())
            return left - self._elsewhere.get(caller, 0)
        return left

    def _begin(self, window: int) -> None:
        super()._begin(window)
        self._elsewhere, self._reported, self._busy = {}, {}, set()

    async def _exchange_soon(self) -> None:
        await asyncio.sleep(EVERY_SECONDS)
        await self.exchange()

    async def exchange(self) -> None:
        """Add what was counted here since the last exchange, and read the sums."""
        self._turn()
        window, callers = self._window, sorted(self._busy)
        if not callers:
            return
        self._busy = set()
        counts = {caller: self._counts[caller] for caller in callers}
        key = self._keys.requests(window)
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for caller, count in counts.items():
                    pipe.hincrby(key, _hash(caller), count - self._reported.get(caller, 0))
                pipe.expire(key, 3 * WINDOW_SECONDS)
                *sums, _ = await pipe.execute()
        except UNAVAILABLE:
            if window == self._window:
                self._busy.update(callers)  # with the next request of a busy caller
            return
        if window == self._window:
            self._reported |= counts
            for caller, total in zip(callers, sums, strict=True):
                self._elsewhere[caller] = int(total) - counts[caller]

    async def stop(self) -> None:
        """Stop exchanging."""
        if self._task is not None:
            await end([self._task])


def _hash(caller: str) -> str:
    return hashlib.blake2b(caller.encode(), digest_size=16).hexdigest()
