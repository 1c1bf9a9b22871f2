"""The lake: its tables, how large they are, and what happened to each."""

from __future__ import annotations

from starlette.responses import Response

from web.api import part
from web.visit import Visit


async def page(visit: Visit) -> Response:
    """GET /ui/ops/lake: the tables with rows and sizes."""
    found = await visit.get("/v1/lake")
    return visit.page(
        "lake.html", "Lake", tables=found["tables"], size=size,
        rows=sum(table["rows"] for table in found["tables"]),
        whole=sum(table["bytes"] for table in found["tables"]),
    )  # fmt: skip


async def one(visit: Visit, table: str) -> Response:
    """GET /ui/ops/lake/TABLE: the versions of a table, newest first."""
    found = await visit.get(f"/v1/lake/{part(table)}/versions")
    return visit.page("lake_table.html", f"Lake table {table}", size=size, **found)


def size(count: float) -> str:
    """Return a number of bytes as people read it.

    Examples
    --------
    >>> size(900), size(12_300), size(4_560_000)
    ('900 bytes', '12.3 kB', '4.6 MB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} bytes"
