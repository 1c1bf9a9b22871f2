"""Reading the feature store: many listeners in one round trip, and none waits long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from api.serving.nodes import Node, Nodes, nodes_of
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.ids import partition_of
from contracts.redis_client import UNAVAILABLE

log = logging.getLogger(__name__)

#: Longest wait for the store (seconds); a list does without it then.
READ_SECONDS = 0.25
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


def _nothing(_seconds: float, _failed: bool) -> None:
    """Count nothing."""


class FeatureReader:
    """What the store holds of listeners.

    Lists are made for many listeners at once (:class:`api.serving.desk.Desk`), whose blobs come
    through connections of their own: a pooled connection and a command for each request cost as
    much as making the list. Keys are fetched by ``MGET``, one for each partition, because keys of
    different partitions lie on different nodes of a Cluster; all of one node in one write.

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
        self._nodes: Nodes = nodes_of(url, redis, keys)
        self.share = ReadShare()
        #: Called after each read, with its seconds and whether it failed.
        self.on_read: Callable[[float, bool], None] = _nothing

    @property
    def available(self) -> bool:
        """Whether no node failed within the last second."""
        return all(node.breaker.closed for node in self._nodes.all())

    async def get(self, user_id: str) -> bytes | None:
        """Return a listener's blob, ``None`` for a stranger.

        Raises
        ------
        StoreUnavailable
            Redis did not answer, now or within the last second.
        """
        node = self._nodes.of(partition_of(user_id, self._keys.partitions))
        self._check(node)
        began = time.perf_counter()
        try:
            found: bytes | None = await self._redis.get(self._keys.listener(user_id))  # type: ignore[assignment]  # not decoded
        except UNAVAILABLE as error:
            raise self._failed(node, error, began) from None
        self.on_read(time.perf_counter() - began, False)
        return found

    async def get_many(self, user_ids: Sequence[str]) -> list[bytes | None]:
        """Return the blobs of listeners, in their order; raises as :meth:`get`.

        A blob is :data:`LOST` if the store has lost its data, or if its node of a Cluster does not
        answer while others do.
        """
        groups: dict[int, list[int]] = {}
        for at, user_id in enumerate(user_ids):
            groups.setdefault(partition_of(user_id, self._keys.partitions), []).append(at)
        found: list[bytes | None] = [LOST] * len(user_ids)
        by_node: dict[Node | None, list[int]] = {}
        for partition in groups:
            by_node.setdefault(self._nodes.of(partition), []).append(partition)
        reads = [
            self._read(node, {p: groups[p] for p in partitions}, user_ids, found)
            for node, partitions in by_node.items()
        ]
        if len(reads) == 1:
            await reads[0]
            return found
        answers = await asyncio.gather(*reads, return_exceptions=True)
        wrong = [answer for answer in answers if answer is not None]
        for answer in wrong:
            if not isinstance(answer, StoreUnavailable) or len(wrong) == len(answers):
                raise answer
        return found

    async def _read(
        self,
        node: Node | None,
        groups: dict[int, list[int]],
        user_ids: Sequence[str],
        found: list[bytes | None],
    ) -> None:
        """Fill in what one node holds of some partitions; raises as :meth:`get`."""
        self._check(node)
        keys = {
            partition: [
                self._keys.complete(partition),
                *(self._keys.listener(user_ids[at]) for at in group),
            ]
            for partition, group in groups.items()
        }
        began = time.perf_counter()
        try:
            async with asyncio.timeout(READ_SECONDS):
                if node is None:  # this process has not learned yet which node holds the slot
                    answers: list[Any] = await self._redirected(list(keys.values()))
                else:
                    request = b"".join(
                        hiredis.pack_command(("MGET", *names))  # type: ignore[arg-type]  # of any length
                        for names in keys.values()
                    )
                    answers = await node.ask(request, len(keys))
                elsewhere = [
                    names
                    for names, answer in zip(keys.values(), answers, strict=True)
                    if isinstance(answer, ResponseError)
                ]
                instead = iter(await self._redirected(elsewhere) if elsewhere else ())
        except UNAVAILABLE as error:
            self._nodes.look_again()
            raise self._failed(node, error, began) from None
        for group, answer in zip(groups.values(), answers, strict=True):
            complete, *values = next(instead) if isinstance(answer, ResponseError) else answer
            for at, value in zip(group, values, strict=True):
                found[at] = LOST if complete is None else value
        self.share.note(failed=False)
        self.on_read(time.perf_counter() - began, False)

    async def _redirected(self, groups: list[list[str]]) -> list[list[bytes | None]]:
        """Read keys whose slot is on another node than we knew, or is being moved to one.

        The client of the Cluster follows each redirection; next time the node is known.
        """
        self._nodes.look_again()
        return [list(await asyncio.gather(*map(self._redis.get, names))) for names in groups]  # type: ignore[arg-type]  # not decoded

    async def close(self) -> None:
        """Let go of the connections."""
        await self._nodes.close()

    def _check(self, node: Node | None) -> None:
        if node is not None and not node.breaker.closed:
            self.share.note(failed=True)
            raise StoreUnavailable("the feature store did not answer a moment ago")

    def _failed(self, node: Node | None, error: Exception, began: float) -> StoreUnavailable:
        self.on_read(time.perf_counter() - began, True)
        if node is None or node.breaker.closed:
            log.warning("feature store: %s", type(error).__name__)
        if node is not None:
            node.breaker.failed()
        self.share.note(failed=True)
        return StoreUnavailable("the feature store is down")
