"""GET and POST /1/latest-import: where an importer stopped, so that it can resume there."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.errors import ApiError
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.queries import check_known, reader_of, rows_of
from api.web import SCHEME, With, body_of, json_reply
from contracts.listeners import listener_name

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])
SERVICES = ("lastfm", "librefm")
_LATEST = "select latest from latest_imports_v1 where user_id = %(user)s and service = %(service)s"
# An importer that runs twice must not step back.
_REMEMBER = "select remember_import(%(user)s, %(service)s, %(ts)s)"


class LatestImport(msgspec.Struct):
    """The newest listen an importer has brought, in seconds since the epoch."""

    ts: Annotated[int, Meta(ge=0, le=253_000_000_000)]
    service: Literal["lastfm", "librefm"] = "lastfm"


@router.get("/latest-import", summary="Where did the importer stop?")
async def latest_import(
    request: Request, services: With, user_name: str, service: str = "lastfm"
) -> Response:
    """Return the newest imported listen of a listener, 0 before the first import."""
    user_name = listener_name(user_name)
    await reader_of(request, services, user_name)
    if service not in SERVICES:
        raise ApiError(400, "bad-parameter", f"Service must be one of {', '.join(SERVICES)}.")
    await check_known(services, user_name)
    rows = await rows_of(services, _LATEST, {"user": user_name, "service": service})
    latest = rows[0][0] if rows else 0
    return json_reply(
        {"musicbrainz_id": user_name, "latest_import": latest, "status": None, "error": None}
    )


@router.post(
    "/latest-import", summary="Remember where it stopped", openapi_extra=body_of(LatestImport)
)
async def remember_import(request: Request, services: With) -> Response:
    """Remember how far an importer came; it never moves back."""
    identity = await authorize(services.accounts, request.scope)
    identity.check_acts_for(identity.user_id)
    body = await read_body(request.scope, request.receive, 65_536)
    try:
        given = msgspec.json.decode(body, type=LatestImport)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-import", f"Cannot parse JSON document: {error}") from None
    arguments = {"user": identity.user_id, "service": given.service, "ts": given.ts}
    await rows_of(services, _REMEMBER, arguments)
    return json_reply({"status": "ok"})
