"""Quality: what the checks of the nightly found, their history, and the tests of the tables."""

from __future__ import annotations

from starlette.responses import Response

from web.analyst.figures import late
from web.api import Refused
from web.visit import Visit

#: Group of checks -> what it asks.
GROUPS = {
    "contract": ("Contracts", "Has every table the columns and types that were promised?"),
    "completeness": ("Completeness", "Is everything there, once, and not empty?"),
    "freshness": ("Freshness", "How old is the newest row?"),
    "anomaly": ("Anomalies", "Does the newest day look like the days before it?"),
    "source": ("Sources", "Do the outside sources of the catalogue answer, and as they used to?"),
}


async def page(visit: Visit) -> Response:
    """GET /ui/analytics/quality."""
    try:
        found = await visit.get("/v1/quality", run=visit.query("run") or None)
    except Refused as error:
        if error.code != "not-checked":
            raise
        return visit.page("quality.html", "Quality", found=None)
    asked = [
        (name, question, [check for check in found["checks"] if check["group"] == group])
        for group, (name, question) in GROUPS.items()
    ]
    failed = [check for check in found["checks"] if not check["answers"][0]["ok"]]
    broken = [table for table in found["tables"] if table["failed"]]
    return visit.page(
        "quality.html", "Quality", found=found, asked=asked, failed=failed, broken=broken,
        late=not visit.query("run") and late(found["started_at"] or None),
    )  # fmt: skip
