"""The jobs over an unbounded log, as `segue up --flink` runs them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx

from contracts.errors import StoreUnavailable
from contracts.ids import partition_of
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.flink.process import arguments
from infra.flink.rest import Job, Rest
from infra.stack.ports import free_ports
from tests.conftest import ROOT
from tests.streams.flink import kit, live_log, oracle

#: Seconds after which a play is late, in tests.
BOUND = 3600


def fresh(kafka: str, name: str, log: live_log.LiveLog, home: Path) -> Settings:
    """Make the topics of a namespace of its own and write the log."""
    settings = replace(Settings(), kafka=kafka, namespace=name, home=home)
    topics = Topics(name)
    ensure_topics(settings, topics.configs(flink=True))
    log.write(settings.kafka, topics.plays, 4)
    return settings


def database(settings: Settings, erased: dict[str, int]) -> duckdb.DuckDBPyConnection:
    found = kit.messages(settings.kafka, Topics(settings.namespace).plays)
    return oracle.load([(p, o, v) for p, o, _, v in found], bound=BOUND, erased=erased)


def play_on(settings: Settings, name: str, at: int, plays: int) -> None:
    """Write plays of one listener a partition, five minutes apart, received as they are played."""
    users: dict[int, str] = {}
    for number in range(200):
        users.setdefault(partition_of(f"{name}-{number}", 4), f"{name}-{number}")
    more = live_log.LiveLog()
    for user in users.values():
        for number in range(plays):
            now = at + 5 * live_log.MINUTE * number
            play = live_log.play(user, name, f"song {number}", now, now)
            more.messages.append((now, user, live_log.message(user, [play])))
    more.write(settings.kafka, Topics(settings.namespace).plays, 4)


def close_windows(settings: Settings, log: live_log.LiveLog) -> int:
    """Write plays ten days after the log, so that all windows before close; return when."""
    at = log.messages[-1][0] + 10 * live_log.DAY
    play_on(settings, "tail", at, 1)
    return at


class Unbounded:
    """The jobs as `segue up --flink` runs them, over a log that was written before."""

    def __init__(self, settings: Settings, written: live_log.LiveLog, jobs: str) -> None:
        self.settings = settings
        self.written = written
        self.jobs = jobs
        (self.port,) = free_ports(1)
        self.rest = Rest(f"http://127.0.0.1:{self.port}")
        self.log = settings.home / "job.log"
        self.process: Any = None

    def start(self, *more: str, source: Path = ROOT, jvm: str = kit.LIGHT) -> None:
        told = arguments(self.settings, rest=self.port, every=2)
        self.process = kit.start(
            self.settings,
            self.log,
            "--jobs",
            self.jobs,
            "--bound",
            str(BOUND),
            "--idle",
            "600",
            *told,
            "--set",
            "metrics.fetcher.update-interval=1000",
            *more,
            source=source,
            jvm=jvm,
        )

    def job(self) -> Job | None:
        try:
            return self.rest.job()
        except StoreUnavailable:
            return None

    def wait(self, until: Callable[[Job], bool], what: str, patience: float = 400) -> Job:
        """Return the job once a condition holds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            job = self.job()
            if job is not None and until(job):
                return job
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
            time.sleep(0.3)
        raise AssertionError(f"no {what}; {self.log.read_text(errors='replace')[-2000:]}")

    def wait_published(self, job: str, wanted: oracle.Rows, patience: float = 400) -> oracle.Rows:
        deadline = time.monotonic() + patience
        while True:
            found = kit.as_rows(job, list(kit.published(self.settings, job).values()))
            if not wanted - found or time.monotonic() > deadline:
                return found
            time.sleep(1)

    def wait_many(self, job: str, rows: int, patience: float = 300, every: float = 1.0) -> None:
        """Wait until so many rows are published."""
        deadline = time.monotonic() + patience
        while len(kit.published(self.settings, job)) < rows:
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-2000:]
            time.sleep(every)

    def plays_read(self) -> int:
        """Return how many records the busiest task has sent; Flink counts again every second.

        At least one for each play that was read since the start.
        """
        job = self.rest.job()
        answer = httpx.get(f"{self.rest.address}/jobs/{job.id}", timeout=20).json()
        return int(max(vertex["metrics"]["write-records"] for vertex in answer["vertices"]))

    def kill(self) -> None:
        kit.end(self.process)
