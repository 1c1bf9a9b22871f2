"""What next: the list, live; why each track is there; the list to take along."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.responses import Response

from web.api import Away, Refused, part
from web.live.tabs import Wants
from web.visit import Visit

LENGTHS = (10, 20, 50)
RECENT = 5


def wants_of(visit: Visit) -> Wants:
    """Return the list that the query string asks for; an invalid value counts as missing."""
    try:
        variety = min(1.0, max(0.0, float(visit.query("variety", "0"))))
    except ValueError:
        variety = 0.0
    length = visit.query("length", "20")
    return Wants(
        kind="next",
        base=visit.base,
        zone=visit.who.time_zone,
        length=int(length) if length in map(str, LENGTHS) else 20,
        discover=visit.query("discover") in ("on", "1", "true"),
        variety=round(variety, 1) if variety == variety else 0.0,
    )


async def page(visit: Visit) -> Response:
    """GET /ui/."""
    wants = wants_of(visit)
    made, now, plays = await visit.several(_list(visit, wants), _now(visit), _recent(visit))
    return visit.page(
        "next.html",
        "What next",
        wants=wants,
        query=_address(wants),
        now=now,
        plays=plays,
        lengths=LENGTHS,
        said=visit.query("said"),
        **made,
    )


async def fragment(visit: Visit) -> Response:
    """GET /ui/list: the list alone, for htmx."""
    wants = wants_of(visit)
    return visit.fragment("list.html", wants=wants, **(await _list(visit, wants)))


async def recent(visit: Visit) -> Response:
    """GET /ui/recent: the last plays alone, for htmx."""
    return visit.fragment("recent.html", plays=await _recent(visit))


async def why(visit: Visit, track: str) -> Response:
    """GET /ui/why/...: what led to a track; a whole page for readers without scripts."""
    path = visit.of_subject(f"/tracks/{part(track)}/reasons")
    values: dict[str, Any] = {"found": None, "reasons": [], "most": 1.0, "trouble": ""}
    try:
        found = await visit.get(path, discover=wants_of(visit).discover)
    except Refused as error:
        if error.status != 404:
            raise
        values["trouble"] = error.message
    except Away as error:
        values["trouble"] = error.message
    else:
        reasons = found["reasons"]
        most = max((abs(reason["contribution"]) for reason in reasons), default=1.0) or 1.0
        values |= {"found": found, "reasons": reasons, "most": most}
    if visit.scripted:
        return visit.fragment("why.html", **values)
    return visit.page("why_page.html", "Why this track", **values)


async def jspf(visit: Visit) -> Response:
    """GET /ui/list.jspf: the list as a playlist other programs read."""
    answer = await _ask(visit, wants_of(visit))
    tracks = [
        {"title": t["title"], "creator": t["artist"], "identifier": [f"segue:{t['track_id']}"]}
        for t in answer["recommendations"]
    ]
    body = {"playlist": {"title": f"What next for {visit.subject}", "track": tracks}}
    return _file(msgspec.json.encode(body), "application/jspf+json", "what-next.jspf")


async def m3u(visit: Visit) -> Response:
    """GET /ui/list.m3u: artist and title of each track; a player finds the files by them."""
    answer = await _ask(visit, wants_of(visit))
    lines = ["#EXTM3U", f"#PLAYLIST:What next for {_line(visit.subject)}"]
    for track in answer["recommendations"]:
        name = f"{_line(track['artist'])} - {_line(track['title'])}"
        lines += [f"#EXTINF:-1,{name}", f"{name}.mp3".replace("/", "_")]
    return _file("\n".join([*lines, ""]).encode(), "audio/x-mpegurl", "what-next.m3u")


async def _list(visit: Visit, wants: Wants) -> dict[str, Any]:
    """Return what the list's template needs; the last list known while the API is away."""
    key = f"{visit.subject} {wants}"
    started = time.perf_counter()
    try:
        answer = await _ask(visit, wants)
    except Away:
        kept = visit.site.last_lists.get(key)
        if kept is None:
            raise
        at, answer = kept
        return {"answer": answer, "after": {}, "took": None, "age": at}
    visit.site.remember_list(key, answer)
    took = (time.perf_counter() - started) * 1000
    return {"answer": answer, "after": {}, "took": took, "age": None}


async def _ask(visit: Visit, wants: Wants) -> dict[str, Any]:
    answer: dict[str, Any] = await visit.get(
        visit.of_subject("/recommendations"),
        limit=wants.length,
        discover=wants.discover,
        diversity=wants.variety,
    )
    return answer


async def _now(visit: Visit) -> dict[str, Any] | None:
    found = await visit.optional(f"/1/user/{part(visit.subject)}/playing-now")
    listens = found["payload"]["listens"] if found else []
    if not listens:
        return None
    metadata = listens[0]["track_metadata"]
    return {"artist": metadata["artist_name"], "title": metadata["track_name"]}


async def _recent(visit: Visit) -> list[dict[str, Any]] | None:
    """Return the last plays, ``None`` while they cannot be read."""
    found = await visit.optional(visit.of_subject("/plays"), limit=RECENT)
    return None if found is None else found["plays"]


def _address(wants: Wants) -> str:
    return (
        f"length={wants.length}&variety={wants.variety:g}&discover={'on' if wants.discover else ''}"
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _file(body: bytes, kind: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(body, media_type=kind, headers=headers)
