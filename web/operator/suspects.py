"""Suspects: listeners whose plays no person produces; the model leaves them out until released."""

from __future__ import annotations

from starlette.responses import Response

from web.api import Refused, part
from web.visit import Visit

_PATH = "/ui/ops/suspects"


async def page(visit: Visit) -> Response:
    """GET /ui/ops/suspects."""
    try:
        found = await visit.get("/v1/suspects")
    except Refused as error:
        if error.code != "no-flink":
            raise
        return visit.page("suspects.html", "Suspects", suspects=None, said="")
    return visit.page(
        "suspects.html", "Suspects", suspects=found["suspects"], said=visit.query("said")[:500]
    )


async def release(visit: Visit) -> Response:
    """POST /ui/ops/suspects: the model learns the plays of a listener from now on."""
    user = visit.form.get("user", "")
    try:
        await visit.send("POST", f"/v1/suspects/{part(user)}/release")
    except Refused as error:
        if error.status != 404:
            raise
        return visit.go(_PATH, said=f"Nobody was released: {error.message}")
    said = f"{user[:200]} is released: the model learns the plays that come from now on."
    return visit.go(_PATH, said=said)
