"""/v1/catalogue/review: artists that may be one, side by side, and deciding on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.account.body import read_struct
from api.account.me import stamp
from api.account.store import run
from api.audit import origin_of
from api.catalogue.reading import ask, ask_all
from api.errors import ApiError
from api.services import Services
from api.web import Caller, With, answers, body_of, json_reply
from contracts.accounts import ADMIN, ADMIN_ROLE
from contracts.audit import entry
from contracts.catalogue import DECIDE

router = APIRouter(prefix="/v1/catalogue/review", tags=["operation"])

Decided = Literal["pending", "merge", "distinct"]
_CANDIDATES = """
    select left_id, right_id, left_name, right_name, score, evidence, decision, decided_by,
        decided_at
    from catalogue_candidates_v1
"""
_PAIRS = f"""{_CANDIDATES}
    where decision = %(decision)s
    order by decided_at desc nulls first, score desc, left_id, right_id
    limit %(limit)s offset %(offset)s
"""
_ONE = f"{_CANDIDATES} where left_id = %(left)s and right_id = %(right)s"
_COUNTS = "select decision, count(*) from catalogue_candidates_v1 group by decision"
# What helps to distinguish two artists: recordings, tags, public ids.
_SIDES = """
    select a.artist_id,
        (select count(*) from catalogue_track_cards_v1 t where t.artist_id = a.artist_id),
        array(select t.title from catalogue_track_cards_v1 t where t.artist_id = a.artist_id
            order by t.popularity desc, t.track_id limit 3),
        array(select g.tag from catalogue_artist_tags_v1 g where g.artist_id = a.artist_id
            order by g.weight desc, g.tag limit 5),
        array(select distinct i.scheme || ':' || i.value from catalogue_artist_identities_v1 i
            where i.artist_id = a.artist_id order by 1 limit 4)
    from catalogue_artist_roots_v1 a
    where a.artist_id = any(%(ids)s::uuid[])
"""


class ArtistSide(msgspec.Struct):
    """One artist of a pair.

    ``tracks`` is the number of tracks, ``titles`` are those of the three most popular ones,
    ``tags`` the five with the highest weight, ``ids`` up to four public ids, such as ``mbid:...``.
    An artist that was merged into another has no tracks and no tags of its own.
    """

    artist_id: str
    name: str
    tracks: int = 0
    titles: list[str] = []
    tags: list[str] = []
    ids: list[str] = []


class ReviewPair(msgspec.Struct):
    """Two artists of the catalogue that may be the same artist.

    ``why`` is the reason: ``same-id``, ``spelling``, ``article`` (such as "The") or ``typo``.
    ``names`` and ``tags`` are similarities of names and of tags, 0 to 1; ``tags`` is ``None`` if
    one of the artists has no tags. ``ids_conflict``: sources give them different MusicBrainz ids.
    ``decided_by`` is ``rule`` or ``person``, ``None`` before a decision.
    """

    pair: str
    score: float
    why: str
    names: float
    tags: float | None
    ids_conflict: bool
    decision: str
    decided_by: str | None
    decided_at: str | None
    left: ArtistSide
    right: ArtistSide


class Review(msgspec.Struct):
    """Pairs with one decision.

    Undecided pairs are ordered by ``score``, highest first, others by the time of the decision,
    newest first. ``counts`` are the numbers of all pairs by decision; ``next_offset`` is the
    parameter ``offset`` of the next page.
    """

    pairs: list[ReviewPair]
    counts: dict[str, int]
    next_offset: int | None


class ReviewDecision(msgspec.Struct):
    """``merge``: the two are one artist. ``distinct``: they are two."""

    decision: Literal["merge", "distinct"]


@router.get("", responses=answers(Review), summary="Artists that may be one")
async def review(
    services: With,
    caller: Caller,
    decision: Decided = "pending",
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List pairs of artists that wait for a decision, or have one (administrators)."""
    caller.check_role(ADMIN_ROLE)
    values = {"decision": decision, "limit": limit + 1, "offset": offset}
    rows, counts = await ask_all(services, [_PAIRS, _COUNTS], values)
    known: dict[str, int] = {"pending": 0, "merge": 0, "distinct": 0, **dict(counts)}
    pairs = await _shown(services, rows[:limit])
    return json_reply(Review(pairs, known, offset + limit if len(rows) > limit else None))


@router.post(
    "/{pair}",
    responses=answers(ReviewPair),
    openapi_extra=body_of(ReviewDecision),
    summary="Decide whether two artists are one",
)
async def decide(request: Request, services: With, caller: Caller, pair: str) -> Response:
    """Record a decision on a pair, `<id>+<id>` (administrators); another one takes it back.

    The next collection or nightly run brings pages, search and lists up to it.
    """
    caller.check_role(ADMIN_ROLE)
    given = await read_struct(request, ReviewDecision)
    left, right = _ids(pair)
    values = {"left": left, "right": right}
    found = await ask(services, _ONE, values)
    if not found:
        raise ApiError(404, "unknown-pair", f"There is no pair {pair!r} to decide on.")
    (before,) = await _shown(services, found)
    if (before.decision, before.decided_by) == (given.decision, "person"):
        return json_reply(before)  # decided twice: nothing to do, nothing to record
    row = entry(
        caller.user_id, "catalogue.decide", ADMIN, origin_of(request),
        pair=pair, decision=given.decision,
    )  # fmt: skip
    decided = values | {"decision": given.decision, "person": caller.user_id}
    await run(services, DECIDE, decided, row)
    (changed,) = await _shown(services, await ask(services, _ONE, values))
    return json_reply(changed)


def _ids(pair: str) -> tuple[UUID, UUID]:
    """Return both ids of a pair, the smaller first; a 404 for what names none."""
    try:
        left, right = sorted(UUID(each) for each in pair.split("+"))
    except ValueError:
        raise ApiError(
            404, "unknown-pair", f"{pair!r} is not a pair: write two ids with a + between them."
        ) from None
    return left, right


async def _shown(services: Services, rows: list[tuple[Any, ...]]) -> list[ReviewPair]:
    ids = {artist for row in rows for artist in row[:2]}
    details = await ask(services, _SIDES, {"ids": list(ids)}) if ids else []
    known = {artist: more for artist, *more in details}
    return [_pair(row, known) for row in rows]


def _pair(row: tuple[Any, ...], known: dict[UUID, list[Any]]) -> ReviewPair:
    left, right, left_name, right_name, score, evidence, decision, by, at = row
    decided_at: datetime | None = at
    decider = "rule" if by and by.startswith("rule:") else "person"
    return ReviewPair(
        f"{left}+{right}",
        score,
        str(evidence.get("why", "")),
        float(evidence.get("names") or 0.0),
        evidence.get("tags"),
        bool(evidence.get("ids_conflict")),
        decision,
        None if decision == "pending" else decider,
        stamp(decided_at),
        ArtistSide(str(left), left_name, *known.get(left, ())),
        ArtistSide(str(right), right_name, *known.get(right, ())),
    )
