"""/v1/experiments: defining, starting and ending experiments, and what they have shown."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.account.me import stamp
from api.account.store import run
from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError
from api.http import read_body
from api.web import Caller, With, answers, body_of, json_reply
from contracts import batch_view
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE
from contracts.audit import Entry, entry
from contracts.errors import InvalidEvent
from contracts.experiments import (
    CREATE,
    LIST,
    SHOW,
    START,
    STOP,
    Definition,
    check_end,
    definition_of,
    state_of,
)

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])
MAX_BODY = 65_536


class ExperimentOut(msgspec.Struct):
    """An experiment; ``state`` is ``draft``, ``running`` or ``ended``."""

    key: str
    state: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    definition: Definition


class Experiments(msgspec.Struct):
    """Experiments: those that run first, then the newest."""

    experiments: list[ExperimentOut]


class ExperimentShown(msgspec.Struct):
    """An experiment and its results in the newest report.

    ``judged_at`` is when the report was drawn, ``None`` before the first. ``verdict`` is in words;
    ``arms`` and ``comparisons`` are the report's rows by column name.
    """

    experiment: ExperimentOut
    judged_at: str | None
    verdict: list[str]
    arms: list[dict[str, Any]]
    comparisons: list[dict[str, Any]]


@router.post(
    "",
    status_code=201,
    responses=answers(ExperimentOut, 201, "Defined; it does not run yet."),
    openapi_extra=body_of(Definition),
    summary="Define an experiment",
)
async def create(request: Request, services: With, caller: Caller) -> Response:
    """Define an experiment (administrators); it runs once it is started, and cannot be edited."""
    caller.check_role(ADMIN_ROLE)
    body = await read_body(request.scope, request.receive, MAX_BODY)
    try:
        definition = definition_of(body)
        check_end(definition, datetime.now(UTC))
        await asyncio.to_thread(check_generations, definition, services.settings.paths.batch_view)
    except InvalidEvent as error:
        raise ApiError(400, error.reason, str(error)) from None
    values = {
        "key": definition.key,
        "layer": definition.layer,
        "definition": msgspec.json.encode(definition).decode(),
    }
    row = _trail(request, caller, "experiment.create", definition.key)
    if not await run(services, CREATE, values, row):
        raise ApiError(
            409,
            "key-taken",
            f"There is an experiment {definition.key!r} already: choose another key.",
            field="key",
        )
    return json_reply(await _find(services, definition.key), 201)


@router.get("", responses=answers(Experiments), summary="All experiments")
async def experiments(services: With, caller: Caller) -> Response:
    """List experiments (analysts and administrators)."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    return json_reply(Experiments([_shown(row) for row in await run(services, LIST, {})]))


@router.get("/{key}", responses=answers(ExperimentShown), summary="One experiment")
async def experiment(services: With, caller: Caller, key: str) -> Response:
    """Return an experiment with what it has shown so far (analysts and administrators)."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await _find(services, key)
    return json_reply(_judged(found, services.settings.paths.reports / "experiments/latest.json"))


@router.post("/{key}/start", responses=answers(ExperimentOut), summary="Start an experiment")
async def start(request: Request, services: With, caller: Caller, key: str) -> Response:
    """Start a draft (administrators); every API process takes it up within seconds."""
    caller.check_role(ADMIN_ROLE)
    found = await _find(services, key)
    if found.state == "draft":
        try:
            check_end(found.definition, datetime.now(UTC))
            folder = services.settings.paths.batch_view
            await asyncio.to_thread(check_generations, found.definition, folder)
        except InvalidEvent as error:
            raise ApiError(400, error.reason, str(error)) from None
    row = _trail(request, caller, "experiment.start", key)
    ((outcome, other),) = await run(services, START, {"key": key}, row)
    if outcome == "not-a-draft":
        raise ApiError(
            409,
            "not-a-draft",
            f"Experiment {key!r} was started before: clone it under another key to run it again.",
        )
    if outcome == "layer-taken":
        raise ApiError(
            409,
            "layer-taken",
            f"Experiment {other!r} runs in layer {found.definition.layer!r}: "
            "end it first, or clone this one into another layer.",
            field="layer",
        )
    return json_reply(await _find(services, key))


@router.post("/{key}/stop", responses=answers(ExperimentOut), summary="End an experiment")
async def stop(request: Request, services: With, caller: Caller, key: str) -> Response:
    """End a running experiment (administrators): every listener gets the usual lists again."""
    caller.check_role(ADMIN_ROLE)
    await _find(services, key)
    row = _trail(request, caller, "experiment.stop", key)
    ((outcome,),) = await run(services, STOP, {"key": key}, row)
    if outcome == "not-running":
        raise ApiError(409, "not-running", f"Experiment {key!r} does not run.")
    return json_reply(await _find(services, key))


def check_generations(definition: Definition, folder: Path) -> None:
    """Raise :class:`InvalidEvent` for an arm with a generation of the nightly model that is gone.

    A process that cannot see the folder knows of none and refuses nothing: the arm then falls back.
    """
    kept = batch_view.generations(folder)
    for at, arm in enumerate(definition.arms):
        wanted = arm.overrides.batch_generation
        if kept and wanted is not None and wanted not in kept:
            raise InvalidEvent(
                "bad-experiment",
                f"arms[{at}].overrides.batch_generation is {wanted}: kept are "
                f"{', '.join(map(str, kept))}.",
            )


async def _find(services: With, key: str) -> ExperimentOut:
    rows = await run(services, SHOW, {"key": key})
    if not rows:
        raise ApiError(404, "unknown-experiment", f"There is no experiment {key!r}.")
    return _shown(rows[0])


def _shown(row: tuple[Any, ...]) -> ExperimentOut:
    key, _, text, created, started, ended = row
    definition = msgspec.json.decode(text, type=Definition)
    return ExperimentOut(
        key,
        state_of(started, ended),
        stamp(created) or "",
        stamp(started),
        stamp(ended),
        definition,
    )


def _trail(request: Request, caller: Identity, action: str, key: str) -> Entry:
    return entry(caller.user_id, action, caller.user_id, origin_of(request), experiment=key)


class _Report(msgspec.Struct):
    generated_at: str
    tables: dict[str, list[dict[str, Any]]]


def _judged(found: ExperimentOut, path: Path) -> ExperimentShown:
    """Return an experiment with its rows of the newest report, if there is one."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=_Report)
    except (OSError, msgspec.MsgspecError):
        return ExperimentShown(found, None, [], [], [])
    rows = {
        name: [row for row in table if row.get("experiment") == found.key]
        for name, table in report.tables.items()
    }
    return ExperimentShown(
        found,
        report.generated_at,
        [str(row["verdict"]) for row in rows.get("verdicts", [])],
        rows.get("arms", []),
        rows.get("comparisons", []),
    )
