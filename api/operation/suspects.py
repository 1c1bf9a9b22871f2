"""GET /v1/suspects: listeners whose plays no person produces; POST .../release takes that back."""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Request, Response

from api.audit import origin_of
from api.errors import ApiError, unavailable
from api.producer import LogRecord
from api.services import Services
from api.web import Caller, With, answers, json_reply
from contracts import suspects_topic
from contracts.accounts import ADMIN_ROLE
from contracts.audit import entry
from contracts.errors import BrokerUnavailable
from contracts.suspects import PATTERNS, Suspects
from contracts.topics import Kind

router = APIRouter(prefix="/v1", tags=["operation"])


class Finding(msgspec.Struct):
    """A pattern that was found; times are milliseconds since the epoch, UTC."""

    pattern: str
    meaning: str
    started_at: int
    ended_at: int
    plays: int


class SuspectListener(msgspec.Struct):
    """A listener and what was found since the last release, oldest first."""

    user: str
    findings: list[Finding]


class SuspectList(msgspec.Struct):
    """Listeners whom the model leaves out, by name."""

    suspects: list[SuspectListener]


class Released(msgspec.Struct):
    """The release is in the log; the model learns the plays that come from now on."""

    user: str
    released: bool


@router.get("/suspects", responses=answers(SuspectList), summary="Whom the model leaves out")
async def suspects(services: With, caller: Caller) -> Response:
    """List listeners whose plays no person produces (administrators)."""
    caller.check_role(ADMIN_ROLE)
    held = await _held(services)
    return json_reply(SuspectList([_shown(held, user) for user in held]))


@router.post(
    "/suspects/{user:path}/release",
    status_code=202,
    responses=answers(Released, 202, "In the log."),
    summary="Release a listener from suspicion",
)
async def release(request: Request, services: With, caller: Caller, user: str) -> Response:
    """Release a listener from everything found up to now; a later finding counts (administrators).

    It is put on record in the audit trail.
    """
    caller.check_role(ADMIN_ROLE)
    if user not in await _held(services):
        raise ApiError(404, "unknown-suspect", f"{user!r} is not a suspect; see GET /v1/suspects.")
    row = entry(caller.user_id, "suspect.release", user, origin_of(request))
    await services.audit.record(row)
    key, value, partition = suspects_topic.release(user, services.settings.partitions)
    record = LogRecord(services.topics.of(Kind.SUSPECTS), key, value, partition)
    try:
        await services.log.append([record])
    except BrokerUnavailable:
        raise unavailable("The release could not be written to the log") from None
    return json_reply(Released(user, True), 202)


async def _held(services: Services) -> Suspects:
    if not services.settings.flink:
        raise ApiError(
            404,
            "no-flink",
            "Flink does not run in this deployment, so Segue looks for no suspects.",
        )
    try:
        return await asyncio.to_thread(suspects_topic.read, services.settings)
    except BrokerUnavailable:
        raise unavailable("The broker does not answer") from None


def _shown(held: Suspects, user: str) -> SuspectListener:
    return SuspectListener(
        user,
        [
            Finding(
                found.pattern,
                PATTERNS.get(found.pattern, ""),
                found.started_at,
                found.ended_at,
                found.plays,
            )
            for found in held.findings(user)
        ],
    )
