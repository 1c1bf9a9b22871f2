"""The jobs on a job manager and a task manager of their own, as `docker-compose.yml` runs them.

Unlike in one process, a job manager, a task manager and a process that runs Python die alone.
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
from infra.flink.copies import complete
from infra.stack.server import Server
from streams.flink.options import JOBS
from streams.flink.statements import PLACES
from tests.streams.flink import kit, live_log, oracle
from tests.streams.flink.layout import Layout
from tests.streams.flink.live_log import HOUR, MINUTE
from tests.streams.flink.unbounded import BOUND, close_windows, database

pytestmark = [
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


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
            f"{layout.rest.address}/jobs/{job.id}/checkpoints", timeout=60
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


def test_each_kind_of_process_is_killed_and_no_row_of_any_job_differs(layout: Layout) -> None:
    settings = layout.settings
    log = live_log.make(live_log.synthetic(2000))
    topic = Topics(settings.namespace).plays
    half = len(log.messages) // 2
    live_log.LiveLog(log.messages[:half]).write(settings.kafka, topic, 4)
    words = ("jobmanager", "--bound", str(BOUND), "--idle", "600")
    job_manager = layout.start(*words)
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

    kit.end(job_manager)
    before = checkpoints_on_disk(layout)[-1]
    layout.start(*words)
    wait(layout, lambda found: restored(found, 0), "checkpoint after the job manager's death")
    assert checkpoints(layout)["latest"]["restored"]["id"] == before
    assert checkpoints_on_disk(layout)[0] >= before  # copies that no start needs are deleted

    tail = close_windows(settings, log)
    db = database(settings, {})
    for job in JOBS:
        rows = oracle.every_list(db, PLACES) if job == "trending" else getattr(oracle, job)(db)
        wanted = closed(job, rows, tail)
        assert wanted
        assert published(settings, job, wanted) == set(wanted), job


def checkpoints_on_disk(layout: Layout) -> list[int]:
    """Return the numbers of the complete checkpoints."""
    found = complete(layout.home / "state" / "checkpoints")
    return sorted(int(path.name.removeprefix("chk-")) for _, path in found)


def closed(job: str, rows: oracle.Rows, tail: int) -> oracle.Rows:
    """Return the rows of windows that the plays at `tail` have closed, not those of their own."""
    if job in ("uniques", "trending"):
        length = HOUR if job == "uniques" else 0  # a list names the end of its window
        watermark = tail - 1000 * BOUND - MINUTE
        return oracle.Rows({row: 1 for row in rows if row[0] + length <= watermark})
    return oracle.Rows({row: 1 for row in rows if not str(row[0]).startswith("tail")})


def published(settings: Settings, job: str, wanted: oracle.Rows) -> set[tuple[Any, ...]]:
    """Return what a job has published, once nothing of it is missing, or after two minutes."""
    deadline = time.monotonic() + 120
    while True:
        found = kit.as_rows(job, list(kit.published(settings, job).values()))
        if not wanted - found or time.monotonic() > deadline:
            return set(found)
        time.sleep(1)
