"""What is played most in the last hour, day and week."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Response

from api.listenbrainz.queries import rows_of
from api.services import Services
from api.serving.lookup import document_at
from api.web import Caller, With, answers, json_reply
from contracts import results
from contracts.ids import artist_id
from contracts.redis_client import UNAVAILABLE
from online_model import Recommender

router = APIRouter(prefix="/v1", tags=["serving"])
_decoder = msgspec.json.Decoder(results.Trending)
#: How many of the model's tracks a list by tag or of artists is made of.
_POOL = 1000
# Artists of a list who bear a tag, merged ones through the artist they were merged into.
_TAGGED = """
    select r.artist_id::text from catalogue_artist_roots_v1 r
    join catalogue_artist_tags_v1 g on g.artist_id = r.root_id
    where g.tag = %(tag)s and r.artist_id = any(%(artists)s::uuid[])"""


class Trend(msgspec.Struct):
    """A track or an artist; ``title`` is empty and ``track_id`` the artist's id for an artist.

    ``score`` orders the list: plays with at most three of one listener where Flink counts, else
    the model's own figure, which does not compare with it. ``listeners`` and ``plays`` are 0 where
    the model answers: it does not count them.
    """

    track_id: str
    artist: str
    title: str
    score: float
    listeners: int = 0
    plays: int = 0


class Trends(msgspec.Struct):
    """Tracks or artists played most in a window.

    ``source`` is ``flink`` (counted by event time; the window ended at ``window_end``, milliseconds
    since the epoch) or ``model`` (what rises in the online model now, regardless of ``window``).
    """

    source: str
    kind: str
    window: str
    window_end: int
    generation: int
    tracks: list[Trend]


@router.get("/trending", responses=answers(Trends), summary="What is played lately")
async def trending(
    services: With,
    _: Caller,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    window: Literal["1h", "24h", "7d"] = "24h",
    kind: Literal["tracks", "artists"] = "tracks",
    tag: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Return the newest list of a window: in all, or of artists who bear a tag.

    A list by tag holds those of the window's leading thousand that bear it. Where Flink does not
    run, the model answers with what rises; empty while there is no model either.
    """
    reader = services.model.reader
    generation = 0 if reader is None else reader.generation
    found = await _counted(services, kind, window)
    if found is not None:
        trends = [_of_place(place) for place in sorted(found.places, key=lambda p: p.place)]
        answer = Trends("flink", kind, window, found.window_end, generation, trends)
    else:
        trends = [] if reader is None else _of_model(reader, kind, limit, wide=bool(tag))
        answer = Trends("model", kind, window, 0, generation, trends)
    if tag:
        answer.tracks = await _tagged(services, answer.tracks, tag)
    answer.tracks = answer.tracks[:limit]
    return json_reply(answer)


async def _counted(services: Services, kind: str, window: str) -> results.Trending | None:
    """Return Flink's newest list; ``None`` where there is none, or Redis is away."""
    if not services.settings.flink:
        return None
    try:
        value = await services.redis.hget(services.keys.trending, f"{kind}:{window}")
    except UNAVAILABLE:
        return None
    return _decoder.decode(value) if value else None


def _of_place(place: results.Place) -> Trend:
    return Trend(
        place.id, place.artist, place.title, float(place.weight), place.listeners, place.plays
    )


def _of_model(reader: Recommender, kind: str, limit: int, *, wide: bool) -> list[Trend]:
    """Return what rises in the model; of artists, the sum over their tracks."""
    pool = _POOL if wide or kind == "artists" else limit
    tracks = []
    for index, score in reader.trending(int(time.time()), pool):
        document = document_at(reader, index)
        if document is not None:
            tracks.append(Trend(document.track_id, document.artist, document.title, score))
    if kind == "tracks":
        return tracks
    artists: dict[str, Trend] = {}
    for track in tracks:
        key = artist_id(track.artist)
        held = artists.setdefault(key, Trend(key, track.artist, "", 0.0))
        held.score += track.score
    return sorted(artists.values(), key=lambda each: (-each.score, each.track_id))


async def _tagged(services: Services, trends: list[Trend], tag: str) -> list[Trend]:
    ids = {each.artist: artist_id(each.artist) for each in trends}
    values = {"tag": tag.strip().lower(), "artists": list(ids.values())}
    bearers = {artist for (artist,) in await rows_of(services, _TAGGED, values)}
    return [each for each in trends if ids[each.artist] in bearers]
