"""GET /v1/search: artists and tracks by the beginnings of their words."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.catalogue import examples
from api.catalogue.answers import CARD, ArtistCard, Found, card
from api.catalogue.hints import nothing_found
from api.catalogue.reading import ask_all, kept, shown
from api.errors import ApiError
from api.web import Caller, With
from contracts.search import search_text

router = APIRouter(prefix="/v1", tags=["catalogue"])

_MOST_WORDS = 12
#: The best-known rows are looked through first; what fills no page there is matched by few. Of a
#: million tracks, 4,000 cost as much as the few at worst (`segue bench search`).
_BEST_KNOWN = 4_000
#: Beginnings of one letter and two are lexemes of their own (0061_search.sql): GIN would gather all
#: that a beginning stands for, and one letter stands for a tenth of all words.
_HEAD = 2
# A name that is what was typed comes first, then names that begin so, then the other matches; each
# in order of popularity. CTEs are read row by row and no further than a limit asks; a question
# whose answer is complete already is not asked (its `where` is decided before it runs).
_FIND = """
    with known as materialized (
        select * from (
            select * from {cards}
            order by popularity desc, search_text, {id} limit {best_known}
        ) top
        where words @@ %(words)s::tsquery
    ), same as materialized (
        select * from {cards} where search_text collate "C" = %(text)s
        order by popularity desc, {id} limit %(need)s
    ), known_begin as materialized (
        select * from known where starts_with(search_text, %(text)s) limit %(need)s
    ), all_begin as materialized (
        select * from {cards}
        where search_text collate "C" >= %(text)s and search_text collate "C" < %(beyond)s
            and (select count(*) from known_begin) < %(need)s
    ), begin as materialized (
        select * from known_begin where (select count(*) from known_begin) >= %(need)s
        union all
        (select * from all_begin order by popularity desc, search_text, {id} limit %(need)s)
    ), known_match as materialized (
        select * from known where (select count(*) from begin) < %(need)s limit %(need)s
    ), all_match as materialized (
        select * from {cards}
        where {indexed}
            and (select count(*) from begin) < %(need)s
            and (select count(*) from known_match) < %(need)s
    ), match as materialized (
        select * from known_match where (select count(*) from known_match) >= %(need)s
        union all
        (select * from all_match order by popularity desc, search_text, {id} limit %(need)s)
    ), found as (
        select distinct on ({id}) * from (
            select 0 as tier, * from same union all
            select 1, * from begin union all
            select 2, * from match
        ) every order by {id}, tier
    )
    select {columns} from found c
    order by c.tier, c.popularity desc, c.search_text, c.{id}
    limit %(limit)s + 1 offset %(offset)s
"""


def _statement(kind: str, columns: str, indexed: str, best_known: int = _BEST_KNOWN) -> str:
    """Return the question for artists or tracks; how many are looked through changes no answer."""
    return _FIND.format(
        cards=f"catalogue_{kind}_cards_v1",
        id=f"{kind}_id",
        columns=columns,
        indexed=indexed,
        best_known=best_known,
    )


def _artists(best_known: int = _BEST_KNOWN) -> str:
    columns = "c.artist_id, c.name, c.popularity"
    return _statement("artist", columns, "words @@ %(words)s::tsquery", best_known)


def _tracks(best_known: int = _BEST_KNOWN) -> str:
    forms = "catalogue_words(search_text) @@ %(forms)s::tsquery"
    return _statement("track", CARD, forms, best_known)


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
    given = _arguments(text, words, limit, offset)
    artists, tracks = await ask_all(services, (_artists(), _tracks()), given)
    found = Found(
        query=q,
        artists=[ArtistCard(str(i), n, round(p, 4)) for i, n, p in artists[:limit]],
        tracks=[card(row) for row in tracks[:limit]],
        next_offset=offset + limit if max(len(artists), len(tracks)) > limit else None,
        hint=None if artists or tracks or offset else await nothing_found(services, text),
    )
    return kept(request, found)


def _arguments(text: str, words: list[str], limit: int, offset: int) -> dict[str, str | int]:
    return {
        "text": text,
        "beyond": text + chr(0x10FFFF),
        "words": _query(words),
        "forms": _query(words, _HEAD),
        "limit": limit,
        "offset": offset,
        "need": limit + offset + 1,
    }


def _query(words: list[str], heads: int = 0) -> str:
    """Return the words as a text-search query: every one must begin a word.

    Parameters
    ----------
    heads
        Words of so many letters or fewer are asked for as the lexemes of beginnings.

    Examples
    --------
    >>> _query(["o'neal", "b"])
    "'o''neal':* & 'b':*"
    >>> _query(["o'neal", "b"], heads=2)
    "'o''neal':* & '^b'"
    """
    quoted = [word.replace("\\", "\\\\").replace("'", "''") for word in words]
    return " & ".join(
        f"'^{text}'" if len(word) <= heads else f"'{text}':*"
        for word, text in zip(words, quoted, strict=True)
    )
