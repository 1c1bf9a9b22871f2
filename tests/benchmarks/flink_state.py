"""Time from a play to its result, and how state grows with the number of listeners."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec

from contracts.errors import StoreUnavailable
from contracts.ids import partition_of, track_id
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.process import HEAP
from tests.benchmarks.cpu import Watched
from tests.streams.flink import live_log
from tests.streams.flink.unbounded import Unbounded

_START = 1_700_000_000_000
#: Of each simulated listener: five minutes apart, so that all windows are open.
_PLAYS = 3
_ROUNDS = 8
#: Seconds of pretended time between two rounds: longer than any session.
_APART = 2 * 3_600_000
_TRACKS = 5000
#: Seconds without a new row after which everything is read.
_QUIET = 4.0
#: Seconds before the end at which a checkpoint is taken as it is.
_LAST = 10.0
_ROCKSDB = (
    "--set", "state.backend.type=rocksdb",
    "--set", "taskmanager.memory.managed.size=512m",
    "--parallelism", "2",
)  # fmt: skip


def latency(kafka: str, home: Path) -> dict[str, Any]:
    """Measure seconds from the message that closes a session to the session in its topic.

    To this the rule adds the gap of a session (30 minutes), the bound of late plays and a minute.
    """
    run = _unbounded(kafka, home, "latency", "sessions")
    users = _one_a_partition(run.settings.partitions)
    run.start("--bound", "1")
    try:
        run.wait(lambda job: job.well, "start")
        measured = [_round(run, users, number) for number in range(_ROUNDS)]
    finally:
        run.kill()
    found = sorted(measured[1:])  # the first one waits for the start of Python
    return {"median_s": round(statistics.median(found), 2), "max_s": round(found[-1], 2)}


def _round(run: Unbounded, users: list[str], number: int) -> float:
    """Write plays that end the sessions of the round before; return when the last is out."""
    at = _START + number * _APART
    log = live_log.LiveLog()
    for user in users:
        play = live_log.play(user, "artist", f"song {number}", at, at)
        log.messages.append((at, user, live_log.message(user, [play])))
    began = time.monotonic()
    log.write(run.settings.kafka, Topics(run.settings.namespace).plays, run.settings.partitions)
    if number:
        run.wait_many("sessions", number * len(users), every=0.05)
    return time.monotonic() - began


def growth(kafka: str, home: Path, listeners: int, patience: float) -> dict[str, Any]:
    """Measure checkpoint and memory of all jobs while windows of so many listeners are open.

    State lies in RocksDB: on the heap 100,000 listeners need more than the Java machine has here.

    Parameters
    ----------
    patience
        Seconds after which the newest checkpoint counts, with what was read by then.
    """
    ends = time.monotonic() + patience
    run = _unbounded(kafka, home, f"state-{listeners}", "trending,sessions,uniques,suspects,late")
    _simulated(listeners).write(
        kafka, Topics(run.settings.namespace).plays, run.settings.partitions
    )
    began = time.monotonic()
    run.start(*_ROCKSDB, jvm=HEAP)
    watched = Watched(run.process.pid)
    try:
        run.wait(lambda job: job.well, "start", max(1.0, ends - began))
        started = time.monotonic() - began
        size, cut = _settled(run, watched, ends)
    finally:
        run.kill()
    found = {
        "listeners": listeners,
        "checkpoint_mb": round(size / 2**20, 2),
        "bytes_a_listener": round(size / listeners),
        "memory_mb": watched.memory // 2**20,
        "cpu_s": round(watched.cpu, 1),
        "start_s": round(started, 1),
        "seconds": round(time.monotonic() - began, 1),
    }
    return {**found, "cut": cut, "bytes_a_listener": None} if cut else found


def _simulated(listeners: int) -> live_log.LiveLog:
    """Return a log in which each listener has a few plays in open windows, one message each."""
    log = live_log.LiveLog()
    template = live_log.play("", "", "", _START, _START)
    tracks = [(f"artist {n // 7}", f"song {n}") for n in range(_TRACKS)]
    ids = [track_id(*names) for names in tracks]
    for number in range(listeners):
        user, at = f"listener {number:06}", _START + number % 1000
        plays = []
        for k in range(_PLAYS):
            place = (7 * number + k) % _TRACKS
            artist, title = tracks[place]
            # An id of the right shape: the real one is a hash of names and time, and takes longer.
            identity = f"{number:08x}-0000-4000-8000-{k:012x}"
            plays.append(
                msgspec.structs.replace(
                    template, event_id=identity, track_id=ids[place], artist=artist, title=title,
                    played_at=at + k * 5 * live_log.MINUTE, received_at=at + 10 * live_log.MINUTE,
                )
            )  # fmt: skip
        log.messages.append((at, user, live_log.message(user, plays)))
    return log


def _settled(run: Unbounded, watched: Watched, ends: float) -> tuple[int, str]:
    """Return the size of a checkpoint that began after all was read, and what was cut."""
    read, since = 0, time.time()
    while True:
        if run.process.poll() is not None:
            raise RuntimeError(run.log.read_text(errors="replace")[-500:])
        watched.look()
        with suppress(StoreUnavailable, httpx.HTTPError):  # Flink is too busy to answer
            now = run.plays_read()
            if now != read:
                read, since = now, time.time()
            checkpoint = _checkpoint(run)
            if read and checkpoint and checkpoint["trigger_timestamp"] / 1000 > since + _QUIET:
                return int(checkpoint["state_size"]), ""
            if time.monotonic() > ends - _LAST:
                size = int(checkpoint["state_size"]) if checkpoint else 0
                return size, f"the minutes were over when {read:,} rows had been read"
        if time.monotonic() > ends:
            raise RuntimeError(f"Flink did not answer; {read:,} rows had been read")
        time.sleep(0.5)


def _checkpoint(run: Unbounded) -> dict[str, Any]:
    """Return Flink's newest complete checkpoint; empty: there is none."""
    path = f"{run.rest.address}/jobs/{run.rest.job().id}/checkpoints"
    latest = httpx.get(path, timeout=20).json().get("latest") or {}
    return latest.get("completed") or {}


def _unbounded(kafka: str, home: Path, name: str, jobs: str) -> Unbounded:
    own = Path(tempfile.mkdtemp(prefix=name, dir=home))
    settings = replace(Settings(), kafka=kafka, namespace=name, home=own)
    ensure_topics(settings, Topics(name).configs(flink=True))
    return Unbounded(settings, live_log.LiveLog(), jobs)


def _one_a_partition(partitions: int) -> list[str]:
    users: dict[int, str] = {}
    for number in range(50 * partitions):
        users.setdefault(partition_of(f"listener {number}", partitions), f"listener {number}")
    return list(users.values())
