"""GET /v1/users/{user}/plays/{event_id}/life: where one play is by now, store by store."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request, Response

from api.account.me import stamp
from api.errors import ApiError
from api.listenbrainz.queries import reader_of, rows_of
from api.operation.runs import RunSummary, latest_runs
from api.services import Services
from api.web import SCHEME, With, answers, json_reply
from contracts.topics import Kind
from contracts.workers import LAKE_SINK, LEARNER, LISTENERS

router = APIRouter(prefix="/v1/users/{user}/plays", tags=["listener"], dependencies=[SCHEME])

_FIND = """
    select l.received_at, p.log_id, p.partition, p.log_offset
    from listens_v1 l left join play_places_v1 p using (user_id, event_id)
    where l.user_id = %(user)s and l.event_id = %(event)s
"""
#: Stage -> the worker that brings a play there, and where that is.
_FOLDS = (
    ("lists", LISTENERS, "Redis: lists are made from it"),
    ("model", LEARNER, "the model has learned it"),
    ("lake", LAKE_SINK, "the lake keeps it, with its place in the log"),
)


class LifeStage(msgspec.Struct):
    """One place a play goes to.

    ``done`` is ``None`` if it is unknown now; ``detail`` gives the reason. Only the
    acknowledgement and the warehouse have a time (``at``).
    """

    name: str
    done: bool | None
    at: str | None
    detail: str


class PlayLife(msgspec.Struct):
    """The way of a play; ``partition`` and ``offset`` are those of its message in the log."""

    event_id: str
    partition: int | None
    offset: int | None
    stages: list[LifeStage]


@router.get("/{event_id}/life", responses=answers(PlayLife), summary="The life of a play")
async def life(request: Request, services: With, user: str, event_id: UUID) -> Response:
    """Say where a play is by now: acknowledged, in the lists, model, history, lake, warehouse."""
    await reader_of(request, services, user)
    rows = await rows_of(services, _FIND, {"user": user, "event": event_id})
    if not rows:
        raise ApiError(404, "unknown-play", "There is no such play in this history.")
    received, log_id, partition, offset = rows[0]
    place = f"partition {partition}, offset {offset:,}" if offset is not None else ""
    stages = [
        LifeStage("acknowledged", True, stamp(received), "the log has it; the client got its 2xx"),
        LifeStage("log", True, None, place or "the place was not recorded at that time"),
        *(_fold(services, name, spec, text, log_id, partition, offset)
          for name, spec, text in _FOLDS),
        LifeStage("history", True, None, "PostgreSQL: this page shows it from there"),
    ]  # fmt: skip
    runs = await asyncio.to_thread(latest_runs, services.settings.paths.runs)
    stages.append(_warehouse(runs, received))
    return json_reply(PlayLife(str(event_id), partition, offset, stages))


def _fold(
    services: Services, name: str, spec: Any, text: str, log_id: str | None,
    partition: int | None, offset: int | None,
) -> LifeStage:  # fmt: skip
    beat = services.workers.beats.get(spec.name)
    if partition is None or offset is None:
        return LifeStage(name, True, None, text)  # read long ago
    if beat is None or not beat.is_fresh(int(time.time() * 1000)):
        return LifeStage(name, None, None, f"the worker {spec.name} does not report")
    if beat.log_id and beat.log_id != log_id:
        return LifeStage(name, True, None, f"{text}; it came with an earlier log")
    position = beat.offsets.get(services.topics.of(Kind.PLAYS).place(partition))
    if position is None:
        return LifeStage(name, None, None, f"the worker {spec.name} has not reported its offset")
    if position > offset:
        return LifeStage(name, True, None, text)
    behind = offset - position + 1
    return LifeStage(name, False, None, f"{behind:,} messages before it are still to be read")


def _warehouse(runs: list[RunSummary], received: datetime) -> LifeStage:
    """Return the first whole nightly run that began after the play was there."""
    after = [
        run for run in runs
        if run.status == "ok" and run.finished_at
        and datetime.fromisoformat(run.started_at) > received
    ]  # fmt: skip
    if not after:
        return LifeStage("warehouse", False, None, "the next nightly run takes it")
    first = min(after, key=lambda run: run.started_at)
    detail = f"run {first.id}, lake version {first.lake_version}"
    return LifeStage("warehouse", True, first.finished_at, detail)
