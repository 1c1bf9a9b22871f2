"""The Flink jobs: cost of a play, time to a result, growth of state; beside a plain consumer.

The whole has an end: what no longer fits into its minutes is named and not measured.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import SegueError
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.environment import VENV
from infra.flink.process import HEAP
from infra.flink.rest import Rest
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import free_ports
from streams.flink.options import JOBS
from tests.benchmarks import flink_state
from tests.benchmarks.cpu import Watched
from tests.conftest import ROOT
from tests.streams.flink import kit, live_log

ALL = "all"
#: What is measured: cost of each job, time from a play to its result, growth of state.
PARTS = ("jobs", "latency", "state")
#: Seconds that a measurement needs at least, by its part; a start alone takes a third of it.
_NEEDS = {"jobs": 45.0, "latency": 60.0, "state": 60.0}
#: Where Python runs: in a process beside Java or as a thread within it.
MODES = ("process", "thread")


def run(
    *,
    plays: int = 50_000,
    jobs: str = "",
    parallelism: str = "1,2",
    parts: str = ",".join(PARTS),
    listeners: str = "1000,10000,100000",
    mode: str = MODES[0],
    minutes: float = 9.0,
) -> dict[str, Any]:
    """Return the cost of a play beside a plain consumer, time to a result, size of state.

    Parameters
    ----------
    plays
        Of the log that the jobs read to its end.
    jobs, parallelism, parts, listeners
        Words or numbers separated by commas; no jobs: all in one, then each of them.
    mode
        One of :data:`MODES`, for the cost of the jobs.
    minutes
        After which nothing more is begun, and what runs is cut short.
    """
    began = time.monotonic()
    ends = began + 60 * minutes
    measured: dict[str, Any] = {"plays": plays, "mode": mode}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        broker = ApacheKafka(home, *free_ports(2))
        broker.start()
        try:
            names = jobs.split(",") if jobs else [ALL, *JOBS]
            subtasks = [int(number) for number in parallelism.split(",")]
            sizes = [int(number) for number in listeners.split(",")]
            log, deliveries = _log(broker.address, home, plays)
            measured["floor"] = _floor(log, deliveries)
            for part, name, measure in _measures(log, deliveries, names, subtasks, sizes, mode):
                if part in parts.split(","):
                    found = _kept(measure, ends, _NEEDS[part])
                    print(name, json.dumps(found), file=sys.stderr, flush=True)
                    measured[name] = found
            return {**measured, "took_s": round(time.monotonic() - began)}
        finally:
            broker.stop()


def _measures(
    log: Settings, deliveries: int, names: list[str], subtasks: list[int], sizes: list[int],
    mode: str,
) -> Iterator[tuple[str, str, Callable[[float], dict[str, Any]]]]:  # fmt: skip
    """Yield part, name and function of each measurement, the most important ones first."""

    def job(name: str, number: int) -> tuple[str, str, Callable[[float], dict[str, Any]]]:
        return (
            "jobs",
            f"{name}, parallelism {number}",
            partial(_job, log, deliveries, name, number, mode),
        )

    first, *others = names
    for number in subtasks:
        yield job(first, number)
    yield "latency", "latency", lambda patience: flink_state.latency(log.kafka, log.home)
    for size in sizes:
        yield (
            "state",
            f"state of {size} listeners",
            partial(flink_state.growth, log.kafka, log.home, size),
        )
    for name in others:
        for number in subtasks:
            yield job(name, number)


def _kept(measure: Callable[[float], dict[str, Any]], ends: float, needs: float) -> dict[str, Any]:
    """Measure; a failure is part of the answer, so that what was measured before is not lost."""
    began = time.monotonic()
    left = ends - began
    if left < needs:
        return {"cut": f"not measured: {max(0, left):.0f} s were left, it needs {needs:.0f}"}
    try:
        found = measure(left)
    except (AssertionError, RuntimeError, SegueError) as error:
        found = {"failed": str(error)[-500:]}
    return {**found, "took_s": round(time.monotonic() - began)}


def _log(kafka: str, home: Path, plays: int) -> tuple[Settings, int]:
    """Write a log; return its settings and how many plays were delivered."""
    settings = replace(Settings(), kafka=kafka, namespace="full", home=home)
    topics = Topics(settings.namespace)
    ensure_topics(settings, topics.configs(flink=True))
    live_log.make(live_log.synthetic(plays)).write(kafka, topics.plays, settings.partitions)
    delivered = sum(
        len(json.loads(value).get("plays", ()))
        for *_, value in kit.messages(kafka, topics.plays)
        if value.startswith(b'{"user_id":"')
    )
    return settings, delivered


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


def _job(
    settings: Settings, plays: int, job: str, parallelism: int, mode: str, patience: float
) -> dict[str, Any]:
    """Read the log to its end; what is spent until every task runs is the start.

    Java compiles as production does, so a short log costs more a play than a long one.
    """
    (port,) = free_ports(1)
    words = ["--bounded", "--bound", "3600", "--parallelism", str(parallelism)]
    words += ["--set", f"taskmanager.memory.managed.size={256 * parallelism}m"]
    words += ["--set", f"rest.port={port}", "--set", f"rest.bind-port={port}"]
    words += _thread() if mode == "thread" else []
    words += [] if job == ALL else ["--jobs", job]
    log = settings.home / f"{job}-{parallelism}.log"
    process = kit.start(settings, log, *words, jvm=HEAP)
    watched = Watched(process.pid)
    ends = time.monotonic() + patience
    try:
        start = _until_it_runs(Rest(f"http://127.0.0.1:{port}"), process.poll, watched)
        while process.poll() is None:
            watched.look()
            if time.monotonic() > ends:
                return {"cut": "the minutes were over before the end of the log"}
            time.sleep(0.1)
    finally:
        kit.end(process)
    if process.returncode:
        raise RuntimeError(log.read_text(errors="replace")[-2000:])
    cpu, seconds = watched.cpu - start[0], watched.seconds - start[1]
    return {
        "start_cpu_s": round(start[0], 1),
        "start_s": round(start[1], 1),
        "us_a_play": round(1e6 * cpu / plays),
        "plays_per_cpu_s": round(plays / cpu),
        "plays_per_s": round(plays / seconds),
        "memory_mb": watched.memory // 2**20,
    }


def _until_it_runs(
    rest: Rest, ended: Callable[[], int | None], watched: Watched
) -> tuple[float, float]:
    """Return processor seconds and seconds until every task runs."""
    while ended() is None:
        watched.look()
        try:
            if rest.job().well:
                break
        except SegueError:  # it does not listen yet
            pass
        time.sleep(0.1)
    return watched.cpu, watched.seconds


def _thread() -> list[str]:
    """Return settings for Python as a thread: its interpreter does not know the environment."""
    (packages,) = VENV.glob("lib/python*/site-packages")
    return [
        "--set", "python.execution-mode=thread",
        "--set", f"python.pythonpath={packages},{ROOT}",
    ]  # fmt: skip
