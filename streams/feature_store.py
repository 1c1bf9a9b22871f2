"""The feature store's writer: one script call applies a batch and advances the fence.

A fence is the last offset that the store has applied, for one log and partition. The script skips
messages at or below it, so redelivery is harmless. It refuses a batch that starts beyond it: so the
worker notices a store that lost data (a restart from an older file, a flush), and folds it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.exceptions import (
    ClusterDownError,
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.events import Feedback, Submission
from contracts.features import WINDOW, Keys
from contracts.redis_client import UNAVAILABLE, trouble
from streams.decode import Batch
from streams.errors import PositionLost
from streams.fold import MAX_HIDDEN, pack_feedback, pack_plays

# Answers that pass: fail-over, a full server, a disk it cannot write, a script that still runs. The
# client knows some by class and takes their code off the text; the text of others begins with it.
_PASSING = (ClusterDownError, OutOfMemoryError, ReadOnlyError, TryAgainError)
_PASSING_CODES = ("BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE")


class Script:
    """A Lua script that is sent once and called by its digest."""

    def __init__(self, name: str) -> None:
        self.source = (Path(__file__).parent / name).read_bytes()
        self.digest = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()

    async def __call__(
        self, client: redis.Redis, keys: list[str], arguments: list[bytes | str | int]
    ) -> Any:
        try:
            return await client.evalsha(self.digest, len(keys), *keys, *arguments)  # type: ignore[arg-type,misc,unused-ignore]
        except NoScriptError:
            return await client.eval(self.source, len(keys), *keys, *arguments)  # type: ignore[arg-type,misc,unused-ignore]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch did: ``plays = kept + duplicate + late``; all 0 when it was applied before."""

    plays: int = 0
    kept: int = 0
    duplicate: int = 0
    late: int = 0


class FeatureStore:
    """Applies batches of one namespace.

    Parameters
    ----------
    client
        Asynchronous Redis client that returns bytes.
    keys
        Names of the keys.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self._plays = Script("fold.lua")
        self._feedback = Script("feedback.lua")

    async def state(self, log_ids: Sequence[str]) -> tuple[list[dict[int, int]], bool]:
        """Read the fences of some logs, and whether the store is complete, in one round trip.

        Returns
        -------
        tuple[list[dict[int, int]], bool]
            For each log: partition -> next offset to apply; and whether every partition is marked
            as complete.

        Raises
        ------
        StoreUnavailable
            Redis does not answer.
        """
        partitions = range(self.keys.partitions)
        try:
            async with self.client.pipeline(transaction=False) as pipe:
                for p in partitions:
                    pipe.hmget(self.keys.fence(p), list(log_ids))  # type: ignore[unused-ignore]
                    pipe.get(self.keys.complete(p))
                found = await pipe.execute()
        except UNAVAILABLE as error:
            raise trouble(error) from None
        fences = found[::2]
        positions = [
            {p: 0 if fences[p][n] is None else int(fences[p][n]) + 1 for p in partitions}
            for n in range(len(log_ids))
        ]
        return positions, None not in found[1::2]

    async def positions(self, log_id: str) -> dict[int, int]:
        """Return ``partition -> next offset to apply`` of one log; raises as :meth:`state`."""
        (found,), _ = await self.state([log_id])
        return found

    async def mark_complete(self) -> None:
        """Mark every partition as complete; raises as :meth:`state`."""
        try:
            for p in range(self.keys.partitions):
                await self.client.set(self.keys.complete(p), b"1")
        except UNAVAILABLE as error:
            raise trouble(error) from None

    async def apply_plays(self, log_id: str, batch: Batch[Submission]) -> Applied:
        """Fold a batch of plays into the blobs of its listeners.

        Raises
        ------
        StoreUnavailable
            Redis does not answer; nothing is lost by trying again.
        PositionLost
            The store's fence is before the batch: it lost data; fold again from its fence.
        IncompatibleState
            A blob is of another layout.
        """
        while batch.first <= batch.last:
            packed = pack_plays(message for _, message in batch.messages)
            result = await self._call(
                self._plays,
                log_id,
                batch,
                [packed.plays, packed.repeated, WINDOW],
                packed.runs,
            )
            if len(result) > 1:
                return Applied(packed.plays, *result[1:])
            batch = batch.after(result[0])
        return Applied()

    async def apply_feedback(self, log_id: str, batch: Batch[Feedback]) -> int:
        """Fold a batch of feedback; returns how many messages took effect. Raises as above."""
        while batch.first <= batch.last:
            operations = pack_feedback(message for _, message in batch.messages)
            count = len(batch.messages)
            result = await self._call(
                self._feedback, log_id, batch, [count, MAX_HIDDEN], operations
            )
            if len(result) > 1:
                return count
            batch = batch.after(result[0])
        return 0

    async def _call(
        self,
        script: Script,
        log_id: str,
        batch: Batch[Any],
        arguments: list[int],
        runs: dict[str, bytes],
    ) -> list[int]:
        p = batch.partition
        keys = [self.keys.fence(p), self.keys.counts(p), *map(self.keys.listener, runs)]
        head: list[bytes | str | int] = [log_id, batch.start, batch.first, batch.last]
        try:
            result: list[int] = await script(self.client, keys, [*head, *arguments, *runs.values()])
        except MovedError as error:
            raise trouble(error) from None
        except ResponseError as error:
            if isinstance(error, _PASSING) or str(error).startswith(_PASSING_CODES):
                raise StoreUnavailable(f"Redis: {error}") from None
            raise IncompatibleState(f"Redis refused a batch of partition {p}: {error}") from None
        except UNAVAILABLE as error:
            raise trouble(error) from None
        if result[0] + 1 < batch.start:
            raise PositionLost(
                f"the feature store has applied partition {p} up to offset {result[0]}, and the "
                f"next batch starts at {batch.start}: it lost data; it is folded again from there"
            )
        return result
