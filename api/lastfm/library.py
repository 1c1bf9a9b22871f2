"""A listener's plays: user.getInfo, user.getRecentTracks, library.removeScrobble."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from api.lastfm import nodes
from api.lastfm.errors import AUTHENTICATION_FAILED, INVALID_PARAMETERS, LastfmError
from api.lastfm.params import Params
from api.lastfm.reading import Page, number, reader
from api.lastfm.sessions import query, require_session
from api.lastfm.tree import Node
from api.listenbrainz.delete import forget_plays
from api.listenbrainz.mapping import mbid_of, recording_msid
from api.listenbrainz.playing_now import get_playing_now
from api.services import Services
from contracts.errors import StoreUnavailable
from contracts.ids import track_key

_INFO = """
    select floor(extract(epoch from a.created_at))::bigint, coalesce(c.listens, 0)
    from accounts_v1 a left join listen_counts_v1 c using (user_id) where a.user_id = %s
"""
_WHERE = "user_id = %(user)s and played_at >= %(after)s and played_at < %(before)s"
_TOTAL = f"select count(*) from listens_v1 where {_WHERE}"  # noqa: S608  the condition is ours
_PAGE = f"""
    select artist, title, album, track_id, floor(extract(epoch from played_at))::bigint
    from listens_v1 where {_WHERE}
    order by played_at desc, event_id desc limit %(limit)s offset %(skip)s
"""  # noqa: S608
_LOVED = """
    select track_key from listener_feedback_v1
    where user_id = %(user)s and kind = 'love' and track_key = any(%(keys)s)
"""


async def get_info(services: Services, params: Params) -> Node:
    """user.getInfo: name, play count and since when."""
    user = await reader(services, params)
    rows = await query(services, _INFO, (user,), services.pool)
    if not rows:
        raise LastfmError(INVALID_PARAMETERS, "User not found")
    since, plays = rows[0]
    text = datetime.fromtimestamp(since, UTC).strftime("%d %b %Y, %H:%M")
    registered = Node("registered", text, {"unixtime": str(since)})
    parts = [Node("name", user), Node("realname"), Node("url"), Node("playcount", str(plays))]
    return Node("user", children=[*parts, registered, *nodes.images()])


async def get_recent_tracks(services: Services, params: Params) -> Node:
    """user.getRecentTracks: pages of plays, latest first, with what plays now on the first.

    ``extended=1`` adds the artist as an object and whether the track is loved.
    """
    user, page = await reader(services, params), Page.of(params)
    bounds: dict[str, Any] = {
        "user": user,
        "after": datetime.fromtimestamp(number(params, "from", 0), UTC),
        "before": datetime.fromtimestamp(number(params, "to", 253_000_000_000), UTC),
        "limit": page.limit,
        "skip": page.skipped,
    }
    total = (await query(services, _TOTAL, bounds, services.pool))[0][0]
    rows = await query(services, _PAGE, bounds, services.pool)
    if page.number == 1 and (now := await _now_playing(services, user)) is not None:
        rows.insert(0, now)
    loved = await _loved(services, user, rows) if params.get("extended") == "1" else None
    tracks = [_track(row, loved) for row in rows]
    return page.node("recenttracks", "track", total, tracks, user=user)


async def remove_scrobble(services: Services, params: Params) -> None:
    """library.removeScrobble: have one play deleted, soon after.

    Raises
    ------
    LastfmError
        9; 4 for a session that may only scrobble; 6; 16.
    """
    identity = await require_session(services, params.get("sk"))
    if not identity.may_act_for(identity.user_id):
        raise LastfmError(
            AUTHENTICATION_FAILED,
            "This session may only scrobble: log in with an API token to delete plays.",
        )
    artist, title = params.need("artist").strip(), params.need("track").strip()
    params.need("timestamp")
    second = number(params, "timestamp", 0)
    msid = recording_msid(artist, title)
    await forget_plays(services, identity.user_id, second, msid, params.origin)


async def _now_playing(services: Services, user: str) -> tuple[Any, ...] | None:
    """Return the current track as a row without a time."""
    try:
        metadata = await get_playing_now(services, user)
    except StoreUnavailable:
        return None  # the plays themselves are worth more than the one that is running
    if metadata is None:
        return None
    artist, title = metadata["artist_name"], metadata["track_name"]
    return artist, title, metadata.get("release_name"), "", None


async def _loved(services: Services, user: str, rows: list[tuple[Any, ...]]) -> set[str]:
    keys = list({_key(row) for row in rows})
    found = await query(services, _LOVED, {"user": user, "keys": keys}, services.pool)
    return {key for (key,) in found}


def _key(row: tuple[Any, ...]) -> str:
    return f"{track_key(row[0], row[1]):016x}"


def _track(row: tuple[Any, ...], loved: set[str] | None) -> Node:
    artist, title, album, track_id, second = row
    parts = [
        nodes.by(artist) if loved is None else nodes.artist(artist),
        Node("name", title),
        Node("mbid", mbid_of(track_id, artist, title) or ""),
        Node("album", album or "", {"mbid": ""}),
        nodes.url(artist, title),
        Node("streamable", "0"),
        *nodes.images(),
    ]
    if loved is not None:
        parts.append(Node("loved", str(int(_key(row) in loved))))
    if second is None:
        return Node("track", attributes={"nowplaying": "true"}, children=parts)
    return Node("track", children=[*parts, nodes.date(second)])
