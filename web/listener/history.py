"""History: every play; add, correct, delete."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.visit import Visit
from web.words import moment, zone_of

SIZE = 50
#: What a browser's field of date and time sends.
_FORM = "%Y-%m-%dT%H:%M"
_FIELDS = ("artist", "title", "album", "at")


async def page(visit: Visit) -> Response:
    """GET /ui/plays."""
    return await _page(visit)


async def _page(
    visit: Visit, status: int = 200, wrong: dict[str, str] | None = None, said: str = ""
) -> Response:
    zone = zone_of(visit.who.time_zone)
    q, day = visit.query("q")[:200], visit.query("day")
    before, after = visit.query("before") or None, None
    wrong = dict(wrong or {})
    if day:
        try:
            start = datetime.fromisoformat(day).replace(tzinfo=zone)
            after = start.isoformat()
            before = before or (start + timedelta(days=1)).isoformat()
        except (ValueError, OverflowError):
            wrong["day"] = f"{day!r} is not a date; write 2026-11-26."
    found = await visit.get(visit.of_subject("/plays"), q=q, before=before, after=after, limit=SIZE)
    now = datetime.now(zone).strftime(_FORM)
    typed = {name: visit.form.get(name, now if name == "at" else "") for name in _FIELDS}
    return visit.page(
        "history.html", "History", status, found=found, q=q, day=day, wrong=wrong, typed=typed,
        days=_by_day(found["plays"], visit.who.time_zone), said=said or visit.query("said"),
        adding=bool(wrong),
    )  # fmt: skip


async def add(visit: Visit) -> Response:
    """POST /ui/plays: a play entered by hand."""
    wrong, values = _read(visit)
    if wrong:
        return await _page(visit, 400, wrong)
    play = {"user": visit.subject, "source": "segue-pages", **values}
    try:
        await visit.send("POST", "/v1/plays", {"plays": [play]})
    except Refused as error:
        if error.status == 401:
            raise
        return await _page(visit, 400, {_field_of(error): error.message})
    said = f"Added: “{values['title']}” by {values['artist']}. It is in the list in a moment."
    return visit.go(f"{visit.base}/plays", said=said)


async def one(visit: Visit, event: str) -> Response:
    """GET /ui/plays/...: one play, to be corrected or deleted."""
    return await _one(visit, event)


async def _one(
    visit: Visit, event: str, status: int = 200, wrong: dict[str, str] | None = None
) -> Response:
    play, life, taught = await visit.several(
        visit.get(visit.of_subject(f"/plays/{part(event)}")),
        visit.optional(visit.of_subject(f"/plays/{part(event)}/life")),
        visit.optional(visit.of_subject("/what-if"), without=event, limit=20),
    )
    zone = zone_of(visit.who.time_zone)
    typed = {
        "artist": play["artist"],
        "title": play["title"],
        "album": play["album"] or "",
        "at": moment(play["played_at"]).astimezone(zone).strftime(f"{_FORM}:%S"),
    } | visit.form
    return visit.page(
        "play.html", f"{play['title']} by {play['artist']}", status, play=play, typed=typed,
        life=life, taught=_taught(taught),
        wrong=wrong or {}, said=visit.query("said"),
    )  # fmt: skip


def _taught(found: dict[str, Any] | None) -> dict[str, list[dict[str, Any]]] | None:
    """Return what a play does to the list of now; ``None`` for a play that lists do not rest on."""
    if found is None:
        return None
    return {
        "came": [track for track in found["now"] if track["other"] is None],
        "moved": [track for track in found["now"] if track["other"] not in (None, track["place"])],
        "gone": [track for track in found["then"] if track["other"] is None],
    }


async def correct(visit: Visit, event: str) -> Response:
    """POST /ui/plays/...: another play in the place of this one."""
    wrong, values = _read(visit)
    if wrong:
        return await _one(visit, event, 400, wrong)
    try:
        await visit.send("PATCH", visit.of_subject(f"/plays/{part(event)}"), values)
    except Refused as error:
        if error.status in (401, 404):
            raise
        return await _one(visit, event, 400, {_field_of(error): error.message})
    said = f"Corrected: “{values['title']}” by {values['artist']}. The old entry goes in a moment."
    return visit.go(f"{visit.base}/plays", said=said)


async def delete(visit: Visit, event: str) -> Response:
    """POST /ui/plays/.../delete."""
    await visit.send("DELETE", visit.of_subject(f"/plays/{part(event)}"))
    said = "The play is being deleted: it leaves every store within seconds."
    return visit.go(f"{visit.base}/plays", said=said)


def _read(visit: Visit) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what is wrong with a form, by field, and its values as the API takes them."""
    form = visit.form
    wrong: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in ("artist", "title"):
        values[name] = form.get(name, "").strip()
        if not values[name]:
            wrong[name] = f"Type the {name}."
        elif len(values[name]) > 1000:
            wrong[name] = "At most 1,000 characters."
    values["album"] = form.get("album", "").strip()  # empty: removed by a correction
    if len(values["album"]) > 1000:
        wrong["album"] = "At most 1,000 characters."
    try:
        at = datetime.fromisoformat(form.get("at", ""))
        at = at if at.tzinfo else at.replace(tzinfo=zone_of(visit.who.time_zone))
        values["played_at"] = round(at.timestamp() * 1000)
        if at > datetime.now(UTC) + timedelta(hours=1):
            wrong["at"] = "This is in the future."
        elif values["played_at"] < 1_033_430_400_000:
            wrong["at"] = "Plays before October 2002 are not kept: scrobbling began then."
    except (ValueError, OverflowError):
        wrong["at"] = "This is not a date and time; write 2026-11-26T20:15."
    return wrong, values


def _field_of(error: Refused) -> str:
    return error.field if error.field in _FIELDS else "at" if "time" in error.code else "title"


def _by_day(plays: list[dict[str, Any]], zone: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return plays by day of the reader's zone, in their order."""
    days: dict[str, list[dict[str, Any]]] = {}
    today = datetime.fromtimestamp(time.time(), zone_of(zone)).date()
    for play in plays:
        date = moment(play["played_at"]).astimezone(zone_of(zone)).date()
        name = f"{date:%A, %d %B %Y}"
        if (today - date).days in (0, 1):
            name = ("Today", "Yesterday")[(today - date).days]
        days.setdefault(name, []).append(play)
    return list(days.items())
