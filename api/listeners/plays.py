"""The history of a listener by play: read, correct, delete."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.account.me import stamp
from api.account.store import run
from api.audit import origin_of
from api.errors import ApiError, unavailable
from api.listenbrainz.queries import reader_of, rows_of
from api.plays.parse import make_play
from api.plays.wire import PlayIn
from api.services import Services
from api.web import SCHEME, With, answers, body_of, json_reply
from contracts.audit import entry
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.ids import track_key

router = APIRouter(prefix="/v1/users/{user}/plays", tags=["listener"], dependencies=[SCHEME])

_COLUMNS = """
    event_id, played_at, received_at, artist, title, album, track_id, ms_played, duration_ms,
    skipped, source, clients
"""
_PAGE = f"""
    select {_COLUMNS} from listens_v1
    where user_id = %(user)s and (played_at, event_id) < (%(before)s, %(event)s)
        and played_at >= %(after)s
        and (%(track)s::text is null or track_id = %(track)s)
        and (%(artist)s::text is null or lower(artist) = lower(%(artist)s))
        and (%(album)s::text is null or lower(album) = lower(%(album)s))
        and (%(q)s = '' or artist ilike %(like)s or title ilike %(like)s or album ilike %(like)s)
    order by played_at desc, event_id desc limit %(limit)s
"""  # noqa: S608  the columns are ours
_ONE = f"""
    select {_COLUMNS}, extra from listens_v1 where user_id = %(user)s and event_id = %(event)s
"""  # noqa: S608
# The listener sees one play where two clients reported it: the merged reports are deleted with it.
_DELETE = """
    with members as (
        select %(event)s::uuid as event_id
        union select event_id from merged_listens_v1
        where user_id = %(user)s and head_id = %(event)s
    )
    select ask_erasure(%(user)s, event_id) from members
    where event_id is distinct from %(but)s::uuid
"""
#: Between start and id of a play in ``before``: a character that addresses leave as it is.
_WITH = "~"
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class HistoryPlay(msgspec.Struct):
    """One play of the history; ``clients`` are all that reported it."""

    event_id: str
    played_at: str
    received_at: str
    artist: str
    title: str
    album: str | None
    track_id: str
    ms_played: int | None
    duration_ms: int | None
    skipped: bool | None
    source: str
    clients: list[str]


class HistoryPage(msgspec.Struct):
    """Plays, latest first; ``before`` is the parameter of the next page, if there is one.

    It is the start and the id of this page's last play.
    """

    user: str
    plays: list[HistoryPlay]
    before: str | None


class Correction(msgspec.Struct, kw_only=True):
    """What the play should say; what is left out stays, and an empty ``album`` removes it.

    A play is identified by artist, title (capitals do not count) and the second of its start: one
    of them has to change.
    """

    artist: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    title: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    album: Annotated[str, Meta(max_length=1000)] | None = None
    played_at: int | None = None


class Corrected(msgspec.Struct):
    """The corrected play is in the log under its own id; the old one is being deleted."""

    event_id: str
    replaces: str


@router.get("", responses=answers(HistoryPage), summary="A listener's plays")
async def history(
    request: Request,
    services: With,
    user: str,
    before: Annotated[str | None, Query(max_length=100)] = None,
    after: datetime | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    track: Annotated[str | None, Query(max_length=256)] = None,
    artist: Annotated[str | None, Query(max_length=1000)] = None,
    album: Annotated[str | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Return plays between two moments (ISO 8601), latest first, whose names contain `q`.

    `before` is a moment, or the `before` of the page of later plays: that one also distinguishes
    plays of one millisecond.
    `track` (an id), `artist` and `album` (names) leave only theirs.
    """
    await reader_of(request, services, user)
    like = q.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    start, event = _cursor(before)
    values = {
        "user": user, "before": start, "event": event, "after": _zoned(after) or _FIRST,
        "q": q, "like": f"%{like}%", "limit": limit + 1, "track": track, "artist": artist,
        "album": album,
    }  # fmt: skip
    rows = await rows_of(services, _PAGE, values)
    plays = [_shown(row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    more = f"{last[1].isoformat()}{_WITH}{last[0]}" if last else None
    return json_reply(HistoryPage(user, plays, more))


@router.get("/{event_id}", responses=answers(HistoryPlay), summary="One play")
async def one(request: Request, services: With, user: str, event_id: UUID) -> Response:
    """Return one play of the history."""
    await reader_of(request, services, user)
    return json_reply((await _find(services, user, event_id))[0])


@router.delete("/{event_id}", status_code=202, summary="Delete a play", response_class=Response)
async def delete(request: Request, services: With, user: str, event_id: UUID) -> Response:
    """Have one play forgotten in every store; it is gone within seconds, not at once."""
    caller = await reader_of(request, services, user)
    await _find(services, user, event_id)
    await _delete(request, services, caller.user_id, user, event_id, but=None)
    return Response(status_code=202)


@router.patch(
    "/{event_id}",
    status_code=202,
    responses=answers(Corrected, 202, "In the log."),
    openapi_extra=body_of(Correction),
    summary="Correct a play",
)
async def correct(request: Request, services: With, user: str, event_id: UUID) -> Response:
    """Put another play in the place of one: its names or its time were wrong.

    If artist and title stay, so do the track's id and everything else that the client sent. An
    album or capitals change only together with artist, title or start: a play with the same three
    is the same play, of which a later report fills empty fields only.

    The corrected play is acknowledged by the log before the old one is deleted: nothing is lost
    if one of the two fails.
    """
    caller = await reader_of(request, services, user)
    given = await read_struct(request, Correction)
    old, extra = await _find(services, user, event_id)
    artist, title = given.artist or old.artist, given.title or old.title
    same_track = track_key(artist, title) == track_key(old.artist, old.title)
    incoming = PlayIn(
        artist=artist,
        title=title,
        played_at=_milliseconds(old.played_at) if given.played_at is None else given.played_at,
        album=(old.album or "") if given.album is None else given.album,
        ms_played=old.ms_played,
        duration_ms=old.duration_ms if same_track else None,
        skipped=old.skipped,
        source=old.source,
        imported_from="correction",  # relays have sent the play, or never should
    )
    try:
        play = make_play(incoming, user, int(time.time() * 1000))
    except InvalidEvent as error:
        raise ApiError(400, error.reason, str(error)) from None
    if play.event_id == str(event_id):
        raise ApiError(
            400,
            "same-play",
            "Artist, title (capitals do not count) and the second of the start are the same as "
            "before, and these identify a play: its album or capitals alone cannot be corrected. "
            "Delete the play, wait until it has left the history, and add it again.",
        )
    if same_track:  # the ids of the track and the other fields of the client stay
        extra = {**(play.extra or {}), **(extra or {})}
        play = msgspec.structs.replace(play, track_id=old.track_id, extra=extra)
    try:
        await services.log.append(services.records.of(user, [play]))
    except BrokerUnavailable:
        raise unavailable("The play log did not acknowledge the plays") from None
    await _delete(request, services, caller.user_id, user, event_id, but=play.event_id)
    return json_reply(Corrected(play.event_id, str(event_id)), 202)


async def _find(
    services: Services, user: str, event_id: UUID
) -> tuple[HistoryPlay, dict[str, Any] | None]:
    """Return a play and its `extra`, the other fields of the client; raise 404 if it is missing."""
    rows = await rows_of(services, _ONE, {"user": user, "event": event_id})
    if not rows:
        raise ApiError(404, "unknown-play", "There is no such play in this history.")
    *columns, extra = rows[0]
    return _shown(tuple(columns)), extra


async def _delete(
    request: Request, services: Services, actor: str, user: str, event_id: UUID, but: str | None
) -> None:
    """Delete a play and the reports merged into it, except the report `but`."""
    row = entry(actor, "play.delete", user, origin_of(request), "requested")
    await run(services, _DELETE, {"user": user, "event": event_id, "but": but}, row)


def _cursor(before: str | None) -> tuple[datetime, UUID]:
    """Return the start and the id that plays come before in the order of the history."""
    if before is None:
        return _LAST, UUID(int=0)
    start, _, event = before.partition(_WITH)
    try:
        moment = datetime.fromisoformat(start)
        return _zoned(moment) or _LAST, UUID(event) if event else UUID(int=0)
    except ValueError:
        raise ApiError(
            400,
            "bad-parameter",
            "before: Send a moment (ISO 8601), or the `before` of a page.",
            field="before",
        ) from None


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _zoned(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _shown(row: tuple[Any, ...]) -> HistoryPlay:
    event, played, received, artist, title, album, track, heard, lasts, skipped, source, more = row
    clients = sorted(more) or [source]
    return HistoryPlay(
        str(event), played.isoformat(timespec="milliseconds"), stamp(received) or "", artist,
        title, album, track, heard, lasts, skipped, source, clients,
    )  # fmt: skip
