"""What if: the list of another context beside the list of now, with lines between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.charts.shift import Row, shift
from web.visit import Visit
from web.words import zone_of

_FORM = "%Y-%m-%dT%H:%M"


async def page(visit: Visit) -> Response:
    """GET /ui/what-if: with nothing chosen, the list of a minute ago."""
    asked = {name: visit.query(name)[:256] for name in ("without", "play", "hide")}
    typed, wrong = visit.query("at")[:40], {}
    at = None
    if typed:
        try:
            given = datetime.fromisoformat(typed)
            at = given if given.tzinfo else given.replace(tzinfo=zone_of(visit.who.time_zone))
        except ValueError:
            wrong["at"] = f"{typed!r} is not a date and time; write 2026-11-26T20:15."
    elif not any(asked.values()):
        at = datetime.now(UTC) - timedelta(minutes=1)
    found, plays = None, await visit.optional(visit.of_subject("/plays"), limit=10)
    if not wrong:
        query: dict[str, Any] = {name: value or None for name, value in asked.items()}
        try:
            found = await visit.get(
                visit.of_subject("/what-if"), at=at.isoformat() if at else None, limit=20, **query
            )
        except Refused as error:
            if error.status not in (400, 404):
                raise
            wrong["at" if error.field == "at" else "without"] = error.message
    named = _named(asked, typed, found)
    return visit.page(
        "what_if.html", "What if", 400 if wrong else 200, found=found, asked=asked, typed=typed,
        wrong=wrong, plays=plays["plays"] if plays else [], named=named,
        chart=_chart(visit, found, named) if found else None,
        soon=(datetime.now(zone_of(visit.who.time_zone)) + timedelta(hours=8)).strftime(_FORM),
    )  # fmt: skip


def _named(asked: dict[str, str], typed: str, found: dict[str, Any] | None) -> str:
    """Return what the other list is, in a few words."""
    words = []
    if asked["without"]:
        words.append("without that play")
    if asked["play"]:
        words.append("after that track")
    if asked["hide"]:
        words.append("with that track hidden")
    if typed:
        words.append("at another time")
    return ", ".join(words).capitalize() or "A minute ago"


def _chart(visit: Visit, found: dict[str, Any], named: str) -> Any:
    def rows(tracks: list[dict[str, Any]]) -> list[Row]:
        return [
            Row(track["title"], track["artist"], track["other"],
                f"{visit.base}/tracks/{part(track['track_id'])}")
            for track in tracks
        ]  # fmt: skip

    now, then = rows(found["now"]), rows(found["then"])
    if named == "A minute ago":  # time goes from left to right
        return shift(then, now, (named, "Now"))
    return shift(now, then, ("Now", named))
