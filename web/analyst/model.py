"""The model as it judges itself on the live stream, the popularity baseline always beside it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.charts.bars import Bar, bars
from web.charts.chart import Chart
from web.visit import Visit

#: Situation -> what it means.
SITUATIONS = {
    "all": "All plays",
    "new": "Plays of tracks new to the listener",
    "popularity": "What popularity alone would have reached",
}


async def page(visit: Visit) -> Response:
    """GET /ui/analytics/model."""
    model = await visit.get("/v1/model")
    health = model["health"]
    situations = [
        (name, words, health[name])
        for name, words in SITUATIONS.items()
        if isinstance(health.get(name), dict)
    ]
    others = {
        name: value
        for name, value in health.items()
        if not isinstance(value, dict) and isinstance(value, int | float)
    }
    return visit.page(
        "model.html", "Model quality", model=model, situations=situations, others=others,
        chart=_chart(situations),
    )  # fmt: skip


def _chart(situations: list[tuple[str, str, dict[str, Any]]]) -> Chart | None:
    rows = [
        Bar(words, round(figures["hr@10"], 4))
        for _, words, figures in situations
        if isinstance(figures.get("hr@10"), int | float)
    ]
    if not rows:
        return None
    return bars(rows, "Situation", "Hit rate at 10")
