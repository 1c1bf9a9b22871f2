"""GET /v1/stations: tracks by tag, era, mood or artist, nearer to a listener where one is named."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.audit import origin_of
from api.catalogue import examples
from api.catalogue.answers import Station, TrackCard, card
from api.catalogue.candidates import Seeds
from api.catalogue.hints import nothing_fits
from api.catalogue.moods import MOODS
from api.catalogue.pages import find_artist
from api.catalogue.reading import ask, kept, shown
from api.catalogue.taste import Taste, taste_of
from api.serving.recommend import check_name
from api.web import Caller, With
from contracts.ids import normalise

router = APIRouter(prefix="/v1", tags=["catalogue"])

#: How much an artist heard most lifts a track; how much chance moves it; what each further track of
#: one artist keeps of its place.
_TASTE = 1.5
_CHANCE = 0.3
_SPREAD = 0.8

Text = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.get("/stations", responses=shown(Station, examples.STATION), summary="A station")
async def station(
    request: Request,
    services: With,
    caller: Caller,
    tag: Text = None,
    era: Annotated[
        str | None, Query(max_length=20, description="1994, 1994-1999, 1990s or 90s")
    ] = None,
    mood: Annotated[str | None, Query(max_length=20, description=", ".join(MOODS))] = None,
    artist: Annotated[
        str | None, Query(max_length=100, description="Id of an artist to begin from")
    ] = None,
    user: Text = None,
    seed: Annotated[int, Query(ge=0, le=2**31, description="Another order of the same")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1000)] = 0,
) -> Response:
    """Return tracks that fit all seeds given, from the catalogue: also ones nobody has played.

    With ``user``, artists that listener hears, and artists like them, come earlier; hidden tracks
    and the last ten plays stay away. The same ``seed`` gives the same order, page by page.
    """
    if user is not None:
        caller.check_acts_for(user)
        check_name(user)
        if caller.user_id != user:
            await services.audit.note_reading(caller.user_id, user, origin_of(request))
    root: uuid.UUID | None = (await find_artist(services, artist))[0] if artist else None
    seeds = Seeds(normalise(tag) if tag else None, era, mood, root)
    rows = await ask(services, *seeds.question())
    taste = await taste_of(services, user) if user is not None else Taste()
    tracks = arrange(rows, taste, seed)
    named = {"tag": seeds.tag, "era": era, "mood": mood, "artist": root and str(root)}
    given = {name: value for name, value in named.items() if value}
    return kept(
        request,
        Station(
            seeds=given,
            tracks=tracks[offset : offset + limit],
            next_offset=offset + limit if len(tracks) > offset + limit else None,
            degraded=taste.degraded,
            hint=None if rows else await nothing_fits(services, seeds.tag, len(given)),
        ),
    )


def arrange(rows: list[tuple[Any, ...]], taste: Taste, seed: int) -> list[TrackCard]:
    """Put candidates in order: fit, taste and a little chance; no artist all in a row.

    Parameters
    ----------
    rows
        Cards with their fit, best first.
    """
    scored: list[tuple[float, tuple[Any, ...]]] = []
    for row in rows:
        near = taste.artists.get(row[2], 0.0)
        scored.append((row[8] * (1 + _TASTE * near) * _luck(row[0], seed), row))
    scored.sort(key=lambda pair: (-pair[0], str(pair[1][0])))
    placed: list[tuple[float, str, TrackCard]] = []
    of_artist: Counter[uuid.UUID] = Counter()
    met: set[tuple[uuid.UUID, str]] = set()
    for score, row in scored:
        same = row[2], normalise(row[1])
        if same in met or not taste.allows(row[3], row[1]):
            continue
        met.add(same)
        placed.append((score * _SPREAD ** of_artist[row[2]], str(row[0]), card(row)))
        of_artist[row[2]] += 1
    placed.sort(key=lambda each: (-each[0], each[1]))
    return [each[2] for each in placed]


def _luck(track: uuid.UUID, seed: int) -> float:
    """Return a number of 1 to 1 + chance, the same for the same track and seed."""
    digest = hashlib.blake2b(track.bytes + seed.to_bytes(4, "big"), digest_size=4).digest()
    return 1 + _CHANCE * int.from_bytes(digest, "big") / 2**32
