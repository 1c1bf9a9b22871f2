"""POST /v1/feedback: love, hate, hide, undo; answered once it is in the log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.audit import origin_of
from api.errors import ApiError, unavailable
from api.feedback import feedback_record
from api.http import read_body
from api.serving.lookup import document_of
from api.web import Caller, With, answers, body_of, json_reply
from contracts.audit import entry
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.ids import track_id
from contracts.listeners import check_user, listener_name

router = APIRouter(prefix="/v1", tags=["serving"])
MAX_BODY = 65_536


class FeedbackIn(msgspec.Struct, kw_only=True):
    """A listener's feedback on a track, named by id, or by artist and title.

    ``hate`` and ``hide`` keep the track out of every later list; ``undo`` takes back all feedback
    on it. ``user`` defaults to the account of the token.
    """

    kind: Literal["love", "hate", "hide", "undo"]
    track_id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    artist: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    title: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class FeedbackOut(msgspec.Struct):
    """The feedback is in the log; lists reflect it within moments."""

    accepted: bool
    track_id: str


#: What brings a hidden track back into lists; on behalf of another it is put on record.
_SHOWS = ("undo", "love")
_DECODER = msgspec.json.Decoder(FeedbackIn)


@router.post(
    "/feedback",
    status_code=202,
    responses=answers(FeedbackOut, 202, "In the log."),
    openapi_extra=body_of(FeedbackIn),
    summary="Love, hate, hide a track, or take that back",
)
async def feedback(request: Request, services: With, caller: Caller) -> Response:
    """Append the feedback of one listener on one track."""
    given = _read(await read_body(request.scope, request.receive, MAX_BODY))
    user = listener_name(given.user) if given.user else caller.user_id
    caller.check_acts_for(user)
    try:
        check_user(user)
    except InvalidEvent as error:
        raise ApiError(400, error.reason, str(error), field="user") from None
    artist, title, public = given.artist, given.title, given.track_id
    if artist is None or title is None:
        # What is hidden is kept by names: an id must be one the model can name.
        known = document_of(services.model.reader, public) if public else None
        if known is None:
            raise ApiError(
                404 if public else 400,
                "unknown-track",
                "Name the track by a track_id from our lists, or by artist and title.",
                field="track_id",
            )
        artist, title = known.artist, known.title
    track = public or track_id(artist, title)
    if given.kind in _SHOWS and user != caller.user_id:
        row = entry(caller.user_id, "track.un-hide", user, origin_of(request), track=track)
        await services.audit.record(row)
    message = feedback_record(services, user, given.kind, artist, title, "v1", track)
    try:
        await services.log.append([message])
    except BrokerUnavailable:
        raise unavailable("The play log did not acknowledge the feedback") from None
    return json_reply(FeedbackOut(True, track), 202)


def _read(body: bytes) -> FeedbackIn:
    try:
        given = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad-schema", f"{error}.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-json", f"The body is not JSON: {error}.") from None
    if any(text and "\x00" in text for text in (given.artist, given.title, given.track_id)):
        raise ApiError(400, "bad-text", "A text contains the character NUL; remove it.")
    return given
