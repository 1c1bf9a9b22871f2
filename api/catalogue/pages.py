"""GET /v1/artists/{id} and /v1/tracks/{id}: fields, their sources, and the trust in each."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from api.catalogue import examples
from api.catalogue.answers import (
    CARD,
    AlbumPage,
    AlikeArtist,
    ArtistPage,
    Fact,
    PublicId,
    TagShare,
    TrackPage,
    card,
)
from api.catalogue.reading import Rows, ask, ask_all, kept, shown
from api.errors import ApiError
from api.services import Services
from api.serving.lookup import document_of
from api.web import Caller, With, answers
from contracts.ids import artist_id as id_of_artist
from contracts.ids import normalise
from contracts.placeholders import is_placeholder
from contracts.recordings import recording_key

router = APIRouter(prefix="/v1", tags=["catalogue"])

Name = Annotated[str, Query(min_length=1, max_length=300)]

_ISRC = re.compile(r"isrc:([A-Z]{2}[A-Z0-9]{3}[0-9]{7})")
_SPOTIFY = re.compile(r"(?:spotify:(?:track|artist):)?([0-9A-Za-z]{22})")
_ARTIST = """
    select artist_id, name, names, popularity from catalogue_artist_cards_v1
    where artist_id = (select root_id from catalogue_artist_roots_v1 where artist_id = %(id)s)
"""
_ARTIST_BY = """
    select distinct artist_id from catalogue_artist_ids_v1
    where mbid = %(mbid)s or spotify_id = %(spotify)s limit 1
"""
_TRACK = f"""
    select {CARD} from catalogue_track_cards_v1 c
    where c.track_id = %(uuid)s or c.recording_mbid = %(uuid)s
        or c.isrc = %(isrc)s or c.spotify_id = %(spotify)s
    order by c.track_id = %(uuid)s desc, c.popularity desc limit 1
"""  # noqa: S608  the columns are ours
_TRACK_NAMED = f"""
    select {CARD} from catalogue_track_cards_v1 c
    where c.track_id = catalogue_track_named(%(artist)s, %(title)s, %(recordings)s)
"""  # noqa: S608
_TOP = f"""
    select distinct on (popularity, lower(title)) {CARD} from catalogue_track_cards_v1 c
    where artist_id = %(id)s order by popularity desc, lower(title), track_id limit 10
"""  # noqa: S608
_ALBUM = f"""
    select distinct on (popularity, lower(title)) {CARD} from catalogue_track_cards_v1 c
    where artist_id = %(id)s and lower(album) = lower(%(name)s)
    order by popularity desc, lower(title), track_id limit 100
"""  # noqa: S608
_TAGS = """
    select tag, weight from catalogue_{kind}_tags_v1 where {kind}_id = %(id)s
    order by weight desc, tag limit 20
"""
_FACTS = """
    select field, value, source, confidence, observed_at from catalogue_facts_v1
    where kind = %(kind)s and entity_id = %(id)s
        and field not in ('name', 'artist', 'title', 'mbid', 'recording_mbid', 'isrc', 'spotify_id')
    order by field
"""
_IDENTITIES = """
    select distinct scheme, value, source from catalogue_track_identities_v1
    where track_id = %(id)s order by 1, 2, 3
"""
_ARTIST_IDENTITIES = """
    select distinct scheme, value, source from catalogue_artist_identities_v1
    where artist_id = %(id)s order by 1, 2, 3
"""
# Similar artists by content and by the sources; the highest score of each artist counts.
_ALIKE = """
    select o.artist_id, o.name, f.score, f.source
    from (
        select distinct on (other_id) other_id as artist_id, score, source
        from catalogue_similar_artists_v1 where artist_id = %(id)s
        order by other_id, score desc, source
    ) f
    join catalogue_artist_cards_v1 o using (artist_id)
    where artist_id <> %(id)s
    order by f.score desc, o.name limit 20
"""


@router.get(
    "/artists/{artist_id}", responses=shown(ArtistPage, examples.ARTIST), summary="An artist"
)
async def artist(request: Request, services: With, _: Caller, artist_id: str) -> Response:
    """Return an artist by catalogue id, MusicBrainz id or Spotify id; 404 for an unknown one."""
    found = await find_artist(services, artist_id)
    given = {"id": found[0], "kind": "artist"}
    queries = (_TAGS.format(kind="artist"), _TOP, _ALIKE, _ARTIST_IDENTITIES, _FACTS)
    tags, top, alike, identities, facts = await ask_all(services, queries, given)
    page = ArtistPage(
        artist_id=str(found[0]),
        name=found[1],
        names=found[2],
        popularity=round(found[3], 4),
        tags=[TagShare(tag, round(weight, 4)) for tag, weight in tags],
        top_tracks=[card(row) for row in top],
        similar_artists=[
            AlikeArtist(str(other), name, round(score, 4), source)
            for other, name, score, source in alike
        ],
        identities=[PublicId(*row) for row in identities],
        facts=_facts(facts),
    )
    return kept(request, page)


@router.get("/albums", responses=answers(AlbumPage), summary="An album by its names")
async def album(request: Request, services: With, _: Caller, artist: Name, name: Name) -> Response:
    """Return the tracks of an album; `artist` is a name or an id; 404 for an unknown album."""
    try:
        found = await find_artist(services, artist)
    except ApiError:
        found = await find_artist(services, str(id_of_artist(artist)))
    rows = await ask(services, _ALBUM, {"id": found[0], "name": name})
    if not rows:
        raise ApiError(404, "unknown-album", f"The catalogue has no album {name!r} by {artist!r}.")
    tracks = [card(row) for row in rows]
    years = [track.year for track in tracks if track.year]
    spelt = tracks[0].album or name
    year = min(years, default=None)
    return kept(request, AlbumPage(str(found[0]), found[1], spelt, year, tracks))


@router.get("/tracks/{track_id}", responses=shown(TrackPage, examples.TRACK), summary="A track")
async def track(request: Request, services: With, _: Caller, track_id: str) -> Response:
    """Return a track by an id from a play or a list: MusicBrainz id, ISRC, Spotify id or Segue's.

    404: neither the catalogue nor the model knows the id.
    """
    row = await _find_track(services, track_id)
    if row is None:
        # What was played under this id has names, and names lead to the catalogue.
        known = document_of(services.model.reader, track_id)
        if known is not None:
            row = await _find_named(services, known.artist, known.title)
    if row is None:
        raise ApiError(404, "unknown-track", f"The catalogue does not know {track_id!r}.")
    return await _page(request, services, row)


@router.get(
    "/tracks", responses=shown(TrackPage, examples.TRACK), summary="A track by a player's names"
)
async def named(request: Request, services: With, _: Caller, artist: Name, title: Name) -> Response:
    """Return the track that an artist and a title name; 404 if the catalogue has none.

    Case, accents, punctuation, guests ("feat.") and the year of a remaster make no difference. Live
    recordings, remixes and edits are different tracks.
    """
    row = await _find_named(services, artist, title)
    if row is None:
        raise ApiError(404, "unknown-track", f"The catalogue has no {title!r} by {artist!r}.")
    return await _page(request, services, row)


async def _page(request: Request, services: Services, row: tuple[Any, ...]) -> Response:
    given = {"id": row[0], "kind": "track"}
    queries = (_TAGS.format(kind="track"), _IDENTITIES, _FACTS)
    tags, identities, facts = await ask_all(services, queries, given)
    page = TrackPage(
        track=card(row),
        tags=[TagShare(tag, round(weight, 4)) for tag, weight in tags],
        identities=[PublicId(*found) for found in identities],
        facts=_facts(facts),
    )
    return kept(request, page)


async def find_artist(services: Services, text: str) -> tuple[Any, ...]:
    """Return ``(artist_id, name, names, popularity)`` of any id of an artist, merges followed.

    Raises
    ------
    ApiError
        404 for an unknown one.
    """
    wanted = _uuid(text)
    rows = await ask(services, _ARTIST, {"id": wanted}) if wanted else []
    if not rows:
        match = _SPOTIFY.fullmatch(text)
        given = {"mbid": wanted, "spotify": match and match[1]}
        if any(given.values()) and (ids := await ask(services, _ARTIST_BY, given)):
            rows = await ask(services, _ARTIST, {"id": ids[0][0]})
    if not rows:
        raise ApiError(404, "unknown-artist", f"The catalogue does not know {text!r}.")
    return rows[0]


async def _find_track(services: Services, text: str) -> tuple[Any, ...] | None:
    isrc, spotify = _ISRC.fullmatch(text), _SPOTIFY.fullmatch(text)
    given = {"uuid": _uuid(text), "isrc": isrc and isrc[1], "spotify": spotify and spotify[1]}
    rows = await ask(services, _TRACK, given) if any(given.values()) else []
    return rows[0] if rows else None


async def _find_named(services: Services, artist: str, title: str) -> tuple[Any, ...] | None:
    if is_placeholder(artist, title):  # such a name identifies no song in any source
        return None
    given: dict[str, Any] = {"artist": normalise(artist), "title": normalise(title)}
    spellings = await ask(services, "select catalogue_spellings(%(artist)s)", given)
    names = {artist, *(name for (name,) in spellings)}
    given["recordings"] = [recording_key(name, title) for name in names]
    rows = await ask(services, _TRACK_NAMED, given)
    return rows[0] if rows else None


def _facts(rows: Rows) -> list[Fact]:
    return [Fact(field, value, source, round(c, 2), at) for field, value, source, c, at in rows]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
