"""The reading half of the ListenBrainz API, answered from PostgreSQL.

Listens are shown to their listener and to tokens that act for listeners: unlike ListenBrainz, a
deployment of ours is not a public place.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from api.errors import ApiError, unavailable
from api.listenbrainz.limits import DEFAULT_ITEMS, MAX_ITEMS
from api.listenbrainz.mapping import listen_of
from api.listenbrainz.playing_now import get_playing_now
from api.listenbrainz.queries import check_known, non_negative, reader_of, rows_of
from api.listenbrainz.replies import (
    ListenCount,
    Listens,
    PlayingNow,
    Validated,
)
from api.web import SCHEME, With, answers, json_reply
from contracts.errors import StoreUnavailable

router = APIRouter(prefix="/1", tags=["ListenBrainz"], dependencies=[SCHEME])

_COLUMNS = "played_at, received_at, artist, title, album, duration_ms, extra"
_LATEST = f"""
    select {_COLUMNS} from listens_v1
    where user_id = %(user)s and played_at < %(before)s and played_at >= %(after)s
    order by played_at desc, event_id desc limit %(count)s
"""  # noqa: S608  the columns are ours
_EARLIEST = f"""
    select {_COLUMNS} from listens_v1
    where user_id = %(user)s and played_at >= %(after)s
    order by played_at, event_id limit %(count)s
"""  # noqa: S608
_BOUNDS = "select min(played_at), max(played_at) from listens_v1 where user_id = %(user)s"
_COUNT = "select listens from listen_counts_v1 where user_id = %(user)s"
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


@router.get("/validate-token", responses=answers(Validated), summary="Is this token good?")
async def validate_token(request: Request, services: With) -> Response:
    """Say whether a token is good, and whose it is; 200 both ways."""
    token = request.query_params.get("token")
    if token is None:
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        token = rest.strip() if scheme.lower() in ("token", "bearer") else None
    if not token:
        raise ApiError(400, "no-token", "You need to provide an Authorization token.")
    identity = await services.accounts.identify(token)
    if identity is None:
        return json_reply({"code": 200, "message": "Token invalid.", "valid": False})
    return json_reply(
        {"code": 200, "message": "Token valid.", "valid": True, "user_name": identity.user_id}
    )


@router.get("/user/{user}/listens", responses=answers(Listens), summary="Latest listens")
async def listens(
    request: Request,
    services: With,
    user: str,
    count: str | None = None,
    max_ts: str | None = None,
    min_ts: str | None = None,
) -> Response:
    """Return listens, latest first, between two exclusive bounds in seconds since the epoch.

    A bound is compared with `listened_at`, a whole second.
    """
    await reader_of(request, services, user, plays_only=True)
    wanted = min(MAX_ITEMS, non_negative("count", count, DEFAULT_ITEMS))
    after, before = _moment("min_ts", min_ts, _FIRST), _moment("max_ts", max_ts, _LAST)
    if min_ts is not None and max_ts is not None and after > before:
        raise ApiError(400, "bad-parameter", "max_ts should be greater than min_ts")
    if min_ts is not None:  # a play of this second has it as its listened_at: it is left out
        after += timedelta(seconds=1)
    arguments = {"user": user, "before": before, "after": after, "count": wanted}
    await check_known(services, user)
    if min_ts is not None and max_ts is None:
        rows = (await rows_of(services, _EARLIEST, arguments))[::-1]
    else:
        rows = await rows_of(services, _LATEST, arguments)
    oldest, latest = (await rows_of(services, _BOUNDS, arguments))[0]
    shown = [listen_of(user, row) for row in rows]
    payload = {
        "count": len(shown),
        "user_id": user,
        "latest_listen_ts": int(latest.timestamp()) if latest else 0,
        "oldest_listen_ts": int(oldest.timestamp()) if oldest else 0,
        "listens": shown,
    }
    return json_reply({"payload": payload})


@router.get("/user/{user}/listen-count", responses=answers(ListenCount), summary="How many listens")
async def listen_count(request: Request, services: With, user: str) -> Response:
    """Return the exact number of a listener's plays."""
    await reader_of(request, services, user, plays_only=True)
    rows = await rows_of(services, _COUNT, {"user": user})
    if not rows:
        await check_known(services, user)
    return json_reply({"payload": {"count": rows[0][0] if rows else 0}})


@router.get("/user/{user}/playing-now", responses=answers(PlayingNow), summary="What plays now")
async def playing_now(request: Request, services: With, user: str) -> Response:
    """Return the track that a player reported as playing now, until it ends."""
    await reader_of(request, services, user, plays_only=True)
    await check_known(services, user)
    try:
        metadata = await get_playing_now(services, user)
    except StoreUnavailable:
        raise unavailable("The current track cannot be read") from None
    shown = []
    if metadata is not None:
        # Clients in strict languages insist on the object, even an empty one.
        whole = {**metadata, "additional_info": metadata.get("additional_info") or {}}
        shown = [{"track_metadata": whole, "user_name": user, "playing_now": True}]
    payload = {"count": len(shown), "user_id": user, "playing_now": True, "listens": shown}
    return json_reply({"payload": payload})


def _moment(name: str, text: str | None, default: datetime) -> datetime:
    if text is None:
        return default
    if not text.removeprefix("-").isdigit() or not text.isascii() or len(text) > 12:
        raise ApiError(400, "bad-parameter", f"Invalid {name} argument: {text}")
    return datetime.fromtimestamp(min(max(int(text), 0), 253_000_000_000), UTC)
