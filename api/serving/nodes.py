"""The servers behind the feature store, each with connections that many reads share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from redis.asyncio import Connection, Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, RedisClusterException, TryAgainError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from contracts.breaker import Breaker
from contracts.features import Keys
from contracts.redis_client import CLUSTER, UNAVAILABLE, connection_to, connections, let_go, parse

log = logging.getLogger(__name__)

#: How long one failure keeps us from trying again (seconds).
OPEN_SECONDS = 1.0
#: Longest time a connection may take to be made, and the pause before the next attempt (seconds).
CONNECT_SECONDS, PAUSE_SECONDS = 5.0, 0.25
#: Connections to a node, and so batches that may be read from it at once.
CONNECTIONS = 2
#: A Cluster is asked for its nodes at most so often (seconds).
LOOK_SECONDS = 0.5
#: Replies of a node that does not hold the slot, or not alone (``MOVED`` is an ``AskError``).
_ELSEWHERE = (AskError, TryAgainError, ClusterDownError)


class Node:
    """One server.

    Parameters
    ----------
    make
        Returns a connection that is not made yet.
    """

    def __init__(self, make: Callable[[], Connection]) -> None:
        self.breaker = Breaker(OPEN_SECONDS)
        self._resting = [make() for _ in range(CONNECTIONS)]
        self._ready: asyncio.Queue[Connection] = asyncio.Queue()
        self._connecting: set[asyncio.Task[None]] = set()
        self._trouble = ""
        self._closed = False

    async def ask(self, request: bytes, answers: int) -> list[Any]:
        """Send packed commands and return their replies.

        In place of a reply stands the error with which a node of a Cluster sends us elsewhere.
        Raises :data:`contracts.redis_client.UNAVAILABLE`.
        """
        connection = await self._connected()
        found: list[Any] = []
        try:
            await connection.send_packed_command([request], check_health=False)
            for _ in range(answers):
                try:
                    found.append(await connection.read_response(disable_decoding=True))
                except _ELSEWHERE as error:
                    found.append(error)
        except BaseException:
            # Replies may still be in flight: no later request must read them as its own.
            self._connect(connection)
            raise
        self._ready.put_nowait(connection)
        return found

    async def _connected(self) -> Connection:
        """Return a connection that is there, however long ago it was begun.

        Connecting takes several round trips. A store 100 ms away is not connected within the time
        of a read, and each timeout would start over: it would never be read.
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
            if self._closed:  # a read failed after `close`: without this its retries never end
                return
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()  # type: ignore[no-untyped-call]
            except UNAVAILABLE as error:
                self._say(f"{type(error).__name__}: {error}".rstrip(": "))
                raise
            self._say("")

        failed = retry_if_exception_type(UNAVAILABLE)
        await AsyncRetrying(retry=failed, wait=wait_fixed(PAUSE_SECONDS))(connect)
        if not self._closed:
            self._ready.put_nowait(connection)

    def _say(self, trouble: str) -> None:
        """Log why no connection can be made, once for each reason: it is tried again for ever."""
        if trouble and trouble != self._trouble:
            log.warning("feature store: cannot connect: %s", trouble)
        self._trouble = trouble

    async def close(self) -> None:
        """Let go of the connections."""
        self._closed = True
        connecting = list(self._connecting)
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        while not self._ready.empty():
            await self._ready.get_nowait().disconnect(nowait=True)


class Nodes(Protocol):
    """Maps each partition to the node that holds it."""

    def of(self, partition: int) -> Node | None:
        """Return the node; ``None`` while it is not known."""
        ...

    def all(self) -> Iterable[Node]:
        """Return the nodes that are in use."""
        ...

    def look_again(self) -> None:
        """Read the map again in the background: a node did not answer, or redirected a request."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class OneNode:
    """One Redis server, or the primary that Sentinels name.

    If Sentinels name another primary after a failover, new connections go to that one.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool  # a connection that Sentinels lead holds its pool weakly
        self._node = Node(pool.make_connection)

    def of(self, _: int) -> Node:
        """Return the only node, for every partition."""
        return self._node

    def all(self) -> Iterable[Node]:
        """Return the only node."""
        return (self._node,)

    def look_again(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Let go of its connections."""
        await self._node.close()
        await let_go(self._pool)


class ClusterNodes:
    """The primaries of a Cluster, by the slots that the client knows.

    Parameters
    ----------
    make
        Returns a connection to ``host, port``, not made yet.
    """

    def __init__(
        self, client: RedisCluster, make: Callable[[str, int], Connection], keys: Keys
    ) -> None:
        self._client = client
        self._make = make
        self._slots = [key_slot(keys.fence(p).encode()) for p in range(keys.partitions)]
        self._nodes: dict[tuple[str, int], Node] = {}
        self._looking: asyncio.Task[None] | None = None

    def of(self, partition: int) -> Node | None:
        """Return the node that holds a partition's slot, as far as it is known."""
        try:
            found = self._client.nodes_manager.get_node_from_slot(self._slots[partition])
        except (KeyError, RedisClusterException):  # covered by nobody, or nobody was asked yet
            self.look_again()
            return None
        place = found.host, int(found.port)
        node = self._nodes.get(place)
        if node is None:
            node = self._nodes[place] = Node(lambda: self._make(*place))
        return node

    def all(self) -> Iterable[Node]:
        """Return the nodes that were read from."""
        return self._nodes.values()

    def look_again(self) -> None:
        """Ask the Cluster for its nodes, in the background."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        try:
            await self._client.initialize()
            await self._client.nodes_manager.initialize()
        except UNAVAILABLE as error:
            log.debug("feature store: the cluster does not list its nodes: %s", error)
        gone = self._nodes.keys() - {
            (node.host, int(node.port)) for node in self._client.nodes_manager.nodes_cache.values()
        }
        for place in gone:
            await self._nodes.pop(place).close()
        await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        """Let go of all connections."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.gather(*(node.close() for node in self._nodes.values()))


def nodes_of(url: str, client: Redis, keys: Keys) -> Nodes:
    """Return what holds the partitions at an address.

    Parameters
    ----------
    client
        Of the same store.
    """
    # Without a timeout of its own: each of its timeouts costs a task, one around all does not.
    options: dict[str, Any] = {"socket_timeout": None, "retry": Retry(NoBackoff(), 0)}
    if parse(url).kind != CLUSTER:
        return OneNode(connections(url, **options))
    assert isinstance(client, RedisCluster)
    return ClusterNodes(client, lambda host, port: connection_to(url, host, port, **options), keys)
