"""Catalogue review: artists that may be one, side by side; the same, or two."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from web.api import Refused, part
from web.visit import Visit

#: Decision -> its tab.
TABS = {"pending": "To decide", "merge": "One artist", "distinct": "Two artists"}
#: What made two artists a pair -> in words.
WHY = {
    "same-id": "A source gives both the same id",
    "spelling": "The names differ in accents, punctuation or spaces alone",
    "article": "The names differ by an article",
    "typo": "The names differ by a letter or two",
}
_SAID = {
    "merge": "Noted: one artist. Pages, search and lists change with the next nightly run or "
    "collection.",
    "distinct": "Noted: two artists. They stay apart in every later run.",
}


async def page(visit: Visit) -> Response:
    """GET /ui/ops/catalogue."""
    tab = visit.query("decision", "pending")
    tab = tab if tab in TABS else "pending"
    offset = visit.offset(999_999)
    found = await visit.get("/v1/catalogue/review", decision=tab, offset=offset)
    return visit.page(
        "review.html", "Catalogue review", found=found, tab=tab, tabs=TABS, why=WHY, offset=offset,
        said=visit.query("said")[:500],
    )  # fmt: skip


async def decide(visit: Visit) -> Response:
    """POST /ui/ops/catalogue: the pair of the form is one artist, or two."""
    pair, decision = visit.form.get("pair", ""), visit.form.get("decision", "")
    tab = visit.form.get("tab", "")
    here = f"/ui/ops/catalogue?{urlencode({'decision': tab if tab in TABS else 'pending'})}"
    try:
        await visit.send("POST", f"/v1/catalogue/review/{part(pair)}", {"decision": decision})
    except Refused as error:
        if error.status not in (400, 404):
            raise
        return visit.go(here, said=f"Nothing was noted: {error.message}")
    return visit.go(here, said=_SAID.get(decision, ""))
