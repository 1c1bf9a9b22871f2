"""How a worker says that it lives and how far it is: one JSON value in the ``workers`` hash."""

from __future__ import annotations

import msgspec

#: A worker that has not reported for this long (seconds) counts as gone.
STALE_AFTER = 10.0
#: State of a worker whose loop has not turned for :data:`STUCK_AFTER` seconds.
STUCK = "stuck"
STUCK_AFTER = 30.0


class Heartbeat(msgspec.Struct, kw_only=True):
    """State of one worker process.

    Attributes
    ----------
    name
        As in :mod:`contracts.workers`; with ``@host`` where several hosts run one each.
    at
        Milliseconds since the epoch, UTC.
    state
        ``starting``, ``running``, ``waiting`` (a dependency is down), ``stuck`` (its loop stands
        still) or ``stopping``.
    offsets
        ``contracts.topics.Topic.place -> next offset``: everything before it is durable.
    counters
        Monotone counts since the start of the process, and gauges, by name.
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
        """Whether the worker reported lately."""
        return now_ms - self.at <= STALE_AFTER * 1000


def in_model(place: str) -> str:
    """Return the key of the offset up to which every file of the model has applied a topic."""
    return f"{place}:model"


_DECODER = msgspec.json.Decoder(Heartbeat)


def encode(beat: Heartbeat) -> bytes:
    """Return the bytes to store."""
    return msgspec.json.encode(beat)


def decode(value: bytes) -> Heartbeat:
    """Read stored bytes."""
    return _DECODER.decode(value)
