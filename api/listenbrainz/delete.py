"""POST /1/delete-listen: one play is forgotten in every store, soon after."""

from __future__ import annotations

import re
from typing import Annotated
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Request, Response
from msgspec import Meta
from psycopg_pool import PoolTimeout

from api.audit import origin_of
from api.errors import ApiError, unavailable
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.mapping import recording_msid
from api.listenbrainz.queries import rows_of
from api.services import Services
from api.web import SCHEME, With, body_of, json_reply
from contracts.audit import INSERT, entry
from contracts.erasure_requests import ASK
from contracts.erasure_requests import request as erasure_of

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LATEST = 253_000_000_000
_AT = """
    select event_id, artist, title from listens_v1
    where user_id = %(user)s and played_at >= to_timestamp(%(second)s)
        and played_at < to_timestamp(%(second)s + 1)
"""
# The listener sees one play where two clients reported it: the merged reports are deleted with it.
_MEMBERS = """
    select event_id from merged_listens_v1
    where user_id = %(user)s and head_id = any(%(events)s) and event_id <> all(%(events)s)
"""


class ListenToDelete(msgspec.Struct):
    """A listen by its start (seconds since the epoch) and the recording's id by names."""

    listened_at: int
    recording_msid: Annotated[str, Meta(max_length=64)]


@router.post("/delete-listen", summary="Delete a listen", openapi_extra=body_of(ListenToDelete))
async def delete_listen(request: Request, services: With) -> Response:
    """Request the deletion of one listen. As with ListenBrainz, it takes effect soon, not at once.

    A later submission of the same listen stores it again.
    """
    identity = await authorize(services.accounts, request.scope)
    identity.check_acts_for(identity.user_id)
    second, msid = _read(await read_body(request.scope, request.receive, 65_536))
    await forget_plays(services, identity.user_id, second, msid, origin_of(request))
    return json_reply({"status": "ok"})


async def forget_plays(services: Services, user: str, second: int, msid: str, origin: str) -> None:
    """Ask for the plays of one recording that began in one second to be deleted.

    Raises
    ------
    ApiError
        503: it was not put on record.
    """
    rows = await rows_of(services, _AT, {"user": user, "second": second})
    events = [event for event, artist, title in rows if recording_msid(artist, title) == msid]
    if events:
        merged = {"user": user, "events": events}
        events += [event for (event,) in await rows_of(services, _MEMBERS, merged)]
        await _ask(services, user, events, origin)


async def _ask(services: Services, user: str, events: list[UUID], origin: str) -> None:
    try:
        async with (
            services.account_pool.connection(timeout=1.0) as connection,
            connection.transaction(),
        ):
            for event in events:
                await connection.execute(ASK, erasure_of(user, event))
                await connection.execute(
                    INSERT, entry(user, "play.delete", user, origin, "requested")
                )
    except (psycopg.Error, PoolTimeout, OSError):
        raise unavailable("The deletion was not recorded") from None


def _read(body: bytes) -> tuple[int, str]:
    """Return the listen, with the protocol's messages for what is wrong."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refuse(f"Cannot parse JSON document: {error}") from None
    if not isinstance(given, dict) or "listened_at" not in given:
        raise _refuse("Listen timestamp missing.")
    if "recording_msid" not in given:
        raise _refuse("Recording MSID missing.")
    second, msid = given["listened_at"], given["recording_msid"]
    if isinstance(second, str) and second.isascii() and second.isdigit() and len(second) < 13:
        second = int(second)
    if isinstance(second, bool) or not isinstance(second, int) or not 0 <= second <= _LATEST:
        raise _refuse(f"{second}: Listen timestamp invalid.")
    if not isinstance(msid, str) or _UUID.fullmatch(msid) is None:
        raise _refuse(f"{msid}: Recording MSID format invalid.")
    return second, msid.lower()


def _refuse(message: str) -> ApiError:
    return ApiError(400, "bad-listen", message)
