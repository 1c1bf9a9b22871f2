"""Reading the feature store: many listeners in one round trip, and none waits long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import hiredis
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contracts.breaker import Breaker
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.ids import partition_of

log = logging.getLogger(__name__)

#: How long one failure keeps us from trying again (seconds).
OPEN_SECONDS = 1.0
#: Longest wait for the store (seconds); a list does without it then.
READ_SECONDS = 0.25
#: Connections, and so batches that may be read at once.
CONNECTIONS = 2


class FeatureReader:
    """What the store holds of listeners.

    Lists are made for many listeners at once (:class:`api.serving.desk.Desk`), whose blobs come
    through connections of their own: a pooled connection and a command for each request cost as
    much as making the list. Keys are fetched by ``MGET``, one for each partition, because keys of
    different partitions lie on different nodes of a cluster.

    Parameters
    ----------
    redis
        A client with short timeouts, for single reads.
    url
        The same store, for those connections.
    """

    def __init__(self, redis: Redis, url: str, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self.breaker = Breaker(OPEN_SECONDS)
        # Without a timeout of its own: each of its timeouts costs a task, one around all does not.
        pool: ConnectionPool = ConnectionPool.from_url(
            url, socket_timeout=None, retry=Retry(NoBackoff(), 0)
        )
        self._free: list[Connection] = [
            pool.make_connection()  # type: ignore[no-untyped-call]
            for _ in range(CONNECTIONS)
        ]
        self._turns = asyncio.Semaphore(CONNECTIONS)

    async def get(self, user_id: str) -> bytes | None:
        """Return a listener's blob, ``None`` for a stranger.

        Raises
        ------
        StoreUnavailable
            Redis did not answer, now or within the last second.
        """
        self._check()
        try:
            found: bytes | None = await self._redis.get(self._keys.listener(user_id))  # type: ignore[assignment]  # not decoded
        except (RedisError, OSError, TimeoutError) as error:
            raise self._failed(error) from None
        return found

    async def get_many(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Return the blobs of listeners, in their order; raises as :meth:`get`."""
        self._check()
        groups: dict[int, list[int]] = {}
        for at, user_id in enumerate(user_ids):
            groups.setdefault(partition_of(user_id, self._keys.partitions), []).append(at)
        request = b"".join(
            hiredis.pack_command(("MGET", *(self._keys.listener(user_ids[at]) for at in group)))  # type: ignore[arg-type]  # of any length
            for group in groups.values()
        )
        found: list[bytes | None] = [None] * len(user_ids)
        try:
            async with asyncio.timeout(READ_SECONDS), self._turns:
                connection = self._free.pop()
                try:
                    if connection.is_connected and await connection.can_read():
                        await connection.disconnect(nowait=True)  # closed while nobody looked
                    await connection.send_packed_command([request], check_health=False)
                    for group in groups.values():
                        values = await connection.read_response(disable_decoding=True)
                        for at, value in zip(group, values, strict=True):
                            found[at] = value
                except BaseException:
                    # Replies may be under way still: nobody else must take them for its own.
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    self._free.append(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise self._failed(error) from None
        return found

    async def close(self) -> None:
        """Let go of the connections."""
        for connection in self._free:
            await connection.disconnect(nowait=True)

    def _check(self) -> None:
        if not self.breaker.closed:
            raise StoreUnavailable("the feature store did not answer a moment ago")

    def _failed(self, error: Exception) -> StoreUnavailable:
        if self.breaker.closed:
            log.warning("feature store: %s", type(error).__name__)
        self.breaker.failed()
        return StoreUnavailable("the feature store is down")
