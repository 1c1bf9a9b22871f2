"""How far each worker is behind the log, by topic and partition; unknown is not zero."""

from __future__ import annotations

import asyncio
import time

import msgspec

from api.services import Services
from contracts.errors import BrokerUnavailable
from contracts.kafka import end_offsets
from contracts.workers import WORKERS

#: How long the ends of the topics are believed (seconds): finding them costs a read of each.
_GOOD_FOR = 2.0


class PartitionLag(msgspec.Struct):
    """``lag`` is in messages; ``None``: nobody knows, and ``why`` says why."""

    topic: str
    partition: int
    position: int | None
    end: int | None
    lag: int | None
    why: str = ""


class Ends:
    """The ends of the topics, looked up at most every two seconds."""

    def __init__(self) -> None:
        self._at = 0.0
        self._found: dict[str, list[int]] = {}
        self._lock = asyncio.Lock()

    async def of(self, services: Services) -> dict[str, list[int]]:
        """Return ``topic -> end of each partition``; a topic nobody can read is left out."""
        async with self._lock:
            if time.monotonic() - self._at > _GOOD_FOR:
                self._found = await asyncio.to_thread(_look_up, services)
                self._at = time.monotonic()
            return self._found


#: One for the process: /v1/operations and /metrics share what it finds.
ENDS = Ends()


def _look_up(services: Services) -> dict[str, list[int]]:
    settings = services.settings
    found: dict[str, list[int]] = {}
    kinds = {kind for spec in WORKERS if not spec.optional for kind in spec.reads}
    for topic in sorted(services.topics.of(kind) for kind in kinds):
        try:
            found[topic] = end_offsets(settings, topic)
        except BrokerUnavailable:
            break  # the others would wait as long for the same answer
    return found


def lags(services: Services, worker: str, ends: dict[str, list[int]]) -> list[PartitionLag]:
    """Return the lag of a worker at every partition it reads."""
    spec = next(spec for spec in WORKERS if spec.name == worker)
    beat = services.workers.beats.get(worker)
    fresh = beat is not None and beat.is_fresh(int(time.time() * 1000))
    rows = []
    for topic in spec.topics(services.topics):
        for partition in range(services.settings.partitions):
            known = ends.get(topic)
            end = known[partition] if known else None
            position = beat.offsets.get(topic.place(partition)) if beat is not None else None
            why = ""
            if not fresh:
                why = "the worker does not report"
            elif position is None:
                why = "the worker has not said where it is"
            elif end is None:
                why = "the broker does not answer"
            lag = None
            if not why and end is not None and position is not None:
                end = max(end, position)  # ends are looked up less often than heartbeats arrive
                lag = end - position
            rows.append(PartitionLag(str(topic), partition, position, end, lag, why))
    return rows
