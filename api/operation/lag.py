"""How far each worker is behind the log, by topic and partition; unknown is not zero."""

from __future__ import annotations

import time

import msgspec

from api.services import Services
from contracts.workers import WORKERS


class PartitionLag(msgspec.Struct):
    """``lag`` is in messages; ``None`` if it is unknown, with the reason in ``why``.

    ``lag_seconds``: how long the next message has waited, as far as this process knows.
    """

    topic: str
    partition: int
    position: int | None
    end: int | None
    lag: int | None
    why: str = ""
    lag_seconds: float | None = None


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
                why = "the worker has not reported its offset"
            elif end is None:
                why = "the broker did not report the end of the topic in time"
            lag = seconds = None
            if not why and end is not None and position is not None:
                end = max(end, position)  # ends are looked up less often than heartbeats arrive
                lag = end - position
                seconds = services.ends.seconds_behind(topic, partition, position)
            rows.append(PartitionLag(str(topic), partition, position, end, lag, why, seconds))
    return rows
