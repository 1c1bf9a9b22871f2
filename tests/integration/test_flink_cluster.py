"""The jobs on a job manager and a task manager of their own, as `docker-compose.yml` runs them.

What a cluster has and one process has not: a task manager dies alone, and so does the process in
which it runs Python.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.errors import StoreUnavailable
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.server import Server
from tests.streams.flink import kit, live_log, oracle
from tests.streams.flink.layout import Layout
from tests.streams.flink.unbounded import BOUND, close_windows, database

pytestmark = [
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
JOBS = ("sessions", "uniques", "suspects")


@pytest.fixture
def layout(broker: Server, tmp_path: Path) -> Iterator[Layout]:
    kit.needs_flink()
    settings = replace(Settings(), kafka=broker.address, namespace="cluster", home=tmp_path)
    ensure_topics(settings, Topics("cluster").configs(flink=True))
    made = Layout(settings, tmp_path)
    yield made
    made.close()


def checkpoints(layout: Layout) -> dict[str, Any]:
    """Return Flink's statistics of the job's checkpoints; nothing before there is a job."""
    with suppress(StoreUnavailable, httpx.HTTPError, KeyError):
        job = layout.rest.job()
        found: dict[str, Any] = httpx.get(
            f"{layout.rest.address}/jobs/{job.id}/checkpoints", timeout=10
        ).json()
        return found if job.well and found["latest"] else {}
    return {}


def wait(layout: Layout, until: Callable[[dict[str, Any]], bool], what: str) -> None:
    deadline = time.monotonic() + 300
    while not until(checkpoints(layout)):
        if time.monotonic() > deadline:
            logs = "\n".join(
                layout.log(n).read_text()[-1500:] for n in ("jobmanager", "taskmanager")
            )
            raise AssertionError(f"no {what}: {checkpoints(layout)}\n{logs}")
        time.sleep(0.5)


def restored(found: dict[str, Any], after: int) -> bool:
    """Whether the job runs again from a checkpoint, `after` another, and has made a newer one."""
    latest = found.get("latest", {})
    from_, newest = latest.get("restored"), latest.get("completed")
    return bool(from_ and newest and newest["id"] > from_["id"] > after)


def test_a_task_manager_and_a_python_worker_are_killed_and_no_row_differs(layout: Layout) -> None:
    settings = layout.settings
    log = live_log.make(live_log.synthetic(2000))
    topic = Topics(settings.namespace).plays
    half = len(log.messages) // 2
    live_log.LiveLog(log.messages[:half]).write(settings.kafka, topic, 4)
    layout.start("jobmanager", "--bound", str(BOUND), "--idle", "600", "--jobs", ",".join(JOBS))
    task_manager = layout.start("taskmanager")
    wait(layout, lambda found: bool(found.get("latest", {}).get("completed")), "checkpoint")

    task_manager.send_signal(signal.SIGKILL)
    task_manager.wait(30)
    kit.end(task_manager)  # its Python workers, as a container would end them
    task_manager = layout.start("taskmanager")
    wait(layout, lambda found: restored(found, 0), "checkpoint after the task manager's death")
    before = checkpoints(layout)["latest"]["restored"]["id"]

    live_log.LiveLog(log.messages[half:]).write(settings.kafka, topic, 4)
    workers = layout.python_workers(task_manager)
    assert workers, "no Python runs beside the task manager"
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    wait(layout, lambda found: restored(found, before), "checkpoint after the worker's death")
    assert task_manager.poll() is None, "the task manager itself still runs"

    close_windows(settings, log)
    db = database(settings, {})
    for job in JOBS:
        wanted = but_the_tail(job, getattr(oracle, job)(db))
        assert wanted
        assert published(settings, job, wanted) == set(wanted), job


def but_the_tail(job: str, rows: oracle.Rows) -> oracle.Rows:
    """Return the rows of windows that have closed: all but those of the plays that closed them."""
    if job == "uniques":
        last = max(row[0] for row in rows)
        return oracle.Rows({row: 1 for row in rows if row[0] != last})
    return oracle.Rows({row: 1 for row in rows if not str(row[0]).startswith("tail")})


def published(settings: Settings, job: str, wanted: oracle.Rows) -> set[tuple[Any, ...]]:
    """Return what a job has published, once nothing of it is missing, or after two minutes."""
    deadline = time.monotonic() + 120
    while True:
        found = kit.as_rows(job, list(kit.published(settings, job).values()))
        if not wanted - found or time.monotonic() > deadline:
            return set(found)
        time.sleep(1)
