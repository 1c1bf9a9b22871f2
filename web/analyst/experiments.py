"""Experiments: which run, what each has shown, and starting and ending them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.analyst.figures import late
from web.api import Refused, part
from web.charts.chart import Chart
from web.charts.ranges import Range, ranges
from web.visit import Visit

PATH = "/ui/analytics/experiments"


async def page(visit: Visit) -> Response:
    """GET /ui/analytics/experiments."""
    found = await visit.get("/v1/experiments")
    return visit.page("experiments.html", "Experiments", rows=found["experiments"])


async def one(visit: Visit, experiment: str) -> Response:
    """GET /ui/analytics/experiments/...: the hypothesis, the arms, the conclusion."""
    found = await visit.get(f"/v1/experiments/{part(experiment)}")
    made = found["experiment"]["definition"]
    return visit.page(
        "experiment.html", f"Experiment {found['experiment']['key']}", found=found,
        one=found["experiment"], made=made, chart=chart_of(found["comparisons"], made["metric"]),
        late=found["experiment"]["state"] == "running" and late(found["judged_at"]),
        said=visit.query("said")[:500],
    )  # fmt: skip


async def change(visit: Visit, experiment: str, deed: str) -> Response:
    """POST /ui/analytics/experiments/.../start or stop."""
    address = f"{PATH}/{part(experiment)}"
    try:
        await visit.send("POST", f"/v1/experiments/{part(experiment)}/{part(deed)}")
    except Refused as error:
        if error.status not in (400, 409):
            raise
        return visit.go(address, said=error.message)
    words = {
        "start": "It runs: every process takes it up within five seconds.",
        "stop": "It has ended: every listener gets the usual lists again.",
    }
    return visit.go(address, said=words.get(deed, ""))


def chart_of(rows: list[dict[str, Any]], metric: str) -> Chart | None:
    """Return the bounds of every comparison as a share of the control; ``None`` without any."""
    shown = [row for row in rows if row["control_value"] and row["relative"] is not None]
    if not shown:
        return None
    several = len({row["arm"] for row in shown}) > 1
    made = [
        Range(
            (f"{row['arm']}: " if several else "") + row["metric"].replace("_", " "),
            *_percent(row),
        )
        for row in shown
    ]
    primary = next((r for row, r in zip(shown, made, strict=True) if row["metric"] == metric), None)
    finding = "Differences from the control"
    if primary is not None:
        finding = f"{primary.name} differs by {primary.low:+.1f} % to {primary.high:+.1f} %"
    return ranges(made, "Metric", finding)


def _percent(row: dict[str, Any]) -> tuple[float, float, float]:
    """Return the difference and its bounds in per cent of the control, in order."""
    base = 100.0 / row["control_value"]
    low, high = sorted((base * row["low"], base * row["high"]))
    return low, base * row["difference"], high
