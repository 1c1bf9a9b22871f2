"""Search, artists, tracks and stations: the catalogue, with what the listener played of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.api import Away, Refused, part
from web.charts.graph import Neighbour, neighbourhood
from web.visit import Visit

MOODS = ("happy", "sad", "calm", "energetic", "party", "dark", "focus", "romantic")
ERAS = ("1960s", "1970s", "1980s", "1990s", "2000s", "2010s", "2020s")
_NEAR = 8
_PAGE = 20
_FARTHEST = 9_999


async def search(visit: Visit) -> Response:
    """GET /ui/search: works as a form; with scripts the results come while one types."""
    q = visit.query("q").strip()[:200]
    offset = visit.offset(_FARTHEST)
    found, wrong = None, ""
    if q:
        try:
            found = await visit.get("/v1/search", q=q, limit=_PAGE, offset=offset)
        except Refused as error:
            if error.status != 400:
                raise
            wrong = error.message
    values: dict[str, Any] = {"q": q, "found": found, "trouble": wrong, "offset": offset}
    if visit.scripted:
        return visit.fragment("results.html", **values)
    return visit.page("search.html", f"Search: {q}" if q else "Search", **values)


async def artist(visit: Visit, artist: str) -> Response:
    """GET /ui/artists/...: what is known of an artist, and what the listener played of it."""
    name = visit.query("name")[:1000]
    page = await _known(visit, f"/v1/artists/{part(artist)}")
    if page is None and not name:
        return visit.page(
            "errors/missing.html", "Not found", 404, message="The catalogue has no such artist."
        )
    shown = page["name"] if page else name
    own = await _own(visit, artist=shown)
    _check(page, own)
    if page is None and not own:
        return visit.page(
            "errors/missing.html", "Not found", 404,
            message=f"Neither the catalogue nor your history knows {name}.",
        )  # fmt: skip
    return visit.page(
        "artist.html", shown, artist=page, name=shown, own=own, id=artist,
        said=visit.query("said"),
    )  # fmt: skip


async def album(visit: Visit) -> Response:
    """GET /ui/albums?artist=&name=: an album is known by its names."""
    artist, name = visit.query("artist")[:300], visit.query("name")[:300]
    if not artist or not name:
        message = "An album's address names the artist and the album."
        return visit.page("errors/missing.html", "Not found", 404, message=message)
    page, own = await visit.several(
        _known(visit, "/v1/albums", artist=artist, name=name),
        _own(visit, artist=artist, album=name),
    )
    _check(page, own)
    if page is not None:
        shown = page
    elif own:
        shown = {"artist": own[0]["artist"], "name": own[0]["album"]}
    else:
        message = f"Neither the catalogue nor your history knows {name} by {artist}."
        return visit.page("errors/missing.html", "Not found", 404, message=message)
    return visit.page(
        "album.html", f"{shown['name']} by {shown['artist']}", album=page, own=own,
        artist=shown["artist"], name=shown["name"],
    )  # fmt: skip


async def track(visit: Visit, track: str) -> Response:
    """GET /ui/tracks/...: what is known of a track, and what the model finds near it."""
    page, similar, own = await visit.several(
        _known(visit, f"/v1/tracks/{part(track)}"),
        visit.optional(f"/v1/tracks/{part(track)}/similar", limit=_NEAR),
        _own(visit, track=track),
    )
    _check(page, own)
    if page is not None:
        card = page["track"]
    elif own:
        card = {**own[0], "year": None}
    else:
        message = "Neither the catalogue nor your history knows this track."
        return visit.page("errors/missing.html", "Not found", 404, message=message)
    near = [
        Neighbour(t["title"], t["artist"], min(1.0, max(0.0, t["score"])),
                  f"{visit.base}/tracks/{part(t['track_id'])}")
        for t in (similar or {"tracks": []})["tracks"]
    ]  # fmt: skip
    return visit.page(
        "track.html", f"{card['title']} by {card['artist']}", card=card, page=page, own=own,
        id=track, near=near, graph=neighbourhood(card["title"], near) if near else None,
    )  # fmt: skip


async def stations(visit: Visit) -> Response:
    """GET /ui/stations: tracks that fit a tag, an era, a mood, an artist."""
    seeds = {
        "tag": visit.query("tag").strip()[:200],
        "era": visit.query("era").strip()[:20],
        "mood": visit.query("mood").strip()[:20],
        "artist": visit.query("artist").strip()[:100],
    }
    offset, found, wrong = visit.offset(_FARTHEST), None, {}
    if any(seeds.values()):
        try:
            found = await visit.get(
                "/v1/stations", user=visit.subject, limit=_PAGE, offset=offset,
                **{name: value or None for name, value in seeds.items()},
            )  # fmt: skip
        except Refused as error:
            if error.status not in (400, 404):
                raise
            field = error.field if error.field in seeds else "tag"
            wrong = {field: error.message}
    return visit.page(
        "stations.html", "Stations", 400 if wrong else 200, seeds=seeds, found=found, wrong=wrong,
        offset=offset, moods=MOODS, eras=ERAS,
    )  # fmt: skip


async def _known(visit: Visit, path: str, **query: str) -> dict[str, Any] | None:
    """Return a page of the catalogue, ``None`` where it has none."""
    try:
        page: dict[str, Any] = await visit.get(path, **query)
    except Refused as error:
        if error.status != 404:
            raise
        return None
    return page


async def _own(visit: Visit, **of: str) -> list[dict[str, Any]] | None:
    """Return the newest plays, ``None`` while they cannot be read."""
    try:
        found = await visit.get(visit.of_subject("/plays"), limit=10, **of)
    except Away:
        return None
    plays: list[dict[str, Any]] = found["plays"]
    return plays


def _check(page: dict[str, Any] | None, own: list[dict[str, Any]] | None) -> None:
    """Raise :class:`Away` if the catalogue has no page and the plays cannot be read."""
    if page is None and own is None:
        raise Away("Your plays cannot be read.")
