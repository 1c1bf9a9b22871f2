"""Pins: the one recording a listener shows at a time, and earlier ones."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.auth import Identity
from api.errors import ApiError
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.limits import UuidText
from api.listenbrainz.mapping import recording_msid
from api.listenbrainz.queries import check_known, non_negative, page_of, reader_of, rows_of
from api.listenbrainz.said import names_of
from api.services import Services
from api.web import SCHEME, With, answers, body_of, json_reply
from contracts.pins import DELETE, PIN, UNPIN

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])

#: How long a pin lasts by default, seconds.
_WEEK = 7 * 86_400
_PINS = """
    select row_id, recording_mbid::text, artist, title, blurb, created_at, pinned_until,
        count(*) over ()
    from pins_v1 where user_id = %(user)s
    order by created_at desc, row_id desc limit %(count)s offset %(offset)s
"""


class PinIn(msgspec.Struct, kw_only=True):
    """The recording, a word about it, and until when (seconds; by default a week)."""

    recording_msid: UuidText | None = None
    recording_mbid: UuidText | None = None
    blurb_content: Annotated[str, Meta(max_length=280)] | None = None
    pinned_until: Annotated[int, Meta(ge=0, le=253_000_000_000)] | None = None


class Pin(msgspec.Struct, kw_only=True):
    """A pinned recording; times in seconds since the epoch."""

    row_id: int
    recording_msid: str
    recording_mbid: str | None
    blurb_content: str | None
    created: int
    pinned_until: int
    track_metadata: dict[str, Any]


class Pinned(msgspec.Struct):
    """The recording that was pinned."""

    pinned_recording: Pin


class PinPage(msgspec.Struct, kw_only=True):
    """A page of pins, latest first."""

    pinned_recordings: list[Pin]
    total_count: int
    count: int
    offset: int
    user_name: str


class PinsOfOthers(msgspec.Struct, kw_only=True):
    """Nobody follows anybody here: the list is empty."""

    pinned_recordings: list[Pin]
    count: int
    offset: int
    user_name: str


@router.post(
    "/pin", responses=answers(Pinned), summary="Pin a recording", openapi_extra=body_of(PinIn)
)
async def pin_recording(request: Request, services: With) -> Response:
    """Pin a recording in place of the one before; 404 for a recording nobody here knows."""
    user = (await _owner(request, services)).user_id
    given = _read(await read_body(request.scope, request.receive, 65_536))
    now = time.time()
    until = int(now) + _WEEK if given.pinned_until is None else given.pinned_until
    if until <= now:
        raise ApiError(400, "bad-pin", "pinned_until must be in the future.")
    asked = (given.recording_mbid or given.recording_msid or "").lower()
    names = await names_of(services, user, asked)
    if names is None:
        raise ApiError(404, "unknown-recording", f"No recording {asked} is known here.")
    mbid = given.recording_mbid and given.recording_mbid.lower()
    arguments = {
        "user": user, "mbid": mbid, "artist": names[0], "title": names[1],
        "blurb": given.blurb_content, "until": until,
    }  # fmt: skip
    ((row, made),) = await rows_of(services, PIN, arguments)
    ends = datetime.fromtimestamp(until, UTC)
    return json_reply(Pinned(_pin(row, mbid, *names, given.blurb_content, made, ends)))


@router.post("/pin/unpin", summary="Unpin the current recording")
async def unpin_recording(request: Request, services: With) -> Response:
    """Unpin the current recording. Answer 404 if the listener has pinned none."""
    user = (await _owner(request, services)).user_id
    if not (await rows_of(services, UNPIN, {"user": user}))[0][0]:
        raise ApiError(404, "no-pin", f"Cannot find an active pinned recording of {user}.")
    return json_reply({"status": "ok"})


@router.post("/pin/delete/{row_id}", summary="Delete a pin")
async def delete_pin(request: Request, services: With, row_id: str) -> Response:
    """Delete a pin, the current or an earlier one; 404 for one that the listener does not have."""
    user = (await _owner(request, services)).user_id
    arguments = {"user": user, "row": non_negative("row_id", row_id, 0)}
    if not (await rows_of(services, DELETE, arguments))[0][0]:
        raise ApiError(404, "no-pin", f"Cannot find pin {row_id} of {user}.")
    return json_reply({"status": "ok"})


@router.get("/{user}/pins", responses=answers(PinPage), summary="Pins of a listener")
async def list_pins(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return what a listener has pinned, latest first."""
    await reader_of(request, services, user)
    await check_known(services, user)
    wanted, skipped = page_of(count, offset)
    rows = await rows_of(services, _PINS, {"user": user, "count": wanted, "offset": skipped})
    return json_reply(
        PinPage(
            pinned_recordings=[_pin(*row[:7]) for row in rows],
            total_count=rows[0][7] if rows else 0,
            count=len(rows),
            offset=skipped,
            user_name=user,
        )
    )


@router.get(
    "/{user}/pins/following",
    responses=answers(PinsOfOthers),
    summary="Pins of those a listener follows (nobody here)",
)
async def list_pins_of_others(request: Request, services: With, user: str) -> Response:
    """Return an empty list: nobody follows anybody here."""
    await reader_of(request, services, user)
    await check_known(services, user)
    return json_reply(PinsOfOthers(pinned_recordings=[], count=0, offset=0, user_name=user))


async def _owner(request: Request, services: Services) -> Identity:
    identity = await authorize(services.accounts, request.scope)
    identity.check_acts_for(identity.user_id)
    return identity


def _pin(
    row: int, mbid: str | None, artist: str, title: str, blurb: str | None,
    created: datetime, until: datetime,
) -> Pin:  # fmt: skip
    return Pin(
        row_id=row,
        recording_msid=recording_msid(artist, title),
        recording_mbid=mbid,
        blurb_content=blurb,
        created=int(created.timestamp()),
        pinned_until=int(until.timestamp()),
        track_metadata={"artist_name": artist, "track_name": title},
    )


def _read(body: bytes) -> PinIn:
    try:
        given = msgspec.json.decode(body, type=PinIn)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-pin", f"Cannot parse JSON document: {error}") from None
    if not given.recording_msid and not given.recording_mbid:
        raise ApiError(400, "bad-pin", "Send a recording_msid or a recording_mbid.")
    if given.blurb_content and "\x00" in given.blurb_content:
        raise ApiError(400, "bad-pin", "blurb_content contains a unicode null")
    return given
