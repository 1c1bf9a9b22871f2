"""GET /v1/search: artists and tracks by the beginnings of their words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.catalogue import examples
from api.catalogue.answers import CARD, ArtistCard, Found, card
from api.catalogue.reading import ask, kept, shown
from api.errors import ApiError
from api.web import Caller, With
from contracts.search import search_text

router = APIRouter(prefix="/v1", tags=["catalogue"])

_MOST_WORDS = 12
# A name that is what was typed comes first, then one that begins so, then the better known.
_ORDER = """
    order by c.search_text = %(text)s desc, starts_with(c.search_text, %(text)s) desc,
        c.popularity desc, c.search_text, 1
    limit %(limit)s + 1 offset %(offset)s
"""
_ARTISTS = f"""
    select c.artist_id, c.name, c.popularity from catalogue_artist_cards c
    where c.words @@ %(words)s::tsquery {_ORDER}
"""  # noqa: S608  nothing of a caller's in it
_TRACKS = f"""
    select {CARD} from catalogue_track_cards c where c.words @@ %(words)s::tsquery {_ORDER}
"""  # noqa: S608


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
        raise ApiError(400, "bad-parameter", "q: letters or digits are needed.", field="q")
    if len(words) > _MOST_WORDS:
        raise ApiError(400, "bad-parameter", f"q: at most {_MOST_WORDS} words.", field="q")
    given = {"text": text, "words": _query(words), "limit": limit, "offset": offset}
    artists = await ask(services, _ARTISTS, given)
    tracks = await ask(services, _TRACKS, given)
    found = Found(
        query=q,
        artists=[ArtistCard(str(i), n, round(p, 4)) for i, n, p in artists[:limit]],
        tracks=[card(row) for row in tracks[:limit]],
        next_offset=offset + limit if max(len(artists), len(tracks)) > limit else None,
    )
    return kept(request, found)


def _query(words: list[str]) -> str:
    """Return the words as a text-search query: every one must begin a word.

    Examples
    --------
    >>> _query(["o'neal", "b"])
    "'o''neal':* & 'b':*"
    """
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in words)
    return " & ".join(f"'{word}':*" for word in quoted)
