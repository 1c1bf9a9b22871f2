"""Time from a play to its result, and how state grows with the number of listeners."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.ids import partition_of
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
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
#: Checkpoints of the same size, two seconds apart: everything is read.
_SAME = 4
_PATIENCE = 200
_ROCKSDB = (
    "--set", "state.backend.type=rocksdb",
    "--set", "taskmanager.memory.managed.size=512m",
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


def growth(kafka: str, home: Path, listeners: int) -> dict[str, Any]:
    """Measure checkpoint and memory of all jobs while windows of so many listeners are open.

    State lies in RocksDB: on the heap 100,000 listeners need more than the Java machine has here.
    """
    run = _unbounded(kafka, home, f"state-{listeners}", "trending,sessions,uniques,suspects,late")
    log = live_log.LiveLog()
    for number in range(listeners):
        user, at = f"listener {number:06}", _START + number % 1000
        plays = [
            live_log.play(
                user, f"artist {(number + k) % 700}", f"song {(7 * number + k) % _TRACKS}",
                at + k * 5 * live_log.MINUTE, at + 10 * live_log.MINUTE,
            )
            for k in range(_PLAYS)
        ]  # fmt: skip
        log.messages.append((at, user, live_log.message(user, plays)))
    log.write(kafka, Topics(run.settings.namespace).plays, run.settings.partitions)
    began = time.monotonic()
    run.start(*_ROCKSDB)
    watched = Watched(run.process.pid)
    try:
        run.wait(lambda job: job.well, "start")
        size, seconds = _settled(run, watched, began)
    finally:
        run.kill()
    return {
        "listeners": listeners,
        "checkpoint_mb": round(size / 2**20, 2),
        "bytes_a_listener": round(size / listeners),
        "memory_mb": watched.memory // 2**20,
        "cpu_s": round(watched.cpu, 1),
        "seconds_with_start": round(seconds, 1),
    }


def _settled(run: Unbounded, watched: Watched, began: float) -> tuple[int, float]:
    """Return the size of a checkpoint after which state grew no more, and when it was made."""
    size, at, same, seconds = 0, 0, 0, 0.0
    while same < _SAME:
        if run.process.poll() is not None or time.monotonic() - began > _PATIENCE:
            raise RuntimeError(run.log.read_text(errors="replace")[-500:])
        watched.look()
        job = run.job()  # none while Flink is too busy to answer
        if job is not None and job.checkpoint_at > at:
            same = same + 1 if job.checkpoint_bytes == size else 0
            seconds = seconds if same else time.monotonic() - began
            size, at = job.checkpoint_bytes, job.checkpoint_at
            if same == _SAME and not run.plays_read():
                same = 0  # it has not begun to read
        time.sleep(0.5)
    return size, seconds


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
