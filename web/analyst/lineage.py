"""Lineage: what a figure or a report is made from, down to the log; a table with its SQL."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.charts.layers import Box, layered
from web.visit import Visit

#: Kind of a node -> heading of its list, in this order.
KINDS = {
    "figure": "Figures",
    "report": "Reports",
    "model": "Tables built by dbt",
    "snapshot": "Histories kept by dbt",
    "source": "Raw tables, loaded from the log",
}


async def page(visit: Visit) -> Response:
    """GET /ui/analytics/lineage: everything, by kind."""
    try:
        found = await visit.get("/v1/warehouse/models")
    except Refused as error:
        if error.status != 404:
            raise
        return visit.page("lineage.html", "Lineage", found=None, trouble=error.message)
    kinds = {
        words: [row for row in found["tables"] if row["kind"] == kind]
        for kind, words in KINDS.items()
    }
    return visit.page("lineage.html", "Lineage", found=found, kinds=kinds, label=label)


async def one(visit: Visit, node: str) -> Response:
    """GET /ui/analytics/lineage/...: one node, its graph, columns, tests and SQL."""
    whole, around = await visit.several(
        visit.get(f"/v1/warehouse/models/{part(node)}"), visit.get(f"/v1/lineage/{part(node)}")
    )
    about = whole["node"]
    return visit.page(
        "lineage_node.html", label(about), whole=whole, node=about, label=label,
        rows={row["name"]: row for row in around["tables"]},
        chart=layered([_box(row, node) for row in around["tables"]], _finding(whole)),
    )  # fmt: skip


def label(row: dict[str, Any]) -> str:
    """Return how a node is called: its title, or its name without what kind it is.

    Examples
    --------
    >>> label({"name": "figure:plays", "title": "Plays"}), label({"name": "marts.a", "title": ""})
    ('Plays', 'marts.a')
    """
    return str(row["title"] or row["name"].rpartition(":")[2])


def _box(row: dict[str, Any], centre: str) -> Box:
    kind = "here" if row["name"] == centre else "broken" if row["failed"] else row["kind"]
    href = f"/ui/analytics/lineage/{part(row['name'])}"
    name = row["name"] if row["kind"] in ("report", "figure") else row["name"].partition(".")[2]
    return Box(row["name"], row["title"] or name, row["inputs"], href, kind)


def _finding(whole: dict[str, Any]) -> str:
    above, below = whole["upstream"], whole["downstream"]
    return f"{label(whole['node'])} is made from {len(above)} and used by {len(below)} others"
