"""What is known of an artist or a track: artist.getInfo, getSimilar, getTopTracks; track.getInfo.

Counts of plays are the caller's own: what others play is private here.
"""

from __future__ import annotations

from typing import Any

from api.catalogue.reading import ask
from api.lastfm import nodes
from api.lastfm.errors import INVALID_PARAMETERS, LastfmError
from api.lastfm.params import Params
from api.lastfm.reading import Page, number, reader
from api.lastfm.tree import Node
from api.listenbrainz.mapping import mbid_of
from api.services import Services
from contracts.ids import normalise, track_key
from contracts.placeholders import ARTISTS, is_placeholder
from contracts.recordings import recording_key

_ARTIST = """
    select c.artist_id, c.name,
        (select i.mbid::text from catalogue_artist_ids_v1 i
            where i.artist_id = c.artist_id and i.mbid is not null limit 1)
    from catalogue_artist_cards_v1 c where lower(c.name) = lower(%(name)s)
    order by c.popularity desc limit 1
"""
_ARTIST_BY_MBID = """
    select c.artist_id, c.name, i.mbid::text
    from catalogue_artist_ids_v1 i join catalogue_artist_cards_v1 c using (artist_id)
    where i.mbid::text = %(mbid)s limit 1
"""
_TAGS = """
    select tag from catalogue_artist_tags_v1 where artist_id = %(id)s
    order by weight desc, tag limit 5
"""
_SIMILAR = """
    select o.name, max(s.score)::float8 from catalogue_similar_artists_v1 s
    join catalogue_artist_cards_v1 o on o.artist_id = s.other_id
    where s.artist_id = %(id)s and s.other_id <> %(id)s
    group by o.name order by 2 desc, 1 limit %(limit)s
"""
_TRACKS = """
    select title, recording_mbid::text, duration_ms from catalogue_track_cards_v1
    where artist_id = %(id)s order by popularity desc, title limit 1000
"""
_TRACK = """
    select c.album, c.recording_mbid::text, c.duration_ms from catalogue_track_cards_v1 c
    where c.track_id = catalogue_track_named(%(artist)s, %(title)s, %(recordings)s)
"""
# A listener's plays of one artist; spellings are compared in Python.
_PLAYED = """
    select artist, title, count(*), max(album), max(duration_ms), max(track_id)
    from listens_v1 where user_id = %(user)s and lower(artist) = lower(%(artist)s)
    group by artist, title
"""
_LOVED = """
    select 1 from listener_feedback_v1
    where user_id = %(user)s and track_key = %(key)s and kind = 'love'
"""


async def get_artist(services: Services, params: Params) -> Node:
    """artist.getInfo: tags and similar artists of the catalogue, and how often it was played."""
    user = await reader(services, params)
    known, name = await _artist(services, params)
    played = await ask(services, _PLAYED, {"user": user, "artist": name})
    if known is None and not played:
        raise LastfmError(INVALID_PARAMETERS, "The artist you supplied could not be found")
    artist_id, mbid = (known[0], known[2] or "") if known else (None, "")
    tags = await ask(services, _TAGS, {"id": artist_id}) if artist_id else []
    alike = await _similar(services, artist_id, 5)
    count = str(sum(row[2] for row in played))
    stats = [Node(each, "0") for each in ("listeners", "playcount")]
    bio = [Node(each) for each in ("published", "summary", "content")]
    return nodes.artist(
        name,
        mbid,
        Node("ontour", "0"),
        Node("stats", children=[*stats, Node("userplaycount", count)]),
        Node("similar", children=[nodes.artist(other) for other, _ in alike], holds="artist"),
        Node("tags", children=[_tag(tag) for (tag,) in tags], holds="tag"),
        Node("bio", children=bio),
    )


async def get_similar_artists(services: Services, params: Params) -> Node:
    """artist.getSimilar: by content and by what sources say, the closest first."""
    await reader(services, params)
    known, name = await _artist(services, params)
    limit = min(200, max(1, number(params, "limit", 100)))
    alike = await _similar(services, known[0] if known else None, limit)
    items = [nodes.artist(other, "", Node("match", f"{score:.6g}")) for other, score in alike]
    return Node("similarartists", attributes={"artist": name}, children=items, holds="artist")


async def get_top_tracks(services: Services, params: Params) -> Node:
    """artist.getTopTracks: by popularity in the catalogue, what only the caller knows last."""
    user, page = await reader(services, params), Page.of(params)
    known, name = await _artist(services, params)
    played = {
        normalise(row[1]): row
        for row in await ask(services, _PLAYED, {"user": user, "artist": name})
    }
    rows = await ask(services, _TRACKS, {"id": known[0]}) if known else []
    found: dict[str, tuple[str, str]] = {}
    for title, mbid, _ in rows:
        found.setdefault(normalise(title), (title, mbid or ""))
    for row in sorted(played.values(), key=lambda row: (-row[2], row[1])):
        mbid = mbid_of(row[5], row[0], row[1])
        found.setdefault(normalise(row[1]), (row[1], mbid or ""))
    items = []
    for rank, (key, (title, mbid)) in page.cut(list(found.items())):
        plays = str(played[key][2]) if key in played else "0"
        counts = [Node("playcount", plays), Node("listeners", "0")]
        items.append(nodes.track(title, nodes.artist(name), *counts, rank=rank, mbid=mbid))
    return page.node("toptracks", "track", len(found), items, artist=name)


async def get_track(services: Services, params: Params) -> Node:
    """track.getInfo: what the catalogue or the plays say, plays of the caller, loved or not."""
    user = await reader(services, params)
    artist, title = params.need("artist").strip(), params.need("track").strip()
    names = {"artist": normalise(artist), "title": normalise(title)}
    if is_placeholder(artist, title):  # it names no song
        raise LastfmError(INVALID_PARAMETERS, "Track not found")
    known = await ask(services, _TRACK, {**names, "recordings": [recording_key(artist, title)]})
    rows = await ask(services, _PLAYED, {"user": user, "artist": artist})
    played = [row for row in rows if normalise(row[1]) == names["title"]]
    if not known and not played:
        raise LastfmError(INVALID_PARAMETERS, "Track not found")
    told = [(row[3], mbid_of(row[5], row[0], row[1]), row[4]) for row in played]
    album, mbid, length = (
        next((about[i] for about in (*known, *told) if about[i]), None) for i in range(3)
    )
    key = f"{track_key(artist, title):016x}"
    loved = bool(await ask(services, _LOVED, {"user": user, "key": key}))
    parts = [
        Node("duration", str(length or 0)),
        Node("listeners", "0"),
        Node("playcount", "0"),
        Node("userplaycount", str(sum(row[2] for row in played))),
        Node("userloved", str(int(loved))),
        Node("toptags", holds="tag"),
    ]
    if album:
        about = [Node("artist", artist), Node("title", album), nodes.url(artist, album=album)]
        parts.append(Node("album", children=[*about, *nodes.images()]))
    return nodes.track(title, nodes.artist(artist), *parts, mbid=mbid or "")


async def _artist(services: Services, params: Params) -> tuple[tuple[Any, ...] | None, str]:
    """Return ``(id, name, mbid)`` of an artist of the catalogue, and the artist's name."""
    if mbid := params.get("mbid").strip().lower():
        rows = await ask(services, _ARTIST_BY_MBID, {"mbid": mbid})
        if rows:
            return rows[0], rows[0][1]
    name = params.need("artist").strip()
    if normalise(name) in ARTISTS:  # a placeholder such as "Unknown Artist"
        return None, name
    rows = await ask(services, _ARTIST, {"name": name})
    return (rows[0], rows[0][1]) if rows else (None, name)


async def _similar(services: Services, artist_id: Any, limit: int) -> list[tuple[Any, ...]]:
    if artist_id is None:
        return []
    return list(await ask(services, _SIMILAR, {"id": artist_id, "limit": limit}))


def _tag(name: str) -> Node:
    address = f"https://www.last.fm/tag/{name.replace(' ', '+')}"
    return Node("tag", children=[Node("name", name), Node("url", address)])
