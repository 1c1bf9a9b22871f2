"""Generations of the nightly model: which one is in service, and putting another into service."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.api import Refused
from web.charts.chart import Chart
from web.charts.lines import Line, lines
from web.visit import Visit
from web.words import moment

#: Metric of a manifest -> how a line is called.
LINES = {
    "new.hr@10": "This generation",
    "in_service.hr@10": "The one before",
    "popularity.hr@10": "Popularity alone",
}


async def page(visit: Visit) -> Response:
    """GET /ui/ops/models: the generations, their hit rates, and a form to change the active one."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, wrong: dict[str, str] | None = None) -> Response:
    found = await visit.get("/v1/model/generations")
    rows = found["generations"]
    service = next((row["generation"] for row in rows if row["in_service"]), None)
    return visit.page(
        "models.html", "Models", status, rows=rows, service=service, in_use=found["in_use"],
        chart=history(rows), wrong=wrong, said=visit.query("said")[:500],
        chosen=visit.form.get("generation", ""),
    )  # fmt: skip


def history(rows: list[dict[str, Any]]) -> Chart | None:
    """Return hit rate by generation, popularity beside it; ``None`` below two generations."""
    known = [row["manifest"] for row in reversed(rows) if row["manifest"]]
    if len(known) < 2:
        return None
    series = [
        Line(words, [manifest["metrics"].get(metric) for manifest in known])
        for metric, words in LINES.items()
        if any(metric in manifest["metrics"] for manifest in known)
    ]
    if not series:
        return None
    newest = known[-1]["metrics"]
    finding = ", ".join(
        f"{words.lower()} {newest[metric]:.3f}" for metric, words in LINES.items()
        if newest.get(metric) is not None
    )  # fmt: skip
    return lines(
        [moment(manifest["trained_at"]) for manifest in known],
        series,
        f"Hit rate at 10 on the held-out day; generation {known[-1]['generation']}: {finding}",
    )


async def promote(visit: Visit) -> Response:
    """POST /ui/ops/models: put a generation into service, its number typed to confirm."""
    chosen, typed = visit.form.get("generation", ""), visit.form.get("confirm", "").strip()
    if not chosen.isdigit() or typed != chosen:
        message = f"Type the number {chosen or 'of the generation'} to confirm."
        return await _page(visit, 400, {"confirm": message, "generation": chosen})
    try:
        done = await visit.send("POST", f"/v1/model/generations/{chosen}/promote")
    except Refused as error:
        if error.status != 409:
            raise
        return await _page(visit, 409, {"confirm": error.message, "generation": chosen})
    return visit.go("/ui/ops/models", said=_words(done))


async def roll_back(visit: Visit) -> Response:
    """POST /ui/ops/models/rollback: go back one generation; the form names the current one."""
    current = visit.form.get("current", "")
    try:
        done = await visit.send(
            "POST", "/v1/model/rollback", current=current if current.isdigit() else None
        )
    except Refused as error:
        if error.status != 409:
            raise
        return visit.go("/ui/ops/models", said=error.message)
    return visit.go("/ui/ops/models", said=_words(done))


def _words(done: dict[str, Any]) -> str:
    now, before = done["generation"]["generation"], done["before"]
    was = f" in place of {before}" if before is not None else ""
    return f"Generation {now} is in service{was}. The learner takes it over within seconds."
