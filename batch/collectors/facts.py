"""Which facts to request from which source: missing ones only, from the best source first.

A field has an order of sources (the table is in docs/sources.md). A source is asked about an item
only if no earlier source has provided the field, so no request repeats a known answer. The order of
requests depends on the day: otherwise names that a source does not know would fill every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg

from batch.collectors.lastfm import questions as lastfm
from batch.collectors.listenbrainz import similar
from batch.collectors.lookups import Question
from batch.collectors.spotify import source as spotify
from contracts.ids import normalise, track_id

# What listeners here hear most: a catalogue that knows the charts and not them would be no use.
# Invented plays have invented artists.
_HEARD = """
    select artist, title, count(*) from listens_v1
    where received_at > now() - interval '90 days' and source not like 'segue-simulator%%'
    group by artist, title order by 3 desc, 1, 2 limit 5000
"""
_TOLD_ARTISTS = """
    select source_key from staged_tags
    where source = 'lastfm' and kind = 'artist' and source_key = any(%(keys)s)
    union
    select source_key from staged_similar where source = 'lastfm' and source_key = any(%(keys)s)
"""
_TOLD_TRACKS = """
    select source_key from staged_tracks where source = 'lastfm' and source_key = any(%(keys)s)
"""
# A chart or another artist's likes name an artist and say no more: only tags and likes of its own
# are an answer.
_UNKNOWN_ARTISTS = """
    select a.name from catalogue_artists a
    where a.merged_into is null and not exists (
        select from catalogue_links l
        where l.kind = 'artist' and l.entity_id = a.artist_id and l.source = 'lastfm' and (
            exists (select from staged_tags g where g.kind = 'artist'
                and (g.source, g.source_key) = (l.source, l.source_key))
            or exists (select from staged_similar m
                where (m.source, m.source_key) = (l.source, l.source_key))))
    order by md5(a.artist_id::text || current_date::text) limit %(limit)s
"""
_TAGS = """
    select tag from catalogue_artist_tags group by tag having count(*) >= 5
    order by md5(tag || current_date::text) limit %(limit)s
"""
# Tracks without a length, or without tags.
_TRACKS_LACKING = """
    select a.name, t.title
    from catalogue_tracks t
    join catalogue_artists a using (artist_id)
    left join catalogue_track_cards c using (track_id)
    where (c.duration_ms is null
            or not exists (select from catalogue_track_tags g where g.track_id = t.track_id))
        and not exists (
            select from catalogue_links l
            where l.kind = 'track' and l.entity_id = t.track_id and l.source = 'lastfm' and exists (
                select from staged_tags g where g.kind = 'track'
                    and (g.source, g.source_key) = (l.source, l.source_key)))
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
    few = max(1, limit // 4)
    yield from lastfm.charts(max(1, limit // 100))
    artists, tracks = _heard(connection, limit, few)
    rows = connection.execute(_UNKNOWN_ARTISTS, {"limit": limit}).fetchall()
    artists |= {normalise(name): name for (name,) in rows}
    yield from lastfm.about_artists(list(artists.values())[:limit])
    tags = connection.execute(_TAGS, {"limit": max(1, limit // 10)}).fetchall()
    yield from lastfm.about_tags(tag for (tag,) in tags)
    lacking = connection.execute(_TRACKS_LACKING, {"limit": few}).fetchall()
    tracks |= {track_id(*names): names for names in lacking}
    yield from lastfm.about_tracks(list(tracks.values())[:few])


def _heard(
    connection: psycopg.Connection[Any], most_artists: int, most_tracks: int
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Return what is heard most and lacks Last.fm's facts, for half of the allowed requests."""
    day = datetime.now(UTC).date().isoformat()
    artists: dict[str, str] = {}
    tracks: dict[str, tuple[str, str]] = {}
    for artist, title, _ in connection.execute(_HEARD):
        artists.setdefault(normalise(artist), artist)
        tracks.setdefault(f"{normalise(artist)}\x1f{normalise(title)}", (artist, title))
    for known, query, most in (
        (artists, _TOLD_ARTISTS, most_artists),
        (tracks, _TOLD_TRACKS, most_tracks),
    ):
        for (key,) in connection.execute(query, {"keys": list(known)}).fetchall():
            del known[key]
        # Another order every day: what Last.fm does not know must not be asked first for ever.
        turn = sorted(known, key=lambda key: hashlib.blake2b((day + key).encode()).digest())
        for key in turn[max(1, most // 2) :]:
            del known[key]
    return artists, {track_id(*names): names for names in tracks.values()}


def _spotify(connection: psycopg.Connection[Any], limit: int) -> Iterator[Question]:
    for kind, query in (("tracks", _SPOTIFY_TRACKS), ("artists", _SPOTIFY_ARTISTS)):
        rows = connection.execute(query.encode(), {"limit": limit}).fetchall()
        yield from spotify.about(kind, (each for each, _ in rows))


def _listenbrainz(connection: psycopg.Connection[Any], limit: int) -> Iterator[Question]:
    rows = connection.execute(_WITHOUT_SIMILAR, {"limit": limit}).fetchall()
    yield from similar.about_artists((mbid, name) for mbid, name in rows)


_QUESTIONS = {"lastfm": _lastfm, "spotify": _spotify, "listenbrainz": _listenbrainz}
