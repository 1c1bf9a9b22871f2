"""Heartbeats: each worker writes its state and offsets as JSON to the Redis hash ``workers``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import msgspec

from contracts.workers import BY_NAME

log = logging.getLogger(__name__)

#: A worker without a heartbeat for this long (seconds) counts as dead.
STALE_AFTER = 10.0
#: State of a worker whose loop has been blocked for :data:`STUCK_AFTER` seconds.
STUCK = "stuck"
STUCK_AFTER = 30.0
#: State of a process that has ended in order: it writes nothing any more.
STOPPED = "stopped"


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
        blocked), ``stopping``, or last :data:`STOPPED`; a process that failed stays ``stopping``.
    offsets
        ``contracts.topics.Topic.place -> next offset``: everything below it is durable.
    partitions
        Partitions of ``plays`` that this process reads, if the processes of its worker share them.
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
    partitions: list[int] = []
    counters: dict[str, float] = {}
    detail: str = ""

    def is_fresh(self, now_ms: int) -> bool:
        """Whether the heartbeat is at most :data:`STALE_AFTER` seconds old."""
        return now_ms - self.at <= STALE_AFTER * 1000

    def is_live(self, now_ms: int) -> bool:
        """Whether the process has reported lately and has not stopped in order."""
        return self.is_fresh(now_ms) and self.state != STOPPED


def in_model(place: str) -> str:
    """Return the key of the offset that all files of the model have applied."""
    return f"{place}:model"


_DECODER = msgspec.json.Decoder(Heartbeat)


def encode(beat: Heartbeat) -> bytes:
    """Return the bytes to store."""
    return msgspec.json.encode(beat)


def decode(value: bytes) -> Heartbeat:
    """Read stored bytes; raises :class:`msgspec.MsgspecError`."""
    return _DECODER.decode(value)


def read(stored: Mapping[bytes, bytes]) -> dict[str, Heartbeat]:
    """Read the hash ``workers``: worker, with its host if there is one -> heartbeat.

    A value that is no heartbeat, such as one of a later version, is logged and left out, so that
    the caller still gets the heartbeats of the other workers.
    """
    found = {}
    for name, value in stored.items():
        who = name.decode(errors="replace")
        try:
            found[who] = decode(value)
        except msgspec.MsgspecError as error:
            log.warning("ignored the heartbeat of %s, which cannot be decoded: %s", who, error)
    return found


def of_workers(beats: Iterable[Heartbeat], now_ms: int) -> dict[str, Heartbeat]:
    """Return one report for each worker, made of the reports of all its processes.

    A process that has stopped, or has no fresh heartbeat, is ignored while another process of the
    worker runs: its host may have been removed. If processes share the partitions of a topic,
    the highest offset of each partition counts. Each learner reads the whole log, so for learners
    the lowest offset counts. State and detail are those of a process whose state is not
    ``running``, if there is one; all other fields are those of the newest heartbeat.

    Parameters
    ----------
    now_ms
        Milliseconds since the epoch, UTC.

    Examples
    --------
    Two hosts share the partitions of ``plays``, and one of them waits:

    >>> one = Heartbeat(name="lake-sink@a", pid=1, at=1, state="waiting", offsets={"plays:0": 4})
    >>> two = Heartbeat(name="lake-sink@b", pid=1, at=2, state="running", offsets={"plays:1": 9})
    >>> whole = of_workers([one, two], now_ms=2)["lake-sink"]
    >>> whole.state, sorted(whole.offsets.items())
    ('waiting', [('plays:0', 4), ('plays:1', 9)])
    """
    processes: dict[str, list[Heartbeat]] = {}
    for beat in sorted(beats, key=lambda beat: beat.at):
        processes.setdefault(beat.name.partition("@")[0], []).append(beat)
    return {name: _together(name, found, now_ms) for name, found in processes.items()}


def _together(name: str, found: list[Heartbeat], now_ms: int) -> Heartbeat:
    fresh = [beat for beat in found if beat.is_fresh(now_ms)] or found[-1:]
    fresh = [beat for beat in fresh if beat.state != STOPPED] or fresh
    newest = fresh[-1]
    if len(fresh) == 1:
        return newest
    spec = BY_NAME.get(name)
    far = min if spec is not None and spec.every_host else max
    places = {place for beat in fresh for place in beat.offsets}
    ill = next((beat for beat in fresh if beat.state != "running"), newest)
    return msgspec.structs.replace(
        newest,
        offsets={p: far(beat.offsets[p] for beat in fresh if p in beat.offsets) for p in places},
        state=ill.state,
        detail=ill.detail,
    )
