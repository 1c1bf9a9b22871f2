"""Heartbeats: each worker writes its state and offsets as JSON to the Redis hash ``workers``."""

from __future__ import annotations

import msgspec

#: A worker without a heartbeat for this long (seconds) counts as dead.
STALE_AFTER = 10.0
#: State of a worker whose loop has been blocked for :data:`STUCK_AFTER` seconds.
STUCK = "stuck"
STUCK_AFTER = 30.0


class Heartbeat(msgspec.Struct, kw_only=True):
    """State of one worker process.

    Attributes
    ----------
    name
        As in :mod:`contracts.workers`; with ``@host`` if each host runs one.
    at
        Milliseconds since the epoch, UTC.
    state
        ``starting``, ``running``, ``waiting`` (a dependency is down), ``stuck`` (its loop is
        blocked) or ``stopping``.
    offsets
        ``contracts.topics.Topic.place -> next offset``: everything below it is durable.
    counters
        Monotone counts since the start of the process, and gauges, by name.

    Examples
    --------
    >>> beat = Heartbeat(name="learner", pid=7, at=1_000, state="running")
    >>> decode(encode(beat)).is_fresh(now_ms=11_000), beat.is_fresh(now_ms=11_001)
    (True, False)
    """

    name: str
    pid: int
    at: int
    state: str
    log_id: str = ""
    offsets: dict[str, int] = {}
    counters: dict[str, float] = {}
    detail: str = ""

    def is_fresh(self, now_ms: int) -> bool:
        """Whether the heartbeat is at most :data:`STALE_AFTER` seconds old."""
        return now_ms - self.at <= STALE_AFTER * 1000


def in_model(place: str) -> str:
    """Return the key of the offset that all files of the model have applied."""
    return f"{place}:model"


_DECODER = msgspec.json.Decoder(Heartbeat)


def encode(beat: Heartbeat) -> bytes:
    """Return the bytes to store."""
    return msgspec.json.encode(beat)


def decode(value: bytes) -> Heartbeat:
    """Read stored bytes."""
    return _DECODER.decode(value)
