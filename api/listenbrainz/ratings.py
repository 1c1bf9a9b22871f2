"""Feedback on recommendations: five ratings, which are love, hate or hide to the recommender.

A rating is feedback like any other: the last one counts, regardless of the protocol.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from api.errors import ApiError
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.limits import MAX_ITEMS, UuidText
from api.listenbrainz.queries import check_known, page_of, reader_of, rows_of
from api.listenbrainz.said import say
from api.web import SCHEME, With, body_of, json_reply

router = APIRouter(
    prefix="/1/recommendation/feedback", tags=["ListenBrainz"], dependencies=[SCHEME]
)

T = TypeVar("T")
Rating = Literal["love", "like", "dislike", "hate", "bad_recommendation"]
#: Rating -> what the recommender makes of it.
KINDS: dict[str, str] = {
    "love": "love",
    "like": "love",
    "dislike": "hide",
    "hate": "hate",
    "bad_recommendation": "hide",
}
_SOURCE = "rating/"
_RATED = """
    select track_id, substr(source, 8), floor(extract(epoch from given_at))::bigint,
        count(*) over ()
    from listener_feedback_v1 where user_id = %(user)s and source like 'rating/%%'
        and (%(rating)s::text is null or source = 'rating/' || %(rating)s)
    order by given_at desc, track_key limit %(count)s offset %(offset)s
"""
_RATED_OF = """
    select track_id, substr(source, 8), floor(extract(epoch from given_at))::bigint
    from listener_feedback_v1 where user_id = %(user)s and source like 'rating/%%'
        and track_id = any(%(mbids)s)
"""


class RatingIn(msgspec.Struct):
    """What the listener thinks of a recommended recording."""

    recording_mbid: UuidText
    rating: Rating


class RatedRecording(msgspec.Struct):
    """The recording whose rating is taken back."""

    recording_mbid: UuidText


@router.post("/submit", summary="Rate a recommendation", openapi_extra=body_of(RatingIn))
async def submit(request: Request, services: With) -> Response:
    """Rate a recommended recording; the next list reflects it."""
    user, given = await _read(request, services, RatingIn)
    source = f"{_SOURCE}{given.rating}"
    await say(services, user, KINDS[given.rating], given.recording_mbid.lower(), source)
    return json_reply({"status": "ok"})


@router.post("/delete", summary="Take a rating back", openapi_extra=body_of(RatedRecording))
async def delete(request: Request, services: With) -> Response:
    """Take back the feedback on a recording."""
    user, given = await _read(request, services, RatedRecording)
    await say(services, user, "undo", given.recording_mbid.lower(), _SOURCE)
    return json_reply({"status": "ok"})


@router.get("/user/{user}", summary="Ratings of a listener")
async def ratings(
    request: Request,
    services: With,
    user: str,
    rating: str | None = None,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return a listener's ratings, latest first, of all kinds or of one (``rating``)."""
    await reader_of(request, services, user)
    if rating is not None and rating not in KINDS:
        raise ApiError(400, "bad-parameter", f"rating must be one of {', '.join(KINDS)}.")
    await check_known(services, user)
    wanted, skipped = page_of(count, offset)
    arguments = {"user": user, "rating": rating, "count": wanted, "offset": skipped}
    rows = await rows_of(services, _RATED, arguments)
    return json_reply(
        {
            "recommendation-feedback": [_rated(*row[:3]) for row in rows],
            "count": len(rows),
            "total_count": rows[0][3] if rows else 0,
            "offset": skipped,
            "user_name": user,
        }
    )


@router.get("/user/{user}/recordings", summary="Ratings of these recordings")
async def ratings_of(request: Request, services: With, user: str, mbids: str = "") -> Response:
    """Return the ratings of recordings; those without one are left out."""
    await reader_of(request, services, user)
    asked = [mbid.strip().lower() for mbid in mbids.split(",") if mbid.strip()]
    if not asked or len(asked) > MAX_ITEMS:
        raise ApiError(400, "bad-parameter", f"'mbids' should name 1 to {MAX_ITEMS} recordings")
    await check_known(services, user)
    rows = await rows_of(services, _RATED_OF, {"user": user, "mbids": asked})
    return json_reply(
        {"recommendation-feedback": [_rated(*row) for row in rows], "user_name": user}
    )


def _rated(mbid: str, rating: str, created: int) -> dict[str, Any]:
    return {"recording_mbid": mbid, "rating": rating, "created": created}


async def _read(request: Request, services: With, kind: type[T]) -> tuple[str, T]:
    """Return whose rating it is, and the body."""
    identity = await authorize(services.accounts, request.scope)
    identity.check_acts_for(identity.user_id)
    body = await read_body(request.scope, request.receive, 65_536)
    try:
        return identity.user_id, msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-feedback", f"Cannot parse JSON document: {error}") from None
