"""Statistics of any period."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.charts.bars import Bar, bars
from web.charts.heat import DAYS, week
from web.charts.lines import Line, lines
from web.visit import Visit
from web.words import moment, zone_of

#: Name of a ready period -> days back from today.
PERIODS = (("7 days", 7), ("30 days", 30), ("90 days", 90), ("A year", 365))


async def page(visit: Visit) -> Response:
    """GET /ui/stats."""
    today = datetime.now(zone_of(visit.who.time_zone)).date()
    start, end = visit.query("from"), visit.query("to")
    typed = {
        "from": start or (today - timedelta(days=29)).isoformat(),
        "to": end or today.isoformat(),
    }
    ready = [
        (name, (today - timedelta(days=days - 1)).isoformat(), today.isoformat())
        for name, days in PERIODS
    ]
    wrong = {
        name: f"{text!r} is not a day; write 2026-11-26."
        for name, text in typed.items()
        if not _day(text)
    }
    found: dict[str, Any] | None = None
    if not wrong:
        try:
            found = await ask(visit, typed["from"], typed["to"])
        except Refused as error:
            if error.status != 400:
                raise
            wrong = {error.field if error.field in typed else "from": error.message}
    values = {"typed": typed, "ready": ready, "wrong": wrong, "found": found}
    if found is None or not found["totals"]["plays"]:
        return visit.page("stats.html", "Statistics", 400 if wrong else 200, **values, charts=None)
    return visit.page("stats.html", "Statistics", **values, charts=_charts(visit, found))


async def ask(visit: Visit, start: str, end: str) -> dict[str, Any]:
    """Return the statistics of a period, both days included."""
    days = (date.fromisoformat(end) - date.fromisoformat(start)).days
    found: dict[str, Any] = await visit.get(
        visit.of_subject("/stats"),
        tz=visit.who.time_zone,
        by="day" if days <= 100 else "week" if days <= 400 else "month",
        limit=10,
        **{"from": start, "to": end},
    )
    return found


def _day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _charts(visit: Visit, found: dict[str, Any]) -> dict[str, Any]:
    base = visit.base
    artists = [
        Bar(row["artist"], row["plays"], f"{base}/plays?q={part(row['artist'])}")
        for row in found["artists"]
    ]
    tracks = [
        Bar(
            f"{row['name']} · {row['artist']}",
            row["plays"],
            f"{base}/tracks/{part(row['track_id'])}",
        )
        for row in found["tracks"]
    ]
    albums = [
        Bar(
            f"{row['name']} · {row['artist']}",
            row["plays"],
            f"{base}/albums?artist={part(row['artist'])}&name={part(row['name'])}",
        )
        for row in found["albums"]
    ]
    return {
        "series": _series(found) if len(found["series"]) > 1 else None,
        "week": week(found["week"], week_title(found["week"])),
        "artists": bars(artists, "Artist", "Plays"),
        "tracks": bars(tracks, "Track", "Plays"),
        "albums": bars(albums, "Album", "Plays") if albums else None,
    }


def _series(found: dict[str, Any]) -> Any:
    counted = {row["day"]: row["plays"] for row in found["series"]}
    first, last = date.fromisoformat(min(counted)), date.fromisoformat(max(counted))
    days = [first]
    while days[-1] < last:
        step = days[-1] + timedelta(days={"day": 1, "week": 7, "month": 32}[found["by"]])
        days.append(step.replace(day=1) if found["by"] == "month" else step)
    values = [float(counted.get(day.isoformat(), 0)) for day in days]
    most = max(counted, key=lambda day: counted[day])
    title = f"Plays by {found['by']}: most on {moment(most):%d %b %Y}, {counted[most]:,}"
    return lines([moment(day.isoformat()) for day in days], [Line("Plays", values)], title)


def peak(counts: list[list[int]]) -> tuple[str, int, int]:
    """Return day, hour and plays of the busiest hour of the week."""
    day, hour = max(
        ((d, h) for d in range(7) for h in range(24)), key=lambda at: counts[at[0]][at[1]]
    )
    return DAYS[day], hour, counts[day][hour]


def week_title(counts: list[list[int]]) -> str:
    """Return the finding of a week's heat map."""
    day, hour, plays = peak(counts)
    return f"Plays by hour of the week: most on {day}s from {hour:02d} to {hour + 1:02d}, {plays:,}"
