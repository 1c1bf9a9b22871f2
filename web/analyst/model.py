"""The model as it judges itself on the live stream, over time; popularity always beside it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from starlette.responses import Response

from web.charts.chart import Chart
from web.charts.lines import Line, lines
from web.visit import Visit
from web.words import moment, zone_of

#: Situation of ``health`` and of a point -> what it means.
SITUATIONS = {
    "all": "All plays",
    "new": "New to the listener",
    "popularity": "Popularity alone",
}
#: Period -> its hours and how it is called.
PERIODS = {
    "day": (24, "a day"),
    "week": (24 * 7, "a week"),
    "month": (24 * 30, "30 days"),
    "year": (24 * 365, "a year"),
}
#: Figure beside the others -> how it is called, and its unit.
BESIDE = {
    "proposed": ("Plays that some source proposed", "share"),
    "coverage@10": ("Known tracks among the ten best of a list", "share"),
    "novelty@10": ("Mean surprise of the ten best", "bits"),
}


async def page(visit: Visit) -> Response:
    """GET /ui/analytics/model?period=: how good lists have been, and are now."""
    period = visit.query("period", "day")
    period = period if period in PERIODS else "day"
    hours, words = PERIODS[period]
    since = datetime.now(UTC) - timedelta(hours=hours)
    model, kept = await visit.several(
        visit.get("/v1/model"),
        visit.optional(
            "/v1/model/history", default={"points": None}, **{"from": since.isoformat()}
        ),
    )
    health = model["health"]
    situations = [(words, health[name]) for name, words in SITUATIONS.items() if name in health]
    points = kept["points"]
    return visit.page(
        "model.html", "Model quality", model=model, situations=situations, points=points,
        beside=[
            (name, unit, health[key]) for key, (name, unit) in BESIDE.items() if key in health
        ],
        drift=health.get("drift"), period=period, periods=PERIODS,
        words=words, chart=over_time(points or [], visit.who.time_zone, hours),
    )  # fmt: skip


def over_time(points: list[dict[str, Any]], zone: str, hours: int) -> Chart | None:
    """Return hit rates over time in per cent, with gaps where nothing was judged.

    ``None`` below two points. The distance of points depends on the period: a gap is more than
    four times the median distance.
    """
    if len(points) < 2:
        return None
    steps = sorted(b["at"] - a["at"] for a, b in pairwise(points))
    usual = steps[len(steps) // 2]
    rows: list[dict[str, Any]] = []
    for point in points:
        if rows and point["at"] - rows[-1]["at"] > 4 * usual:
            rows.append({"at": rows[-1]["at"] + usual})
        rows.append(point)
    here = zone_of(zone)
    series = [
        Line(words, [100 * row[name] if name in row else None for row in rows])
        for name, words in SITUATIONS.items()
    ]
    last = points[-1]
    return lines(
        [moment(row["at"]).astimezone(here) for row in rows],
        series,
        f"Hit rate at 10: {100 * last['all']:.1f} % of all plays, {100 * last['new']:.1f} % of "
        f"plays of new tracks; popularity alone would reach {100 * last['popularity']:.1f} %",
        form="%H:%M" if hours <= 24 else "%d %b",
        unit="%",
    )
