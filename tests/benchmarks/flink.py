"""The Flink jobs: cost of a play, time to a result, growth of state; beside a plain consumer."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.errors import SegueError
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import free_ports
from streams.flink.options import JOBS
from tests.benchmarks import flink_state
from tests.benchmarks.cpu import Watched
from tests.streams.flink import kit, live_log

ALL = "all"
#: What is measured: cost of each job, time from a play to its result, growth of state.
PARTS = ("jobs", "latency", "state")


def run(
    plays: int = 20_000,
    jobs: str = "",
    parallelism: str = "1,2",
    parts: str = ",".join(PARTS),
    listeners: str = "1000,10000,100000",
) -> dict[str, Any]:
    """Measure on an Apache Kafka of its own.

    Parameters
    ----------
    plays
        Of the log that the jobs read to its end.
    jobs, parallelism, parts, listeners
        Words or numbers separated by commas; no jobs: each of them, and all in one.
    """
    chosen = parts.split(",")
    measured: dict[str, Any] = {"plays": plays}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        broker = ApacheKafka(home, *free_ports(2))
        broker.start()
        try:
            if "jobs" in chosen:
                names = jobs.split(",") if jobs else [*JOBS, ALL]
                subtasks = [int(number) for number in parallelism.split(",")]
                measured |= _jobs(broker.address, home, plays, names, subtasks)
            if "latency" in chosen:
                measured["latency"] = _kept(flink_state.latency, broker.address, home)
            if "state" in chosen:
                sizes = [int(number) for number in listeners.split(",")]
                measured["state"] = [
                    _kept(flink_state.growth, broker.address, home, size) for size in sizes
                ]
            return measured
        finally:
            broker.stop()


def _kept(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Measure; a failure is part of the answer, so that what was measured before is not lost."""
    try:
        return measure(*arguments)
    except (AssertionError, RuntimeError, SegueError) as error:
        return {"failed": str(error)[-500:]}


def _jobs(
    kafka: str, home: Path, plays: int, names: list[str], parallelism: list[int]
) -> dict[str, Any]:
    """Measure jobs over the same log.

    What a run costs before its first play (two starts, planning, compiling) is measured with an
    empty log and subtracted.
    """
    empty = _log(kafka, home, "empty", None)
    full = _log(kafka, home, "full", live_log.make(live_log.synthetic(plays)))
    told = sum(
        len(json.loads(value).get("plays", ()))
        for *_, value in kit.messages(kafka, Topics("full").plays)
        if value.startswith(b'{"user_id":"')
    )
    return {
        "deliveries": told,
        "floor": _floor(full, told),
        "jobs": [
            _kept(_job, empty, full, told, name, subtasks)
            for name in names
            for subtasks in parallelism
        ],
    }


def _log(kafka: str, home: Path, name: str, log: live_log.LiveLog | None) -> Settings:
    settings = replace(Settings(), kafka=kafka, namespace=name, home=home)
    topics = Topics(name)
    ensure_topics(settings, topics.configs(flink=True))
    if log is not None:
        log.write(kafka, topics.plays, settings.partitions)
    return settings


def _floor(settings: Settings, plays: int) -> dict[str, Any]:
    """Read the log with a plain consumer that decodes and counts."""
    began, busy = time.perf_counter(), time.process_time()
    counted = 0
    for *_, value in kit.messages(settings.kafka, Topics(settings.namespace).plays):
        try:
            counted += len(json.loads(value)["plays"])
        except (ValueError, KeyError, TypeError):
            continue
    cpu, seconds = time.process_time() - busy, time.perf_counter() - began
    return {"plays_per_s": round(counted / seconds), "us_a_play": round(1e6 * cpu / plays, 1)}


def _job(empty: Settings, full: Settings, plays: int, job: str, parallelism: int) -> dict[str, Any]:
    words = ["--bounded", "--bound", "3600", "--parallelism", str(parallelism)]
    words += ["--set", f"taskmanager.memory.managed.size={256 * parallelism}m"]
    words += [] if job == ALL else ["--jobs", job]
    start, whole = _watched(empty, words), _watched(full, words)
    cpu = max(0.0, whole.cpu - start.cpu)
    seconds = max(0.001, whole.seconds - start.seconds)
    return {
        "job": job,
        "parallelism": parallelism,
        "start_cpu_s": round(start.cpu, 1),
        "us_a_play": round(1e6 * cpu / plays),
        "plays_per_cpu_s": round(plays / cpu) if cpu else None,
        "plays_per_s": round(plays / seconds),
        "seconds": round(whole.seconds, 1),
        "memory_mb": whole.memory // 2**20,
    }


def _watched(settings: Settings, words: list[str]) -> Watched:
    log = settings.home / "job.log"
    process = kit.start(settings, log, *words)
    watched = Watched(process.pid)
    try:
        watched.follow(process)
    finally:
        kit.end(process)
    if process.returncode:
        raise RuntimeError(log.read_text(errors="replace")[-2000:])
    return watched
