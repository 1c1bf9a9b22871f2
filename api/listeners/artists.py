"""Hiding an artist: every track of it that is known leaves the listener's lists."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.errors import ApiError, unavailable
from api.feedback import feedback_record
from api.listenbrainz.queries import reader_of, rows_of
from api.services import Services
from api.web import SCHEME, With, answers, body_of, json_reply
from contracts.errors import BrokerUnavailable
from contracts.ids import artist_id

router = APIRouter(prefix="/v1/users/{user}/hidden-artists", tags=["listener"])

#: Tracks hidden at once; an artist with more keeps the rest.
MOST = 1_000
# What can come into a list: tracks of the catalogue, and tracks that anybody has played; of those
# the listener's own are the ones that can be found by name at once.
_TRACKS = """
    select distinct on (lower(title)) title, track_id from (
        select title, track_id::text as track_id from catalogue_track_cards_v1
        where artist_id = %(id)s
        union all
        select title, track_id from listens_v1
        where user_id = %(user)s and lower(artist) = lower(%(artist)s)
    ) known order by lower(title) limit %(most)s
"""
_HIDDEN = """
    select title, track_id from listener_feedback_v1
    where user_id = %(user)s and kind = 'hide' and lower(artist) = lower(%(artist)s)
    limit %(most)s
"""


Title = Annotated[str, Meta(min_length=1, max_length=1000)]


class HideArtist(msgspec.Struct):
    """The artist as lists name it, and titles of it that are to be hidden beside those known."""

    artist: Annotated[str, Meta(min_length=1, max_length=1000)]
    titles: Annotated[list[Title], Meta(max_length=100)] = []


class ArtistHidden(msgspec.Struct):
    """How many tracks were hidden (or shown again)."""

    artist: str
    tracks: int


@router.post(
    "",
    status_code=202,
    dependencies=[SCHEME],
    responses=answers(ArtistHidden, 202, "In the log."),
    openapi_extra=body_of(HideArtist),
    summary="Hide an artist",
)
async def hide(request: Request, services: With, user: str) -> Response:
    """Hide every track of an artist that the catalogue or the listener's history knows.

    Tracks that become known later are not hidden.
    """
    return await _say(request, services, user, _TRACKS, "hide")


@router.post(
    "/undo",
    status_code=202,
    dependencies=[SCHEME],
    responses=answers(ArtistHidden, 202, "In the log."),
    openapi_extra=body_of(HideArtist),
    summary="Show an artist again",
)
async def undo(request: Request, services: With, user: str) -> Response:
    """Take back what was hidden of an artist, one by one or at once."""
    return await _say(request, services, user, _HIDDEN, "undo")


async def _say(
    request: Request, services: Services, user: str, statement: str, kind: str
) -> Response:
    caller = await reader_of(request, services, user)
    caller.check_acts_for(user)
    given = await read_struct(request, HideArtist)
    values: dict[str, Any] = {
        "user": user, "artist": given.artist, "id": artist_id(given.artist), "most": MOST,
    }  # fmt: skip
    tracks: dict[str, str | None] = dict(await rows_of(services, statement, values))
    if kind == "hide":
        tracks = dict.fromkeys(given.titles) | tracks
    if not tracks:
        raise ApiError(404, "unknown-artist", f"No track by {given.artist!r} is known.")
    records = [
        feedback_record(services, user, kind, given.artist, title, "v1", track)
        for title, track in tracks.items()
    ]
    try:
        await services.log.append(records)
    except BrokerUnavailable:
        raise unavailable("The play log did not acknowledge the feedback") from None
    return json_reply(ArtistHidden(given.artist, len(records)), 202)
