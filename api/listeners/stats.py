"""GET /v1/users/{user}/stats: what a listener heard in any period, in any time zone."""

from __future__ import annotations

import asyncio
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.account.me import stamp
from api.errors import ApiError
from api.listenbrainz.queries import reader_of, rows_of
from api.listenbrainz.stats import chart
from api.services import Services
from api.web import SCHEME, With, answers, json_reply
from contracts import plays_sql

router = APIRouter(prefix="/v1", tags=["listener"], dependencies=[SCHEME])

#: Longest period (days): ten years.
LONGEST = 3_660
_IN = "user_id = %(user)s and played_at >= %(start)s and played_at < %(end)s"
_LENGTHS = ("ms_played", "duration_ms", "skipped")
_TOTALS = f"""
    select count(*), coalesce(sum({plays_sql.heard_ms(*_LENGTHS)}), 0),
        count(distinct (lower(artist), lower(title))), count(distinct lower(artist)),
        count(*) filter (where {plays_sql.was_skipped(*_LENGTHS)}), min(played_at), max(played_at)
    from listens_v1 where {_IN}
"""  # noqa: S608  the conditions are ours
# A discovery is a track whose first play ever lies in the period.
_DISCOVERED = f"""
    select count(*) from (
        select distinct lower(artist) as artist, lower(title) as title from listens_v1 where {_IN}
    ) heard
    where not exists (
        select 1 from listens_v1 p where p.user_id = %(user)s and p.played_at < %(start)s
            and lower(p.artist) = heard.artist and lower(p.title) = heard.title
    )
"""  # noqa: S608
_WEEK = f"""
    select extract(isodow from played_at at time zone %(zone)s)::int - 1,
        extract(hour from played_at at time zone %(zone)s)::int, count(*)
    from listens_v1 where {_IN} group by 1, 2
"""  # noqa: S608
_SERIES = f"""
    select date_trunc(%(by)s, played_at at time zone %(zone)s)::date, count(*)
    from listens_v1 where {_IN} group by 1 order by 1
"""  # noqa: S608
_TRACKS = f"""
    select min(artist), min(title), min(track_id), count(*) from listens_v1 where {_IN}
    group by lower(artist), lower(title) order by 4 desc, 1, 2 limit %(limit)s
"""  # noqa: S608


class Totals(msgspec.Struct):
    """Sums of a period, by the definitions of the warehouse.

    ``hours`` are the time heard, at most the length of the track, and the length where only that is
    known. ``skips`` are plays that the client reports as skipped or that ended early.
    """

    plays: int
    hours: float
    tracks: int
    artists: int
    skips: int
    discoveries: int
    first: str | None
    last: str | None


class Played(msgspec.Struct):
    """An artist, album or track with its plays; ``name`` is the album's or the track's."""

    artist: str
    name: str | None
    track_id: str | None
    plays: int


class Part(msgspec.Struct):
    """Plays of one day, week or month, by its first day."""

    day: str
    plays: int


class Statistics(msgspec.Struct):
    """A period (``end`` is the day after the last), the one before it, and what was in it.

    ``week`` holds plays by day from Monday and hour of the zone. Artists and albums are those of
    ListenBrainz' statistics: plays that were heard, spellings as one, namesakes apart where players
    send MusicBrainz ids.
    """

    user: str
    start: str
    end: str
    zone: str
    by: str
    totals: Totals
    before: Totals
    series: list[Part]
    week: list[list[int]]
    artists: list[Played]
    albums: list[Played]
    tracks: list[Played]


@router.get("/users/{user}/stats", responses=answers(Statistics), summary="Statistics of a period")
async def stats(
    request: Request,
    services: With,
    user: str,
    start: Annotated[date, Query(alias="from")],
    end: Annotated[date, Query(alias="to", description="The last day")],
    tz: Annotated[str, Query(max_length=64)] = "UTC",
    by: Literal["day", "week", "month"] = "day",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """Return what a listener heard from one day to another, and in as many days before them."""
    await reader_of(request, services, user)
    zone = zone_named(tz)
    if end < start:
        raise ApiError(400, "bad-period", "The period ends before it begins.", field="to")
    days = (end - start).days + 1
    if days > LONGEST or start.year < 1990 or end.year > 9000:
        raise ApiError(400, "bad-period", "A period may have at most ten years.", field="from")
    values: dict[str, Any] = {
        "user": user, "zone": tz, "by": by, "limit": limit, "start": _at(start, zone),
        "end": _at(end + timedelta(days=1), zone),
    }  # fmt: skip
    earlier = values | {"start": _at(start - timedelta(days=days), zone), "end": values["start"]}
    (totals, before), (artists, albums), series, week, tracks = await asyncio.gather(
        asyncio.gather(_totals(services, values), _totals(services, earlier)),
        asyncio.gather(
            *(
                chart(services, user, entity, values["start"], values["end"])
                for entity in ("artists", "releases")
            )
        ),
        rows_of(services, _SERIES, values),
        rows_of(services, _WEEK, values),
        rows_of(services, _TRACKS, values),
    )
    hours = [[0] * 24 for _ in range(7)]
    for day, hour, count in week:
        hours[day][hour] = count
    return json_reply(
        Statistics(
            user, start.isoformat(), (end + timedelta(days=1)).isoformat(), tz, by, totals, before,
            [Part(day.isoformat(), count) for day, count in series], hours,
            [Played(artist, None, None, count) for artist, _, count in artists[:limit]],
            [Played(artist, name, None, count) for name, artist, _, count in albums[:limit]],
            [Played(*row) for row in tracks],
        )
    )  # fmt: skip


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """Return a time zone; raise a 400 for an unknown one."""
    if name not in zoneinfo.available_timezones():
        raise ApiError(400, "bad-time-zone", f"{name!r} is not a time zone.", field="tz")
    return zoneinfo.ZoneInfo(name)


async def _totals(services: Services, values: dict[str, Any]) -> Totals:
    found, discovered = await asyncio.gather(
        rows_of(services, _TOTALS, values), rows_of(services, _DISCOVERED, values)
    )
    plays, heard, tracks, artists, skips, first, last = found[0]
    return Totals(
        plays, round(float(heard) / 3_600_000, 1), tracks, artists, skips, discovered[0][0],
        stamp(first), stamp(last),
    )  # fmt: skip


def _at(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
