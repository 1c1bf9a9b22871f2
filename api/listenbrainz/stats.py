"""Statistics of one listener, counted when asked from the plays of that listener."""

from __future__ import annotations

import asyncio
from calendar import day_name, monthrange
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Request, Response

from api.errors import ApiError
from api.listenbrainz.queries import check_known, page_of, reader_of, rows_of
from api.services import Services
from api.web import SCHEME, With, json_reply
from contracts import plays_sql
from contracts.ids import normalise
from contracts.placeholders import ARTISTS, TITLES
from contracts.plays import OLDEST_MS

router = APIRouter(prefix="/1/stats/user", tags=["ListenBrainz"], dependencies=[SCHEME])

HOURS = range(24)
_FIRST = datetime.fromtimestamp(OLDEST_MS / 1000, UTC)

#: Entity -> the columns that identify it, and what they are called in the answer.
_ENTITIES: dict[str, tuple[tuple[str, str], ...]] = {
    "artists": (("artist", "artist_name"),),
    "releases": (("album", "release_name"), ("artist", "artist_name")),
    "recordings": (("title", "track_name"), ("artist", "artist_name")),
}
#: Entities of the statistics -> the entity that is counted, and its name for an item's own name.
_SAME: dict[str, tuple[str, str]] = {"release-groups": ("releases", "release_group_name")}
#: Of the artist who is named first, where the player sends it.
_MBID = """case when length(extra->'artist_mbids'->>0) = 36
    then lower(extra->'artist_mbids'->>0) end"""
_COUNTED = plays_sql.counts("ms_played", "duration_ms", "skipped")
_STEPS = {"week": "day", "month": "day", "quarter": "month", "half_yearly": "month"}


@router.get("/{user}/listening-activity", summary="Listens by day, month or year")
async def listening_activity(
    request: Request, services: With, user: str, range: str = "all_time"
) -> Response:
    """Return how many plays fell into each part of a range, by the listener's time zone."""
    await reader_of(request, services, user)
    await check_known(services, user)
    zone = await zone_of(services, user)
    start, end = bounds(range, datetime.now(zone))
    step = _STEPS.get(range.removeprefix("this_"), "year" if range == "all_time" else "month")
    rows = await rows_of(
        services,
        "select date_trunc(%(step)s, played_at at time zone %(zone)s) as part, count(*)"
        " from listens_v1"
        " where user_id = %(user)s and played_at >= %(start)s and played_at < %(end)s"
        " group by part order by part",
        {"user": user, "step": step, "start": start, "end": end, "zone": zone.key},
    )
    if not rows:
        return Response(status_code=204)
    parts = [_part(moment.replace(tzinfo=zone), step, count) for moment, count in rows]
    return json_reply({"payload": {"listening_activity": parts, **_about(user, range, start, end)}})


@router.get("/{user}/daily-activity", summary="Listens by weekday and hour")
async def daily_activity(
    request: Request, services: With, user: str, range: str = "all_time"
) -> Response:
    """Return how many plays fell into each hour of the week, by the listener's time zone."""
    await reader_of(request, services, user)
    await check_known(services, user)
    zone = await zone_of(services, user)
    start, end = bounds(range, datetime.now(zone))
    rows = await rows_of(
        services,
        "select extract(isodow from played_at at time zone %(zone)s)::integer as day,"
        " extract(hour from played_at at time zone %(zone)s)::integer as hour, count(*)"
        " from listens_v1"
        " where user_id = %(user)s and played_at >= %(start)s and played_at < %(end)s"
        " group by day, hour",
        {"user": user, "start": start, "end": end, "zone": zone.key},
    )
    if not rows:
        return Response(status_code=204)
    heard = {(day, hour): count for day, hour, count in rows}
    week = {
        name: [{"hour": h, "listen_count": heard.get((day, h), 0)} for h in HOURS]
        for day, name in enumerate(day_name, start=1)
    }
    about = {**_about(user, range, start, end), "stats_range": range}
    return json_reply({"payload": {"daily_activity": week, **about}})


@router.get("/{user}/{entity}", summary="Most played artists, releases or recordings")
async def top(
    request: Request,
    services: With,
    user: str,
    entity: str,
    range: str = "all_time",
    count: str | None = None,
    offset: str | None = None,
) -> Response:
    """Return the most played artists, releases or recordings; 204 if there are no plays.

    A play counts if it was heard for 30 s, or for half of a shorter track. Spellings of one name
    are counted together.
    """
    counted, own_name = _SAME.get(entity, (entity, ""))
    if counted not in _ENTITIES:
        raise ApiError(404, "not-found", f"This server has no statistics of {entity}.")
    await reader_of(request, services, user)
    await check_known(services, user)
    start, end = bounds(range, datetime.now(await zone_of(services, user)))
    ranked = await chart(services, user, counted, start, end)
    most, skip = page_of(count, offset)
    shown = ranked[skip : skip + most]
    if not shown:
        return Response(status_code=204)
    labels = [label for _, label in _ENTITIES[counted]]
    labels[0] = own_name or labels[0]
    items = [
        {
            **dict(zip(labels, names, strict=True)),
            **({"artist_mbids": [mbid]} if mbid else {}),
            "listen_count": plays,
        }
        for *names, mbid, plays in shown
    ]
    name = entity.replace("-", "_")
    payload = {
        name: items,
        "count": len(items),
        f"total_{name[:-1]}_count": len(ranked),
        "offset": skip,
        **_about(user, range, start, end),
    }
    return json_reply({"payload": payload})


async def chart(
    services: Services, user: str, entity: str, start: datetime, end: datetime
) -> list[tuple[Any, ...]]:
    """Return ``(names..., mbid, plays)`` of what a listener played most between two moments.

    Parameters
    ----------
    entity
        ``artists``: (artist); ``releases``: (album, artist); ``recordings``: (title, artist). The
        MusicBrainz id is the artist's, ``None`` where no player has sent one.
    """
    columns = _ENTITIES[entity]
    names = ", ".join(column for column, _ in columns)
    rows = await rows_of(
        services,
        f"select {names}, {_MBID} as mbid, count(*) from listens_v1"  # noqa: S608  our columns
        " where user_id = %(user)s and played_at >= %(start)s and played_at < %(end)s"
        f" and {columns[0][0]} is not null and {_COUNTED} group by {names}, mbid",
        {"user": user, "start": start, "end": end},
    )
    # Many names in many spellings: off the event loop.
    return await asyncio.to_thread(rank, rows)


async def zone_of(services: Services, user: str) -> ZoneInfo:
    """Return the time zone of a listener's account, UTC where none is set."""
    rows = await rows_of(
        services,
        "select time_zone from account_settings_v1 where user_id = %(user)s",
        {"user": user},
    )
    try:
        return ZoneInfo(rows[0][0]) if rows else ZoneInfo("UTC")
    except (ZoneInfoNotFoundError, ValueError):  # the machine knows fewer zones than it did
        return ZoneInfo("UTC")


def rank(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return ``(names..., mbid, plays)`` with spellings of one name together, most played first.

    The spelling played most is shown; names that stand for no name are left out. Artists of one
    name are apart where their MusicBrainz ids differ; what was sent without an id counts for the
    one of them who is played most.

    Examples
    --------
    >>> rank([("Air", None, 2), ("AIR", "x", 1), ("Unknown Artist", None, 9)])
    [('Air', 'x', 3)]
    >>> rank([("Air", None, 2), ("AIR", "x", 1), ("Air", "y", 5)])
    [('Air', 'y', 7), ('AIR', 'x', 1)]
    """
    first = _first_of_each_name(rows)
    found: dict[tuple[Any, ...], tuple[int, int, tuple[str, ...]]] = {}
    for *names, mbid, count in rows:
        folded = tuple(map(normalise, names))
        if not ARTISTS.isdisjoint(folded) or not TITLES.isdisjoint(folded):
            continue
        key: tuple[str | None, ...] = (*folded, mbid or first.get(folded[-1]))
        total, most, shown = found.get(key, (0, 0, ()))
        better = (-count, tuple(names)) < (-most, shown) if shown else True
        found[key] = (total + count, max(most, count), tuple(names) if better else shown)
    ranked = [(*shown, key[-1], total) for key, (total, _, shown) in found.items()]
    return sorted(ranked, key=lambda row: (-row[-1], row[:-2], row[-2] or ""))


def _first_of_each_name(rows: list[tuple[Any, ...]]) -> dict[str, str]:
    """Return for each folded artist name the MusicBrainz id that is played most under it."""
    plays: Counter[tuple[str, str]] = Counter()
    for *names, mbid, count in rows:
        if mbid:
            plays[normalise(names[-1]), mbid] += count
    least_first = sorted(plays.items(), key=lambda item: (item[1], item[0][1]))
    return {name: mbid for (name, mbid), _ in least_first}


def bounds(name: str, now: datetime) -> tuple[datetime, datetime]:
    """Return start and end of a range in the time zone of `now`; weeks begin on Monday.

    Raises
    ------
    ApiError
        400 for a range nobody knows.

    Examples
    --------
    >>> [str(day.date()) for day in bounds("month", datetime(2024, 3, 15, tzinfo=UTC))]
    ['2024-02-01', '2024-03-01']
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    week = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    year = month.replace(month=1)
    quarter = month.replace(month=3 * ((month.month - 1) // 3) + 1)
    found = {
        "this_week": (week, now),
        "this_month": (month, now),
        "this_year": (year, now),
        "week": (week - timedelta(days=7), week),
        "month": (_months_before(month, 1), month),
        "quarter": (_months_before(quarter, 3), quarter),
        "half_yearly": (_months_before(month, 6), month),
        "year": (year.replace(year=year.year - 1), year),
        "all_time": (_FIRST.replace(tzinfo=now.tzinfo), now),
    }
    if name not in found:
        raise ApiError(400, "bad-parameter", f"Invalid range: {name}")
    return found[name]


def _months_before(month: datetime, count: int) -> datetime:
    index = month.year * 12 + month.month - 1 - count
    return month.replace(year=index // 12, month=index % 12 + 1)


def _part(start: datetime, step: str, count: int) -> dict[str, Any]:
    days = {
        "day": 1,
        "month": monthrange(start.year, start.month)[1],
        "year": 366 if monthrange(start.year, 2)[1] == 29 else 365,
    }[step]
    end = start + timedelta(days=days)  # by the clock of the zone: a day may have 23 or 25 hours
    label = {"day": "%A %d %B %Y", "month": "%B %Y", "year": "%Y"}[step]
    first = int(start.timestamp())
    return {
        "from_ts": first,
        "to_ts": int(end.timestamp()) - 1,
        "time_range": start.strftime(label),
        "listen_count": count,
    }


def _about(user: str, name: str, start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "user_id": user,
        "range": name,
        "from_ts": int(start.timestamp()),
        "to_ts": int(end.timestamp()),
        "time_zone": str(start.tzinfo),
        "last_updated": int(datetime.now(UTC).timestamp()),
    }
