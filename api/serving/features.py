"""Reading the feature store: concurrent requests share round trips, and none waits long."""

from __future__ import annotations

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.breaker import Breaker
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.ids import partition_of

log = logging.getLogger(__name__)

#: How long one failure keeps us from trying again (seconds).
OPEN_SECONDS = 1.0


class FeatureStore:
    """One read a request, one round trip for all requests of a turn of the event loop.

    A pool with a connection for each request costs about half the throughput; so does a command
    each. Keys are fetched by ``MGET``, one for each partition, because keys of different
    partitions lie on different nodes of a cluster.

    Parameters
    ----------
    redis
        A client with short timeouts: a request waits no longer than they say.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self.breaker = Breaker(OPEN_SECONDS)
        self._waiting: dict[int, dict[str, list[asyncio.Future[bytes | None]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, user_id: str) -> bytes | None:
        """Return a listener's blob, ``None`` for a stranger.

        Raises
        ------
        StoreUnavailable
            Redis did not answer, now or within the last second.
        """
        if not self.breaker.closed:
            raise StoreUnavailable("the feature store did not answer a moment ago")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        partition = partition_of(user_id, self._keys.partitions)
        group = self._waiting.setdefault(partition, {})
        group.setdefault(self._keys.listener(user_id), []).append(future)
        return await future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        task = asyncio.ensure_future(self._fetch(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(
        self, waiting: dict[int, dict[str, list[asyncio.Future[bytes | None]]]]
    ) -> None:
        try:
            if len(waiting) == 1:
                (group,) = waiting.values()
                answers = [await self._redis.mget(list(group))]
            else:
                pipeline = self._redis.pipeline(transaction=False)
                for group in waiting.values():
                    pipeline.mget(list(group))
                answers = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            if self.breaker.closed:
                log.warning("feature store: %s", type(error).__name__)
            self.breaker.failed()
            for group in waiting.values():
                for futures in group.values():
                    for future in futures:
                        if not future.done():
                            future.set_exception(StoreUnavailable("the feature store is down"))
            return
        for group, values in zip(waiting.values(), answers, strict=True):
            for futures, value in zip(group.values(), values, strict=True):
                for future in futures:
                    if not future.done():
                        future.set_result(value)  # type: ignore[arg-type]  # bytes: not decoded
