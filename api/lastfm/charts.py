"""What a listener plays most and loves: user.getTop..., user.getWeekly..., user.getLovedTracks.

The counts are those of ListenBrainz' statistics here: plays that were heard, spellings as one, days
by the listener's time zone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from api.lastfm import nodes
from api.lastfm.errors import INVALID_PARAMETERS, LastfmError
from api.lastfm.params import Params
from api.lastfm.reading import Page, number, reader
from api.lastfm.sessions import query
from api.lastfm.tree import Node
from api.listenbrainz.mapping import mbid_of
from api.listenbrainz.stats import chart, zone_of
from api.services import Services
from contracts.plays import OLDEST_MS

Method = Callable[[Services, Params], Awaitable[Node]]
#: ``period`` -> days; ``None``: everything.
PERIODS: dict[str, int | None] = {
    "overall": None, "7day": 7, "1month": 30, "3month": 90, "6month": 180, "12month": 365,
}  # fmt: skip
_FIRST = datetime.fromtimestamp(OLDEST_MS / 1000, UTC)
#: Weeks that user.getWeeklyChartList names, and where a week begins (Monday).
_WEEKS = 520
_WEEK = timedelta(days=7)
#: Kind -> the entity that is counted, and the name of an item.
_ENTITIES = {"artists": "artists", "albums": "releases", "tracks": "recordings"}
_LOVED = """
    select artist, title, track_id, floor(extract(epoch from given_at))::bigint, count(*) over ()
    from listener_feedback_v1 where user_id = %(user)s and kind = 'love'
    order by given_at desc, track_key limit %(limit)s offset %(skip)s
"""
_FIRST_PLAY = "select min(played_at) from listens_v1 where user_id = %(user)s"


def top(kind: str) -> Method:
    """Return user.getTopArtists, ...Albums or ...Tracks."""

    async def get_top(services: Services, params: Params) -> Node:
        user, page = await reader(services, params), Page.of(params)
        period = params.get("period") or "overall"
        if period not in PERIODS:
            known = ", ".join(PERIODS)
            raise LastfmError(INVALID_PARAMETERS, f"period must be one of {known}.")
        days, now = PERIODS[period], datetime.now(await zone_of(services, user))
        begin = _FIRST if days is None else now - timedelta(days=days)
        ranked = await chart(services, user, _ENTITIES[kind], begin, now)
        items = [_item(kind, row, rank, nodes.artist) for rank, row in page.cut(ranked)]
        return page.node(f"top{kind}", kind[:-1], len(ranked), items, user=user)

    return get_top


def weekly(kind: str) -> Method:
    """Return user.getWeeklyArtistChart, ...AlbumChart or ...TrackChart; by default last week's."""

    async def get_weekly(services: Services, params: Params) -> Node:
        user = await reader(services, params)
        zone = await zone_of(services, user)
        last = _monday(datetime.now(zone)) - _WEEK
        begin = number(params, "from", int(last.timestamp()))
        end = number(params, "to", begin + int(_WEEK.total_seconds()))
        if not begin < end < 253_000_000_000:
            raise LastfmError(INVALID_PARAMETERS, "from must be before to, in seconds.")
        span = (datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(end, UTC))
        ranked = await chart(services, user, _ENTITIES[kind], *span)
        most = min(1000, max(1, number(params, "limit", 1000)))
        shown = enumerate(ranked[:most], start=1)
        items = [_item(kind, row, rank, nodes.by) for rank, row in shown]
        attributes = {"user": user, "from": str(begin), "to": str(end)}
        name = kind[:-1]
        return Node(f"weekly{name}chart", attributes=attributes, children=items, holds=name)

    return get_weekly


async def get_weekly_chart_list(services: Services, params: Params) -> Node:
    """user.getWeeklyChartList: the weeks since the first play, oldest first."""
    user = await reader(services, params)
    rows = await query(services, _FIRST_PLAY, {"user": user}, services.pool)
    zone = await zone_of(services, user)
    end = _monday(datetime.now(zone))
    first = rows[0][0] if rows and rows[0][0] is not None else None
    weeks: list[Node] = []
    while first is not None and end > first and len(weeks) < _WEEKS:
        begin = end - _WEEK
        about = {"from": str(int(begin.timestamp())), "to": str(int(end.timestamp()))}
        weeks.append(Node("chart", "", about))
        end = begin
    return Node("weeklychartlist", attributes={"user": user}, children=weeks[::-1], holds="chart")


async def get_loved_tracks(services: Services, params: Params) -> Node:
    """user.getLovedTracks: the latest love first."""
    user, page = await reader(services, params), Page.of(params)
    values = {"user": user, "limit": page.limit, "skip": page.skipped}
    rows = await query(services, _LOVED, values, services.pool)
    items = [
        nodes.track(
            title, nodes.artist(artist), nodes.date(at), mbid=mbid_of(track_id, artist, title) or ""
        )
        for artist, title, track_id, at, _ in rows
    ]
    total = rows[0][-1] if rows else 0
    return page.node("lovedtracks", "track", total, items, user=user)


def _item(kind: str, row: tuple[Any, ...], rank: int, of: Callable[[str, str], Node]) -> Node:
    *names, mbid, count = row
    plays = Node("playcount", str(count))
    if kind == "artists":
        return nodes.artist(names[0], mbid or "", plays, rank=rank)
    make = nodes.album if kind == "albums" else nodes.track
    return make(names[0], of(names[1], mbid or ""), plays, rank=rank)


def _monday(moment: datetime) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
