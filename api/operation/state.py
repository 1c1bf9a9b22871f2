"""GET /v1/operations: what an operator looks at first."""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from api.metrics import quantile
from api.operation.lag import PartitionLag, lags
from api.services import Services
from api.serving.recommend import ROUTE
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE
from contracts.workers import CORE_FOLDS

router = APIRouter(prefix="/v1", tags=["operation"])


class WorkerState(msgspec.Struct):
    """A worker: ``trouble`` is empty while it runs.

    ``applied_per_second`` is the rate since the last look: plays that ``listeners`` and ``learner``
    folded, rows that a sink wrote.
    """

    name: str
    trouble: str
    pid: int | None
    heard_ms_ago: int | None
    applied_per_second: float | None
    lag: int | None
    partitions: list[PartitionLag]


class ListTimes(msgspec.Struct):
    """Lists this process has answered since it started: buckets of a histogram, in ms."""

    count: int
    p50_ms: float | None
    p99_ms: float | None


class Operations(msgspec.Struct):
    """State of everything; dependencies are ``ok`` or say what is wrong.

    ``impressions_lost`` and ``lists`` are of the API process that answers.
    """

    at: int
    dependencies: dict[str, str]
    workers: list[WorkerState]
    lists: ListTimes
    impressions_lost: int
    event_streams: int
    disk_free_bytes: int | None
    disk_total_bytes: int | None
    model_generation: int
    plays_learned: int


@router.get("/operations", responses=answers(Operations), summary="How is everything?")
async def operations(services: With, caller: Caller) -> Response:
    """Return dependencies, workers with their lag, latency of lists, disk (administrators)."""
    caller.check_role(ADMIN_ROLE)
    ends = await services.ends.known()
    states = services.workers.states()
    free, total = await asyncio.to_thread(_disk, services)
    count, counts = services.metrics.latency(ROUTE)
    return json_reply(
        Operations(
            int(time.time() * 1000),
            dict(services.watcher.state),
            [_worker(services, name, states[name], ends) for name in CORE_FOLDS],
            ListTimes(count, quantile(counts, 0.5), quantile(counts, 0.99)),
            services.impressions.lost,
            services.events.count,
            free,
            total,
            services.model.generation,
            services.model.plays_learned,
        )
    )


#: Counters of a heartbeat that say how much a worker applied: the first that it has.
_APPLIED = ("plays", "messages", "rows")
_seen: dict[str, tuple[int, float, float | None]] = {}


def _worker(services: Services, name: str, state: str, ends: dict[str, list[int]]) -> WorkerState:
    partitions = lags(services, name, ends)
    known = [row.lag for row in partitions]
    beat = services.workers.beats.get(name)
    if beat is None:
        return WorkerState(name, state, None, None, None, None, partitions)
    lag = None if any(one is None for one in known) else sum(one or 0 for one in known)
    ago = int(time.time() * 1000) - beat.at
    trouble = "" if state == "ok" else state
    return WorkerState(name, trouble, beat.pid, ago, _rate(name, beat), lag, partitions)


def _rate(name: str, beat: Any) -> float | None:
    """Return what was applied per second between the last two heartbeats that were looked at."""
    applied = next((beat.counters[each] for each in _APPLIED if each in beat.counters), 0.0)
    before = _seen.get(name)
    if before is not None and before[0] == beat.at:
        return before[2]
    rate = None
    if before is not None and applied >= before[1] and beat.at > before[0]:
        rate = round((applied - before[1]) * 1000 / (beat.at - before[0]), 2)
    _seen[name] = (beat.at, applied, rate)
    return rate


def _disk(services: Services) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(services.settings.home)
    except OSError:
        return None, None
    return usage.free, usage.total
