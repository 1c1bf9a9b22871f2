"""Reading the feature store: many listeners in one round trip, and none waits long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import hiredis
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from contracts.breaker import Breaker
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.ids import partition_of

log = logging.getLogger(__name__)

#: How long one failure keeps us from trying again (seconds).
OPEN_SECONDS = 1.0
#: Longest wait for the store (seconds); a list does without it then.
READ_SECONDS = 0.25
#: Longest time a connection may take to be made, and the pause before the next attempt (seconds).
CONNECT_SECONDS, PAUSE_SECONDS = 5.0, 0.25
#: Connections, and so batches that may be read at once.
CONNECTIONS = 2
#: What a listener has where the store lost its data: no blob that can be read, so that the list is
#: degraded and nobody is called a stranger.
LOST = b""


class ReadShare:
    """How many of the latest reads the store answered too late or not at all.

    Parameters
    ----------
    seconds
        Reads count for so long, twice that at most.
    """

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._since = clock()
        self._now = [0, 0]  # reads, failed reads
        self._before = [0, 0]

    def note(self, *, failed: bool) -> None:
        """Count a read."""
        self._turn()
        self._now[0] += 1
        self._now[1] += failed

    def trouble(self) -> str:
        """Return ``""``, or in words that one read in ten or more failed."""
        self._turn()
        reads, failed = (self._now[n] + self._before[n] for n in (0, 1))
        if failed * 10 < reads or not failed:
            return ""
        return f"slow: {failed} of the latest {reads} reads for lists got no answer in time"

    def _turn(self) -> None:
        age = self._clock() - self._since
        if age >= self._seconds:
            self._before = self._now if age < 2 * self._seconds else [0, 0]
            self._now, self._since = [0, 0], self._clock()


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
        self._resting: list[Connection] = [
            pool.make_connection()  # type: ignore[no-untyped-call]
            for _ in range(CONNECTIONS)
        ]
        self._ready: asyncio.Queue[Connection] = asyncio.Queue()
        self._connecting: set[asyncio.Task[None]] = set()
        self._trouble = ""
        self.share = ReadShare()

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
        """Return the blobs of listeners, in their order; raises as :meth:`get`.

        :data:`LOST` stands for what a store without data cannot tell.
        """
        self._check()
        groups: dict[int, list[int]] = {}
        for at, user_id in enumerate(user_ids):
            groups.setdefault(partition_of(user_id, self._keys.partitions), []).append(at)
        request = b"".join(
            hiredis.pack_command(
                (  # type: ignore[arg-type]  # of any length
                    "MGET",
                    self._keys.complete(partition),
                    *(self._keys.listener(user_ids[at]) for at in group),
                )
            )
            for partition, group in groups.items()
        )
        found: list[bytes | None] = [None] * len(user_ids)
        try:
            async with asyncio.timeout(READ_SECONDS):
                connection = await self._connected()
                try:
                    await connection.send_packed_command([request], check_health=False)
                    for group in groups.values():
                        complete, *values = await connection.read_response(disable_decoding=True)
                        for at, value in zip(group, values, strict=True):
                            found[at] = LOST if complete is None else value
                except BaseException:
                    # Replies may be under way still: nobody else must take them for its own.
                    self._connect(connection)
                    raise
                self._ready.put_nowait(connection)
        except (RedisError, OSError, TimeoutError) as error:
            raise self._failed(error) from None
        self.share.note(failed=False)
        return found

    async def _connected(self) -> Connection:
        """Return a connection that is there, however long ago it was begun.

        Connecting takes several round trips. A store 100 ms away is not connected within the time
        of a read, and each timeout would begin anew: it would never be read.
        """
        while self._resting:
            self._connect(self._resting.pop())
        while True:
            connection = await self._ready.get()
            if connection.is_connected and not await connection.can_read():
                return connection
            self._connect(connection)  # closed while nobody looked

    def _connect(self, connection: Connection) -> None:
        task = asyncio.ensure_future(self._make_ready(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _make_ready(self, connection: Connection) -> None:
        async def connect() -> None:
            await connection.disconnect(nowait=True)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()  # type: ignore[no-untyped-call]
            except (RedisError, OSError, TimeoutError) as error:
                self._say(f"{type(error).__name__}: {error}".rstrip(": "))
                raise
            self._say("")

        failed = retry_if_exception_type((RedisError, OSError, TimeoutError))
        await AsyncRetrying(retry=failed, wait=wait_fixed(PAUSE_SECONDS))(connect)
        self._ready.put_nowait(connection)

    def _say(self, trouble: str) -> None:
        """Log why no connection can be made, once for each reason: it is tried again for ever."""
        if trouble and trouble != self._trouble:
            log.warning("feature store: cannot connect: %s", trouble)
        self._trouble = trouble

    async def close(self) -> None:
        """Let go of the connections."""
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        while not self._ready.empty():
            await self._ready.get_nowait().disconnect(nowait=True)

    def _check(self) -> None:
        if not self.breaker.closed:
            self.share.note(failed=True)
            raise StoreUnavailable("the feature store did not answer a moment ago")

    def _failed(self, error: Exception) -> StoreUnavailable:
        if self.breaker.closed:
            log.warning("feature store: %s", type(error).__name__)
        self.breaker.failed()
        self.share.note(failed=True)
        return StoreUnavailable("the feature store is down")
