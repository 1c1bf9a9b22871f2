"""GET /v1/users/{user}/stats/months: how often the most played artists were heard, by month."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.listenbrainz.queries import reader_of, rows_of
from api.listeners.stats import zone_named
from api.web import SCHEME, With, answers, json_reply

router = APIRouter(prefix="/v1", tags=["listener"], dependencies=[SCHEME])

_HEARD = """
    with heard as (
        select date_trunc('month', played_at at time zone %(zone)s)::date as month,
            lower(artist) as key, min(artist) as artist, count(*) as plays
        from listens_v1 where user_id = %(user)s and played_at >= %(start)s
        group by 1, 2
    ), best as (
        select key, min(artist) as artist, sum(plays) as total from heard
        group by key order by total desc, key limit %(limit)s
    )
    select b.artist, h.month, h.plays from heard h join best b using (key)
    order by b.total desc, b.key, h.month
"""


class ArtistMonths(msgspec.Struct):
    """Plays of an artist, one number for each month."""

    artist: str
    plays: list[int]


class Months(msgspec.Struct):
    """The most played artists of some months; ``months`` are their first days."""

    user: str
    zone: str
    months: list[str]
    artists: list[ArtistMonths]


@router.get("/users/{user}/stats/months", responses=answers(Months), summary="Tastes over months")
async def months(
    request: Request,
    services: With,
    user: str,
    tz: Annotated[str, Query(max_length=64)] = "UTC",
    months: Annotated[int, Query(ge=2, le=60)] = 12,
    limit: Annotated[int, Query(ge=1, le=10)] = 6,
) -> Response:
    """Return the plays of the most played artists by month, this month last."""
    await reader_of(request, services, user)
    zone = zone_named(tz)
    today = datetime.now(zone).date()
    days = [_back(today, months - 1 - i) for i in range(months)]
    start = datetime.combine(days[0], time(), zone)
    rows = await rows_of(
        services, _HEARD, {"user": user, "zone": tz, "start": start, "limit": limit}
    )
    found: dict[str, dict[date, int]] = {}
    for artist, month, plays in rows:
        found.setdefault(artist, {})[month] = plays
    artists = [
        ArtistMonths(name, [counts.get(day, 0) for day in days]) for name, counts in found.items()
    ]
    return json_reply(Months(user, tz, [day.isoformat() for day in days], artists))


def _back(today: date, months: int) -> date:
    """Return the first day of a month so many months ago."""
    index = today.year * 12 + today.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)
