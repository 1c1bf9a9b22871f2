"""What to ask each source about the catalogue: what nobody has told yet, the best source first.

A field has an order of sources (:data:`FALLBACKS`). Each is asked about the things whose field none
before it has told, so a later one fills what an earlier one lacks, and no question is asked for an
answer that is there already. What is asked first turns with the day: names a source does not know
must not fill every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from batch.collectors.lastfm import questions as lastfm
from batch.collectors.listenbrainz import similar
from batch.collectors.lookups import Question
from batch.collectors.spotify import source as spotify

#: Field -> sources in the order in which they are asked. What was loaded from files comes before
#: all of them; when several have told, the most trusted speaks (``catalogue_best_facts``).
FALLBACKS: dict[str, tuple[str, ...]] = {
    "tags": ("lastfm", "spotify"),
    "similar artists": ("lastfm", "listenbrainz"),
    "duration, album": ("spotify", "lastfm"),
    "ISRC, explicit, popularity": ("spotify",),
    "listeners, plays": ("lastfm",),
    "audio features": (),  # withdrawn by Spotify: files only
}

_UNKNOWN_ARTISTS = """
    select a.name from catalogue_artists a
    where a.merged_into is null and not exists (
        select from catalogue_links l
        where l.kind = 'artist' and l.entity_id = a.artist_id and l.source = %(source)s)
    order by md5(a.artist_id::text || current_date::text) limit %(limit)s
"""
_TAGS = """
    select tag from catalogue_artist_tags group by tag having count(*) >= 5
    order by md5(tag || current_date::text) limit %(limit)s
"""
# Tracks of which nobody has told how long they are, or what people call them.
_TRACKS_LACKING = """
    select a.name, t.title
    from catalogue_tracks t
    join catalogue_artists a using (artist_id)
    left join catalogue_track_cards c using (track_id)
    where (c.duration_ms is null
            or not exists (select from catalogue_track_tags g where g.track_id = t.track_id))
        and not exists (
            select from catalogue_links l
            where l.kind = 'track' and l.entity_id = t.track_id and l.source = %(source)s)
    order by md5(t.track_id::text || current_date::text) limit %(limit)s
"""
_SPOTIFY_TRACKS = """
    select distinct s.spotify_id, md5(s.spotify_id || current_date::text)
    from staged_tracks s
    where s.spotify_id is not null and s.source <> 'spotify' and not exists (
        select from staged_tracks o where o.source = 'spotify' and o.source_key = s.spotify_id)
    order by 2 limit %(limit)s
"""
_SPOTIFY_ARTISTS = """
    select distinct s.spotify_id, md5(s.spotify_id || current_date::text)
    from staged_artists s
    where s.spotify_id is not null and not exists (
        select from staged_tags g
        where g.source = 'spotify' and g.kind = 'artist' and g.source_key = s.spotify_id)
    order by 2 limit %(limit)s
"""
_WITHOUT_SIMILAR = """
    select mbid::text, name
    from (
        select distinct on (s.mbid) s.mbid, s.name
        from staged_artists s
        join catalogue_links l on l.kind = 'artist'
            and (l.source, l.source_key) = (s.source, s.source_key)
        where s.mbid is not null and not exists (
            select from catalogue_links k
            join staged_similar m on (m.source, m.source_key) = (k.source, k.source_key)
            where k.kind = 'artist' and k.entity_id = l.entity_id)
        order by s.mbid, s.source
    ) lacking
    order by md5(mbid::text || current_date::text) limit %(limit)s
"""


def questions_for(connection: psycopg.Connection[Any], source: str, limit: int) -> list[Question]:
    """Return what to ask a source about the catalogue now, at most `limit` things of each kind."""
    return list(_QUESTIONS[source](connection, limit))


def _lastfm(connection: psycopg.Connection[Any], limit: int) -> Iterator[Question]:
    given = {"source": "lastfm", "limit": limit}
    few = {**given, "limit": max(1, limit // 4)}
    yield from lastfm.charts(max(1, limit // 100))
    artists = connection.execute(_UNKNOWN_ARTISTS, given).fetchall()
    yield from lastfm.about_artists(name for (name,) in artists)
    tags = connection.execute(_TAGS, {"limit": max(1, limit // 10)}).fetchall()
    yield from lastfm.about_tags(tag for (tag,) in tags)
    tracks = connection.execute(_TRACKS_LACKING, few).fetchall()
    yield from lastfm.about_tracks((artist, title) for artist, title in tracks)


def _spotify(connection: psycopg.Connection[Any], limit: int) -> Iterator[Question]:
    for kind, query in (("tracks", _SPOTIFY_TRACKS), ("artists", _SPOTIFY_ARTISTS)):
        rows = connection.execute(query.encode(), {"limit": limit}).fetchall()
        yield from spotify.about(kind, (each for each, _ in rows))


def _listenbrainz(connection: psycopg.Connection[Any], limit: int) -> Iterator[Question]:
    rows = connection.execute(_WITHOUT_SIMILAR, {"limit": limit}).fetchall()
    yield from similar.about_artists((mbid, name) for mbid, name in rows)


_QUESTIONS = {"lastfm": _lastfm, "spotify": _spotify, "listenbrainz": _listenbrainz}
