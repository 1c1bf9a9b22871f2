"""The overview: figures with their change, a line each, and how each is made."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from starlette.responses import Response

from web.api import Refused, part
from web.charts.chart import Chart
from web.charts.lines import Line, lines
from web.visit import Visit
from web.words import moment

#: Published figures older than this are late: the nightly run makes them each day.
LATE_HOURS = 26
#: Parts of a period -> how they are called.
BY = {"day": "by day", "week": "by week", "month": "by month"}


class Shown(NamedTuple):
    """A figure as a page shows it; ``sign`` is a word for whether a change is good."""

    metric: dict[str, Any]
    value: str
    interval: str
    change: str
    sign: str
    chart: Chart | None


async def overview(visit: Visit) -> Response:
    """GET /ui/analytics: the figures, then the reports."""
    (found, wrong), reports, runs = await visit.several(
        _figures(visit, "/v1/metrics"),
        visit.get("/v1/reports"),
        visit.optional("/v1/runs", default={"runs": []}),
    )
    return visit.page(
        "analytics.html", "Analytics", 400 if wrong else 200, found=found,
        reports=reports["reports"], wrong=wrong, typed=_typed(visit, found),
        latest=next(iter(runs["runs"]), None), shown=[_shown(m) for m in found["metrics"]],
        late=late(found["published_at"]), ways=BY,
    )  # fmt: skip


async def one(visit: Visit, metric: str) -> Response:
    """GET /ui/analytics/metrics/...: one figure of any period."""
    found, wrong = await _figures(visit, f"/v1/metrics/{part(metric)}")
    shown = _shown(found["metrics"][0])
    return visit.page(
        "metric.html", shown.metric["title"], 400 if wrong else 200, found=found, shown=shown,
        late=late(found["published_at"]), ways=BY, wrong=wrong, typed=_typed(visit, found),
    )  # fmt: skip


async def _figures(visit: Visit, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return figures of the period in the address, or of the usual one with what is wrong."""
    asked, wrong = _asked(visit)
    if not wrong:
        try:
            return await visit.get(path, **asked), {}
        except Refused as error:
            if error.status != 400:
                raise
            wrong = {error.field if error.field in asked else "start": error.message}
    return await visit.get(path, by=asked["by"]), wrong


def _asked(visit: Visit) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the parameters of the address, and what is wrong with a day by its field."""
    by, wrong = visit.query("by"), {}
    asked: dict[str, Any] = {"by": by if by in BY else None}
    for name in ("start", "end"):
        try:
            day = visit.query(name)
            asked[name] = date.fromisoformat(day).isoformat() if day else None
        except ValueError:
            wrong[name] = f"{day[:40]!r} is not a day; write 2026-11-26."
    return asked, wrong


def _typed(visit: Visit, found: dict[str, Any]) -> dict[str, Any]:
    """Return what the form of the period holds: what was typed, or the period that is shown."""
    return {
        "start": visit.query("start") or found["start"],
        "end": visit.query("end") or found["end"],
        "by": found["by"],
    }


def late(at: str | None) -> bool:
    """Whether something published at a time is older than a day and a bit."""
    if at is None:
        return False
    return (datetime.now(UTC) - moment(at)).total_seconds() > LATE_HOURS * 3600


def _shown(metric: dict[str, Any]) -> Shown:
    share = metric["unit"] == "share"
    interval = ""
    if metric["low"] is not None:
        interval = f"95 % interval {100 * metric['low']:.1f} to {100 * metric['high']:.1f} %"
    change, sign = _change(metric)
    return Shown(metric, worded(metric["value"], share), interval, change, sign, _chart(metric))


def worded(value: float | None, share: bool) -> str:
    """Return a value as people read it.

    Examples
    --------
    >>> worded(0.1234, True), worded(21807.0, False), worded(3.25, False), worded(None, True)
    ('12.3 %', '21,807', '3.2', 'unknown')
    """
    if value is None:
        return "unknown"
    if share:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:,.1f}"


def _change(metric: dict[str, Any]) -> tuple[str, str]:
    change = metric["change"]
    if change is None:
        return "no period before to compare with", ""
    unit = "points" if metric["unit"] == "share" else "%"
    text = f"{change:+.1f} {unit} against the period before"
    if metric["better"] == "neither" or abs(change) < 0.05:
        return text, ""
    return text, "better" if (change > 0) == (metric["better"] == "higher") else "worse"


def _chart(metric: dict[str, Any]) -> Chart | None:
    points = metric["series"]
    known = [point["value"] for point in points if point["value"] is not None]
    if len(known) < 2:
        return None
    factor, unit = (100, "%") if metric["unit"] == "share" else (1, "")
    title = (
        f"{metric['title']} from {moment(points[0]['start']):%d %b} to "
        f"{moment(points[-1]['start']):%d %b %Y}: between {worded(min(known), factor == 100)} and "
        f"{worded(max(known), factor == 100)}"
    )

    def line(name: str, key: str) -> Line:
        values = [None if p[key] is None else factor * p[key] for p in points]
        return Line(name, values)

    series = [line(metric["title"], "value")]
    if any(point["low"] is not None for point in points):
        series += [line("upper bound", "high"), line("lower bound", "low")]
    return lines([moment(p["start"]) for p in points], series, title, unit=unit)
