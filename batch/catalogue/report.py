"""What the catalogue covers: how many artists, tracks and genres, by whom, and what is missing."""

from __future__ import annotations

from typing import Any

import msgspec
import psycopg

#: Broad genres as people tag them; other tags are counted as tags only.
GENRES = frozenset({
    "alternative", "ambient", "blues", "classical", "country", "dance", "disco", "downtempo",
    "drum and bass", "dub", "electronic", "electronica", "folk", "funk", "gospel", "gothic",
    "grunge", "hardcore", "hip hop", "hip-hop", "house", "indie", "industrial", "jazz", "k-pop",
    "latin", "metal", "new age", "new wave", "pop", "progressive rock", "punk", "r&b", "rap",
    "reggae", "rnb", "rock", "salsa", "ska", "soul", "soundtrack", "techno", "trance", "trip-hop",
    "world",
})  # fmt: skip
#: A genre is covered when so many artists bear its tag.
ENOUGH = 20
#: What the catalogue is meant to cover at least.
GOAL_ARTISTS, GOAL_GENRES = 1_000, 6


class SourceShare(msgspec.Struct):
    """What one source brought: rows, and entities it speaks of."""

    source: str
    title: str
    confidence: float
    artists: int = 0
    tracks: int = 0
    tags: int = 0
    similar: int = 0
    tracks_with_sound: int = 0


class CatalogueReport(msgspec.Struct):
    """The catalogue as a whole.

    Attributes
    ----------
    genres
        Broad genres borne by at least :data:`ENOUGH` artists, by number of artists.
    artists_with_tags, tracks_with_tags, tracks_with_sound, tracks_with_year
        Shares, 0 .. 1. A track has tags of its own or through its artist.
    meets_goal
        At least 1,000 artists with tags and six genres.
    """

    artists: int
    merged: int
    albums: int
    tracks: int
    tags: int
    genres: dict[str, int]
    artists_with_tags: float
    tracks_with_tags: float
    tracks_with_own_tags: float
    tracks_with_sound: float
    tracks_with_year: float
    to_review: int
    refused: int
    sources: list[SourceShare]
    meets_goal: bool


_TOTALS = """
select (select count(*) from catalogue_artist_cards),
    (select count(*) from catalogue_artists where merged_into is not null),
    (select count(*) from catalogue_albums),
    (select count(*) from catalogue_track_cards),
    (select count(distinct tag) from catalogue_artist_tags),
    (select count(distinct artist_id) from catalogue_artist_tags),
    (select count(*) from catalogue_track_cards c
        where exists (select from catalogue_artist_tags g where g.artist_id = c.artist_id)),
    (select count(distinct track_id) from catalogue_track_tags),
    (select count(energy) from catalogue_track_cards),
    (select count(year) from catalogue_track_cards),
    (select count(*) from catalogue_candidates where decision = 'pending'),
    (select count(*) from rejected_records)
"""
_GENRES = """
select tag, count(*) from catalogue_artist_tags where tag = any(%s)
group by tag having count(*) >= %s order by 2 desc, 1
"""
_SOURCES = """
select source, max(title), max(confidence), sum(artists)::bigint, sum(tracks)::bigint,
    sum(tags)::bigint, sum(alike)::bigint, sum(sound)::bigint
from (
    select source, count(*) as artists, 0 as tracks, 0 as tags, 0 as alike, 0 as sound
    from staged_artists group by source
    union all
    select source, 0, count(*), 0, 0, count(energy) from staged_tracks group by source
    union all
    select source, 0, 0, count(*), 0, 0 from staged_tags group by source
    union all
    select source, 0, 0, 0, count(*), 0 from staged_similar group by source
) s (source, artists, tracks, tags, alike, sound)
left join catalogue_sources using (source)
group by source order by max(confidence) desc nulls last, source
"""


def report(connection: psycopg.Connection[Any]) -> CatalogueReport:
    """Return the coverage, as the pages show it (the views of the last collection)."""
    row = connection.execute(_TOTALS).fetchone()
    assert row is not None
    artists, merged, albums, tracks, tags, tagged, through, own, sound, year, waits, bad = row
    genres = dict(connection.execute(_GENRES, (sorted(GENRES), ENOUGH)).fetchall())
    sources = [
        SourceShare(source, title or source, confidence or 0.3, *counts)
        for source, title, confidence, *counts in connection.execute(_SOURCES)
    ]

    def share(part: int, whole: int) -> float:
        return round(part / whole, 4) if whole else 0.0

    return CatalogueReport(
        artists=artists,
        merged=merged,
        albums=albums,
        tracks=tracks,
        tags=tags,
        genres=genres,
        artists_with_tags=share(tagged, artists),
        tracks_with_tags=share(through, tracks),
        tracks_with_own_tags=share(own, tracks),
        tracks_with_sound=share(sound, tracks),
        tracks_with_year=share(year, tracks),
        to_review=waits,
        refused=bad,
        sources=sources,
        meets_goal=tagged >= GOAL_ARTISTS and len(genres) >= GOAL_GENRES,
    )
