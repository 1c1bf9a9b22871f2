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
    asked = _asked(visit)
    found, reports, runs = await visit.several(
        visit.get("/v1/metrics", **asked),
        visit.get("/v1/reports"),
        visit.optional("/v1/runs", default={"runs": []}),
    )
    return visit.page(
        "analytics.html", "Analytics", found=found, reports=reports["reports"],
        latest=next(iter(runs["runs"]), None), shown=[_shown(m) for m in found["metrics"]],
        late=late(found["published_at"]), by=found["by"], ways=BY,
    )  # fmt: skip


async def one(visit: Visit, metric: str) -> Response:
    """GET /ui/analytics/metrics/...: one figure of any period."""
    found = await visit.get(f"/v1/metrics/{part(metric)}", **_asked(visit))
    shown = _shown(found["metrics"][0])
    return visit.page(
        "metric.html", shown.metric["title"], found=found, shown=shown,
        late=late(found["published_at"]), ways=BY,
    )  # fmt: skip


def _asked(visit: Visit) -> dict[str, Any]:
    """Return the parameters of the address; the API judges what they mean together."""
    by = visit.query("by")
    asked: dict[str, Any] = {"by": by if by in BY else None}
    for name in ("start", "end"):
        try:
            day = visit.query(name)
            asked[name] = date.fromisoformat(day).isoformat() if day else None
        except ValueError:
            raise Refused(400, "bad-day", f"{day!r} is no day; write 2026-11-26.", name) from None
    return asked


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
        return "nothing to compare with", ""
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
        series += [line("95 % above", "high"), line("95 % below", "low")]
    return lines([moment(p["start"]) for p in points], series, title, unit=unit)
