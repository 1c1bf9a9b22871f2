"""GET /v1/search: artists and tracks by the beginnings of their words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.catalogue import examples
from api.catalogue.answers import ArtistCard, Found, card
from api.catalogue.hints import nothing_found
from api.catalogue.matching import ARTISTS, TRACKS, find, sought
from api.catalogue.reading import asking, kept, shown
from api.errors import ApiError
from api.web import Caller, With
from contracts.search import search_text

router = APIRouter(prefix="/v1", tags=["catalogue"])

_MOST_WORDS = 12


@router.get("/search", responses=shown(Found, examples.SEARCH), summary="Find artists and tracks")
async def search(
    request: Request,
    services: With,
    _: Caller,
    q: Annotated[str, Query(min_length=1, max_length=200, examples=["sigur ros"])],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
    offset: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> Response:
    """Return artists and tracks that have all the words, as beginnings of theirs, in any order.

    Case, accents and punctuation do not matter; words of a track are those of its artist and its
    title. Both lists are paged by the same ``offset``.
    """
    text = search_text(q)
    words = text.split()
    if not words:
        raise ApiError(400, "bad-parameter", "q must contain a letter or a digit.", field="q")
    if len(words) > _MOST_WORDS:
        raise ApiError(400, "bad-parameter", f"q may have at most {_MOST_WORDS} words.", field="q")
    what = sought(text, limit + offset + 1)
    async with asking(services) as ask:
        artists = (await find(ask, ARTISTS, what))[offset:]
        tracks = (await find(ask, TRACKS, what))[offset:]
    found = Found(
        query=q,
        artists=[ArtistCard(str(i), n, round(p, 4)) for i, n, p in artists[:limit]],
        tracks=[card(row) for row in tracks[:limit]],
        next_offset=offset + limit if max(len(artists), len(tracks)) > limit else None,
        hint=None if artists or tracks or offset else await nothing_found(services, text),
    )
    return kept(request, found)
