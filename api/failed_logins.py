"""Failed logins of the current minute, counted by all API processes together.

They are counted in Redis, so that N processes do not allow N times as many guesses, and in this
process as well: while Redis does not answer, each process applies the limits to what it sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.asyncio import Redis

from api.listenbrainz.limits import RateWindow
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE

_SECONDS = 60


class FailedLogins:
    """Counts by name and by address.

    Parameters
    ----------
    clock
        Seconds since the epoch.
    """

    def __init__(self, redis: Redis, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._keys = keys
        self._clock = clock
        self._here = RateWindow(clock=clock, seconds=_SECONDS)

    async def count(self, who: str, limit: int) -> int:
        """Count one login and return how many remain; negative when there were too many."""
        left = self._here.count(who, limit)
        key = self._key(who)
        try:
            await self._redis.set(key, 0, ex=2 * _SECONDS, nx=True)
            return min(left, limit - int(await self._redis.incr(key)))
        except UNAVAILABLE:
            return left

    async def take_back(self, who: str) -> None:
        """Uncount one login of this minute: it did not fail."""
        self._here.take_back(who)
        key = self._key(who)
        try:
            if int(await self._redis.get(key) or 0) > 0:
                await self._redis.decr(key)
        except UNAVAILABLE:
            return

    def _key(self, who: str) -> str:
        return self._keys.failed_logins(who, int(self._clock()) // _SECONDS)
