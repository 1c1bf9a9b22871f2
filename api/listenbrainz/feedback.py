"""Love and hate for recordings: give feedback, read it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Meta

from api.errors import ApiError
from api.http import read_body
from api.listenbrainz.authorize import authorize
from api.listenbrainz.mapping import mbid_of, recording_msid
from api.listenbrainz.queries import check_known, page_of, reader_of, rows_of
from api.listenbrainz.said import say
from api.services import Services
from api.web import SCHEME, With, answers, body_of, json_reply

router = APIRouter(prefix="/1/feedback", tags=["ListenBrainz"], dependencies=[SCHEME])

_KINDS = {1: "love", -1: "hate", 0: "undo"}
_SCORES = {"love": 1, "hate": -1}
_SAID = """
    select kind, floor(extract(epoch from given_at))::bigint, track_id, artist, title,
        count(*) over ()
    from listener_feedback_v1 where user_id = %(user)s and kind = any(%(kinds)s)
    order by given_at desc, track_key limit %(count)s offset %(offset)s
"""
_SAID_OF = """
    select kind, floor(extract(epoch from given_at))::bigint, track_id, artist, title
    from listener_feedback_v1 where user_id = %(user)s and kind in ('love', 'hate')
        and (%(by_names)s or track_id = any(%(ids)s))
"""
_MOST_ASKED = 1000


class RecordingFeedback(msgspec.Struct, kw_only=True):
    """Love (1), hate (-1) or neither (0) for one recording."""

    score: Literal[1, -1, 0]
    recording_mbid: Annotated[str, Meta(max_length=64)] | None = None
    recording_msid: Annotated[str, Meta(max_length=64)] | None = None


class RecordingsAsked(msgspec.Struct, kw_only=True):
    """Recordings by their ids: a list, or a text with commas."""

    recording_mbids: list[str] | str = ""
    recording_msids: list[str] | str = ""
    recordings: list[str] | str = ""


class SaidOut(msgspec.Struct, kw_only=True):
    """Feedback on one recording; ``created`` in seconds since the epoch."""

    recording_mbid: str | None
    recording_msid: str | None
    score: int
    user_id: str
    created: int
    track_metadata: dict[str, Any] | None = None


class SaidPage(msgspec.Struct, kw_only=True):
    """A page of feedback, latest first."""

    feedback: list[SaidOut]
    count: int
    total_count: int
    offset: int


@router.post(
    "/recording-feedback",
    summary="Love or hate a recording",
    openapi_extra=body_of(RecordingFeedback),
)
async def recording_feedback(request: Request, services: With) -> Response:
    """Record what the listener thinks of a recording that was played or can be recommended."""
    identity = await authorize(services.accounts, request.scope)
    identity.check_scrobbles_for(identity.user_id)
    given = _read(await read_body(request.scope, request.receive, 65_536))
    public = _id(given.recording_mbid or given.recording_msid or "")
    if not public:
        raise ApiError(400, "bad-feedback", "Send a recording_mbid or a recording_msid.")
    await say(services, identity.user_id, _KINDS[given.score], public, "listenbrainz")
    return json_reply({"status": "ok"})


@router.get("/user/{user}/get-feedback", responses=answers(SaidPage), summary="Loved and hated")
async def get_feedback(
    request: Request,
    services: With,
    user: str,
    score: str | None = None,
    count: str | None = None,
    offset: str | None = None,
    metadata: str = "false",
) -> Response:
    """Return what a listener loves (score 1) and hates (-1), latest first."""
    await reader_of(request, services, user)
    if score not in (None, "1", "-1"):
        raise ApiError(400, "bad-parameter", "Score can have a value of 1 or -1.")
    await check_known(services, user)
    kinds = [kind for kind, value in _SCORES.items() if score in (None, str(value))]
    wanted, skipped = page_of(count, offset)
    arguments = {"user": user, "kinds": kinds, "count": wanted, "offset": skipped}
    rows = await rows_of(services, _SAID, arguments)
    said = [_said(user, *row[:5], described=metadata.lower() == "true") for row in rows]
    total = rows[0][5] if rows else 0
    return json_reply(SaidPage(feedback=said, count=len(said), total_count=total, offset=skipped))


@router.get(
    "/user/{user}/get-feedback-for-recordings",
    summary="Feedback on these recordings",
)
async def get_feedback_for_recordings(
    request: Request,
    services: With,
    user: str,
    recording_mbids: str = "",
    recording_msids: str = "",
    recordings: str = "",
) -> Response:
    """Return one entry for each requested recording; score 0 for one without feedback.

    ``recordings`` is the old name of ``recording_msids``.
    """
    await reader_of(request, services, user)
    texts = {"mbid": recording_mbids, "msid": ",".join((recording_msids, recordings))}
    asked = [(kind, each) for kind, text in texts.items() for each in text.split(",")]
    return await _said_of(services, user, asked)


@router.post(
    "/user/{user}/get-feedback-for-recordings",
    summary="Feedback on these recordings",
    openapi_extra=body_of(RecordingsAsked),
)
async def get_feedback_for_many(request: Request, services: With, user: str) -> Response:
    """Return the same for more recordings than an address can name."""
    await reader_of(request, services, user)
    body = await read_body(request.scope, request.receive, 1_048_576)
    try:
        given = msgspec.json.decode(body, type=RecordingsAsked)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-feedback", f"Cannot parse JSON document: {error}") from None
    msids = [*_listed(given.recording_msids), *_listed(given.recordings)]
    asked = [("mbid", each) for each in _listed(given.recording_mbids)]
    return await _said_of(services, user, asked + [("msid", each) for each in msids])


async def _said_of(services: Services, user: str, given: list[tuple[str, str]]) -> Response:
    asked = [(kind, _id(text)) for kind, text in given if text.strip()]
    if not asked or len(asked) > _MOST_ASKED:
        raise ApiError(
            400, "bad-parameter", f"Name 1 to {_MOST_ASKED} recordings, by mbid or msid."
        )
    await check_known(services, user)
    # PostgreSQL cannot compute an msid, the hash of a track's names. So if one is asked for, every
    # row is read, and hashed off the event loop: a listener may have loved thousands of tracks.
    by_names = any(kind == "msid" for kind, _ in asked)
    values = {"user": user, "by_names": by_names, "ids": [name for _, name in asked]}
    rows = await rows_of(services, _SAID_OF, values)
    return json_reply({"feedback": await asyncio.to_thread(_answers, user, rows, asked)})


def _answers(
    user: str, rows: Iterable[tuple[Any, ...]], asked: list[tuple[str, str]]
) -> list[SaidOut]:
    """Return one entry for each requested recording."""
    known: dict[str | None, SaidOut] = {}
    for row in rows:
        said = _said(user, *row, described=False)
        known[row[2]] = known[said.recording_mbid] = known[said.recording_msid] = said
    return [
        known.get(
            name,
            SaidOut(
                recording_mbid=name if kind == "mbid" else None,
                recording_msid=name if kind == "msid" else None,
                score=0,
                user_id=user,
                created=0,
            ),
        )
        for kind, name in asked
    ]


def _listed(given: list[str] | str) -> list[str]:
    return given.split(",") if isinstance(given, str) else given


def _id(text: str) -> str:
    """Return an id as it is stored: UUIDs in lower case, those of Spotify as they are.

    Examples
    --------
    >>> _id("11111111-2222-4333-8444-55555555ABCD"), _id("spotify:track:0Tdd6GZ5ZBcLtJKgLdEqUW")
    ('11111111-2222-4333-8444-55555555abcd', 'spotify:track:0Tdd6GZ5ZBcLtJKgLdEqUW')
    """
    text = text.strip()
    return text if ":" in text else text.lower()


def _said(
    user: str, kind: str, created: int, track: str, artist: str, title: str, *, described: bool
) -> SaidOut:
    return SaidOut(
        recording_mbid=mbid_of(track, artist, title),
        recording_msid=recording_msid(artist, title),
        score=_SCORES[kind],
        user_id=user,
        created=created,
        track_metadata={"artist_name": artist, "track_name": title} if described else None,
    )


def _read(body: bytes) -> RecordingFeedback:
    try:
        given = msgspec.json.decode(body, type=RecordingFeedback)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-feedback", f"Cannot parse JSON document: {error}") from None
    if "\x00" in f"{given.recording_mbid}{given.recording_msid}":
        raise ApiError(400, "bad-feedback", "The id contains a unicode null")
    return given
