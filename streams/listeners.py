"""The listeners worker: folds plays and feedback into the Redis feature store.

One script call per batch of one partition applies it and advances the fence beside it, so a
listener's blob is always a fold of a prefix of the log, whoever is killed and whenever. Any number
of these workers share the partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import islice

from faust.types import TP

from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.features import Keys
from contracts.kafka import end_offsets
from contracts.listener_events import ListenerEvent, encode, of_feedback, of_plays
from contracts.redis_client import UNAVAILABLE, async_client
from contracts.settings import Settings
from contracts.workers import LISTENERS
from streams.dead_letters import DeadLetters
from streams.decode import Record, Rejected
from streams.errors import PositionLost
from streams.feature_store import FeatureStore
from streams.follow import follow
from streams.worker import Worker, run_worker

#: A script call blocks the server for every reader; so many bytes of messages take it about 5 ms.
_MOST_BYTES = 1024 * 1024


class ListenersFold:
    """The feature store as a fold of ``plays`` and ``feedback`` (see streams.follow.Fold).

    Parameters
    ----------
    log_ids
        ``topic -> log id``.
    """

    def __init__(self, worker: Worker, log_ids: dict[str, str]) -> None:
        settings = worker.settings
        self.topics = [worker.topics.plays, worker.topics.feedback]
        self._status = worker.status
        self._decoder = worker.decoder
        self._log_ids: dict[str, str] = {topic: log_ids[topic] for topic in self.topics}
        self._client = async_client(
            settings.redis_url, socket_timeout=10.0, socket_connect_timeout=2.0
        )
        keys = Keys(settings.namespace, settings.partitions)
        self._store = FeatureStore(self._client, keys)
        self._channel = keys.events
        self._letters = DeadLetters(settings, worker.name)
        self._settings = settings
        self._applied: dict[TP, int] = {}
        self._ends: list[int] | None = None

    async def positions(self) -> dict[TP, int]:
        """Return the next offset of every partition, from the fences."""
        return (await self._state())[0]

    async def _state(self) -> tuple[dict[TP, int], bool]:
        """Return the next offset of every partition, and whether the store is complete."""
        positions, complete = await self._store.state(list(self._log_ids.values()))
        found = {
            TP(topic, partition): offset
            for topic, of_log in zip(self._log_ids, positions, strict=True)
            for partition, offset in of_log.items()
        }
        self._note(found)
        return found, complete

    def _note(self, offsets: dict[TP, int]) -> None:
        for tp, offset in offsets.items():
            # A fence read while a batch was in flight may lie behind that batch.
            self._applied[tp] = max(offset, self._applied.get(tp, 0))
            self._status.offsets[f"{tp.topic}:{tp.partition}"] = self._applied[tp]

    async def apply(self, tp: TP, start: int, records: list[Record]) -> None:
        """Apply a run of messages in pieces that do not block the server for long."""
        for piece in pieces(records, _MOST_BYTES):
            if tp.topic == self.topics[0]:
                await self._apply_plays(tp, start, piece)
            else:
                await self._apply_feedback(tp, start, piece)
            start = piece[-1].offset + 1
            self._note({tp: start})

    async def _apply_plays(self, tp: TP, start: int, records: list[Record]) -> None:
        batch = self._decoder.plays(records, partition=tp.partition, start=start)
        await self._refuse(tp, batch.rejected)
        done = await self._store.apply_plays(self._log_ids[tp.topic], batch)
        self._status.add(
            messages=len(records),
            batches=1,
            plays=done.plays,
            kept=done.kept,
            duplicate=done.duplicate,
            late=done.late,
        )
        if done.plays:
            await self._publish(of_plays(message for _, message in batch.messages))

    async def _apply_feedback(self, tp: TP, start: int, records: list[Record]) -> None:
        batch = self._decoder.feedback(records, partition=tp.partition, start=start)
        await self._refuse(tp, batch.rejected)
        done = await self._store.apply_feedback(self._log_ids[tp.topic], batch)
        self._status.add(messages=len(records), feedback=done)
        if done:
            await self._publish(of_feedback(message for _, message in batch.messages))

    async def _publish(self, events: list[ListenerEvent]) -> None:
        """Publish events to open pages; a listener without one costs nothing further."""
        if events:
            with contextlib.suppress(*UNAVAILABLE):  # the next event, or a reload, mends it
                await self._client.publish(self._channel, encode(events))

    async def _refuse(self, tp: TP, rejected: list[Rejected]) -> None:
        if rejected:
            count = await asyncio.to_thread(self._letters.send, tp.topic, tp.partition, rejected)
            self._status.add(dead_letters=count)

    def durable(self) -> dict[TP, int]:
        """Return the next offset of every partition: the store is durable by itself."""
        return self._applied

    async def tick(self) -> None:
        """Compare with the fences: other workers move theirs on, a store that lost data back.

        Raises
        ------
        PositionLost
            The store's fence is before what was applied.
        """
        before = dict(self._applied)
        with contextlib.suppress(StoreUnavailable):
            found, complete = await self._state()
            for tp, offset in found.items():
                if offset < before.get(tp, 0):
                    raise PositionLost(f"the feature store fell back to {offset} of {tp}")
            await self._complete(found, complete)

    async def _complete(self, fences: dict[TP, int], complete: bool) -> None:
        """Mark a store that holds the log as it was when this worker first looked.

        Until then lists are degraded: a listener without a blob may be no stranger.
        """
        if complete:
            self._status.goes_on("features")
            return
        self._status.waits("features", "the log is folded into the feature store")
        plays = self.topics[0]
        if self._ends is None:
            with contextlib.suppress(BrokerUnavailable):  # asked again at the next tick
                self._ends = await asyncio.to_thread(end_offsets, self._settings, plays)
        if self._ends is not None and all(
            fences[TP(plays, p)] >= end for p, end in enumerate(self._ends)
        ):
            await self._store.mark_complete()
            self._status.goes_on("features")

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def pieces(records: list[Record], most_bytes: int) -> Iterator[list[Record]]:
    """Cut a run of messages where its values add up to ``most_bytes``."""
    rest = iter(records)
    while piece := list(islice(rest, 1)):
        size = len(piece[0].value or b"")
        while size < most_bytes and (more := next(rest, None)) is not None:
            piece.append(more)
            size += len(more.value or b"")
        yield piece


def body(worker: Worker) -> None:
    """Follow ``plays`` and ``feedback`` until the worker has to stop."""
    log_ids = worker.find_logs()
    group = f"{worker.settings.namespace}.listeners"
    follow(worker, lambda: ListenersFold(worker, log_ids), group, log_ids)


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, LISTENERS.name, body)
