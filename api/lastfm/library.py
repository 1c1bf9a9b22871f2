"""Reading a listener's plays: user.getInfo and user.getRecentTracks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api.errors import ApiError
from api.lastfm.errors import INVALID_PARAMETERS, LOGIN_REQUIRED, LastfmError, try_again
from api.lastfm.params import Params
from api.lastfm.sessions import identify, query
from api.lastfm.tree import Node
from api.listenbrainz.playing_now import get_playing_now
from api.services import Services
from contracts.errors import StoreUnavailable

_INFO = """
    select extract(epoch from a.created_at)::bigint, coalesce(c.listens, 0)
    from accounts_v1 a left join listen_counts_v1 c using (user_id) where a.user_id = %s
"""
_WHERE = "user_id = %(user)s and played_at >= %(after)s and played_at < %(before)s"
_TOTAL = f"select count(*) from listens_v1 where {_WHERE}"  # noqa: S608  the condition is ours
_PAGE = f"""
    select artist, title, album, extract(epoch from played_at)::bigint
    from listens_v1 where {_WHERE}
    order by played_at desc limit %(limit)s offset %(skip)s
"""  # noqa: S608
_MOST = 200


async def get_info(services: Services, params: Params) -> Node:
    """user.getInfo: name, play count and since when."""
    user = await _reader(services, params)
    rows = await query(services, _INFO, (user,), services.pool)
    if not rows:
        raise LastfmError(INVALID_PARAMETERS, "User not found")
    since, plays = rows[0]
    registered = Node("registered", _date(since), {"unixtime": str(since)})
    parts = [Node("name", user), Node("realname"), Node("url"), Node("playcount", str(plays))]
    return Node("user", children=[*parts, registered])


async def get_recent_tracks(services: Services, params: Params) -> Node:
    """user.getRecentTracks: pages of plays, latest first, with what plays now on the first."""
    user = await _reader(services, params)
    limit = min(_MOST, max(1, _number(params, "limit", 50)))
    page = min(100_000, max(1, _number(params, "page", 1)))
    bounds: dict[str, Any] = {
        "user": user,
        "after": datetime.fromtimestamp(_number(params, "from", 0), UTC),
        "before": datetime.fromtimestamp(_number(params, "to", 253_000_000_000), UTC),
        "limit": limit,
        "skip": limit * (page - 1),
    }
    total = (await query(services, _TOTAL, bounds, services.pool))[0][0]
    rows = await query(services, _PAGE, bounds, services.pool)
    tracks = [_track(*row) for row in rows]
    if page == 1 and (now := await _now_playing(services, user)) is not None:
        tracks.insert(0, now)
    attributes = {
        "user": user,
        "page": str(page),
        "perPage": str(limit),
        "totalPages": str(-(-total // limit)),
        "total": str(total),
    }
    return Node("recenttracks", attributes=attributes, children=tracks, holds="track")


async def _reader(services: Services, params: Params) -> str:
    """Return whose data is asked for, once it is sure that the caller may see it."""
    identity = await identify(services, params.get("sk"))
    if identity is None:
        raise LastfmError(LOGIN_REQUIRED, "Login: the call needs a session key (sk).")
    user = params.get("user") or identity.user_id
    if not identity.may_scrobble_for(user):
        raise LastfmError(LOGIN_REQUIRED, "Login: only a listener sees the own plays.")
    if "\x00" in user:
        raise LastfmError(INVALID_PARAMETERS, "User not found")
    if user != identity.user_id:
        try:
            await services.audit.note_reading(identity.user_id, user, params.origin)
        except ApiError:  # what cannot be put on record may not be read
            raise try_again() from None
    return user


async def _now_playing(services: Services, user: str) -> Node | None:
    try:
        metadata = await get_playing_now(services, user)
    except StoreUnavailable:
        return None  # the plays themselves are worth more than the one that is running
    if metadata is None:
        return None
    album = metadata.get("release_name")
    node = _track(metadata["artist_name"], metadata["track_name"], album, None)
    node.attributes = {"nowplaying": "true"}
    return node


def _track(artist: str, title: str, album: str | None, second: int | None) -> Node:
    parts = [
        Node("artist", artist, {"mbid": ""}),
        Node("name", title),
        Node("mbid"),
        Node("album", album or "", {"mbid": ""}),
        Node("url"),
    ]
    if second is not None:
        parts.append(Node("date", _date(second), {"uts": str(second)}))
    return Node("track", children=parts)


def _date(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%d %b %Y, %H:%M")


def _number(params: Params, name: str, default: int) -> int:
    text = params.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise LastfmError(INVALID_PARAMETERS, f"{name} must be a whole number.")
    return int(text)
