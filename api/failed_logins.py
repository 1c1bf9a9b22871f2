"""Failed logins of the current minute, counted by all API processes together.

They are counted in Redis, so that N processes do not allow N times as many guesses, and in this
process as well: while Redis does not answer, each process applies the limits to what it sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from redis.asyncio import Redis

from api.listenbrainz.limits import RateWindow
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE

_SECONDS = 60


class Attempt(NamedTuple):
    """One login that was counted.

    Attributes
    ----------
    minute
        Minute since the epoch for which it was counted.
    who
        Names and addresses for which it was counted.
    left
        The least number of further attempts that any of their limits allows; negative when there
        were too many.
    together
        Whether Redis has counted it too.
    """

    minute: int
    who: tuple[str, ...]
    left: int
    together: bool


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

    async def count(self, limits: Mapping[str, int]) -> Attempt:
        """Count one login for each name and address, given with its limit."""
        minute = int(self._clock()) // _SECONDS
        here = [self._here.count(who, limit) for who, limit in limits.items()]
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for who in limits:
                    key = self._keys.failed_logins(who, minute)
                    pipe.set(key, 0, ex=2 * _SECONDS, nx=True)
                    pipe.incr(key)
                counts = (await pipe.execute())[1::2]
        except UNAVAILABLE:
            return Attempt(minute, tuple(limits), min(here), together=False)
        everywhere = [limit - int(n) for limit, n in zip(limits.values(), counts, strict=True)]
        return Attempt(minute, tuple(limits), min(*here, *everywhere), together=True)

    async def take_back(self, attempt: Attempt) -> None:
        """Uncount a login, in the minute for which it was counted: it did not fail."""
        if attempt.minute == int(self._clock()) // _SECONDS:  # this process counts one minute only
            for who in attempt.who:
                self._here.take_back(who)
        if not attempt.together:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for who in attempt.who:
                    key = self._keys.failed_logins(who, attempt.minute)
                    pipe.decr(key)
                    pipe.expire(key, 2 * _SECONDS)  # Redis may have lost the key meanwhile
                await pipe.execute()
        except UNAVAILABLE:
            return
