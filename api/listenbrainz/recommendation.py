"""Our live recommendations, and love or hate, through ListenBrainz's own endpoints."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.errors import ApiError, unavailable
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.limits import DEFAULT_ITEMS, MAX_ITEMS
from api.listenbrainz.queries import check_known, non_negative, reader_of, rows_of
from api.producer import Record
from api.services import Services
from api.serving.lookup import document_at, document_of
from api.web import SCHEME, With, body_of, json_reply
from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.events import Feedback, encode
from contracts.features import Listener
from contracts.ids import partition_of, track_id

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PLAYED = """
    select artist, title from plays
    where user_id = %(user)s and (track_id = %(id)s or extra->>'recording_mbid' = %(id)s)
    order by played_at desc limit 1
"""
_KINDS = {1: "love", -1: "hate", 0: "undo"}


class RecordingFeedback(msgspec.Struct, kw_only=True):
    """Love (1), hate (-1) or neither (0) for one recording."""

    score: Literal[1, -1, 0]
    recording_mbid: Annotated[str, Meta(max_length=64)] | None = None
    recording_msid: Annotated[str, Meta(max_length=64)] | None = None


@router.get("/cf/recommendation/user/{user}/recording", summary="Recommended recordings")
async def recommended(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return recordings for a listener, best first; 204 only for one who never played anything.

    The list is live. Recordings without a MusicBrainz id cannot be named here and are left out;
    ``/v1/users/{user}/recommendations`` has them.
    """
    await reader_of(request, services, user)
    wanted = min(MAX_ITEMS, non_negative("count", count, DEFAULT_ITEMS))
    skipped = non_negative("offset", offset, 0)
    await check_known(services, user)
    try:
        blob = await services.features.get(user)
    except StoreUnavailable:
        raise unavailable("The listener's plays cannot be read") from None
    reader = services.model.reader
    if blob is None or reader is None:
        return Response(status_code=204)
    listener = Listener.unpack(blob)
    ranking = reader.recommend(
        listener.tracks,
        listener.seconds,
        listener.ratios,
        now=int(time.time()),
        k=MAX_ITEMS,
        hidden=listener.hidden,
    )
    found = []
    for index, score in zip(ranking.indices.tolist(), ranking.scores.tolist(), strict=True):
        known = document_at(reader, index)
        # Ids made from names are UUIDs too, but no MusicBrainz ids.
        if (
            known is not None
            and _UUID.fullmatch(known.track_id)
            and known.track_id != track_id(known.artist, known.title)
        ):
            found.append({"recording_mbid": known.track_id, "score": score})
    shown = found[skipped : skipped + wanted]
    payload = {
        "mbids": shown,
        "entity": "recording",
        "user_name": user,
        "count": len(shown),
        "total_mbid_count": len(found),
        "offset": skipped,
        "last_updated": int(time.time()),
        "model_id": f"segue-{reader.generation}",
        "model_url": "/v1/model",
    }
    return json_reply({"payload": payload})


@router.post(
    "/feedback/recording-feedback",
    summary="Love or hate a recording",
    openapi_extra=body_of(RecordingFeedback),
)
async def recording_feedback(request: Request, services: With) -> Response:
    """Record what the listener thinks of a recording that was played or can be recommended."""
    identity = await authorize(services.accounts, request.scope)
    user = identity.user_id
    identity.check_acts_for(user)
    given = _read(await read_body(request.scope, request.receive, 65_536))
    public = (given.recording_mbid or given.recording_msid or "").lower()
    if not public:
        raise ApiError(400, "bad-feedback", "Send a recording_mbid or a recording_msid.")
    artist, title = await _names(services, user, public)
    feedback = Feedback(
        user_id=user,
        kind=_KINDS[given.score],
        at=int(time.time() * 1000),
        source="listenbrainz",
        track_id=public,
        artist=artist,
        title=title,
    )
    partition = partition_of(user, services.settings.partitions)
    record = Record(services.topics.feedback, user.encode(), encode(feedback), partition)
    try:
        await services.log.append([record])
    except BrokerUnavailable:
        raise unavailable("The feedback was not recorded") from None
    return json_reply({"status": "ok"})


async def _names(services: Services, user: str, public: str) -> tuple[str, str]:
    known = document_of(services.model.reader, public)
    if known is not None:
        return known.artist, known.title
    rows: list[tuple[Any, ...]] = await rows_of(services, _PLAYED, {"user": user, "id": public})
    if not rows:
        raise ApiError(404, "unknown-recording", f"No recording {public} was ever played here.")
    return rows[0][0], rows[0][1]


def _read(body: bytes) -> RecordingFeedback:
    try:
        given = msgspec.json.decode(body, type=RecordingFeedback)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-feedback", f"Cannot parse JSON document: {error}") from None
    if "\x00" in f"{given.recording_mbid}{given.recording_msid}":
        raise ApiError(400, "bad-feedback", "The id contains a unicode null")
    return given
