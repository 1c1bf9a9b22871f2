"""What the catalogue's endpoints answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class TrackCard(msgspec.Struct):
    """A track in a list; ``popularity`` is its rank among all tracks, 0 .. 1."""

    track_id: str
    title: str
    artist_id: str
    artist: str
    album: str | None
    year: int | None
    duration_ms: int | None
    popularity: float


class ArtistCard(msgspec.Struct):
    """An artist in a list; ``popularity`` is the rank among all artists, 0 .. 1."""

    artist_id: str
    name: str
    popularity: float


class TagShare(msgspec.Struct):
    """A tag with its weight as a share of the strongest one, 0 .. 1."""

    tag: str
    weight: float


class AlikeArtist(msgspec.Struct):
    """A similar artist; ``source`` is ``content`` or the service; ``score`` is 0 .. 1."""

    artist_id: str
    name: str
    score: float
    source: str


class PublicId(msgspec.Struct):
    """An id elsewhere; ``scheme`` is ``mbid``, ``isrc`` or ``spotify``."""

    scheme: str
    value: str
    source: str


class Fact(msgspec.Struct):
    """The value of one field, its source, and how far that source is trusted (0 .. 1)."""

    field: str
    value: Any
    source: str
    confidence: float
    observed_at: datetime


class ArtistPage(msgspec.Struct):
    """All that is known of an artist; ``names`` are the spellings brought together."""

    artist_id: str
    name: str
    names: list[str]
    popularity: float
    tags: list[TagShare]
    top_tracks: list[TrackCard]
    similar_artists: list[AlikeArtist]
    identities: list[PublicId]
    facts: list[Fact]


class TrackPage(msgspec.Struct):
    """All that is known of a track."""

    track: TrackCard
    tags: list[TagShare]
    identities: list[PublicId]
    facts: list[Fact]


class Found(msgspec.Struct):
    """A page of a search, best first; ``next_offset`` where there is more.

    ``hint`` suggests what to try if nothing was found.
    """

    query: str
    artists: list[ArtistCard]
    tracks: list[TrackCard]
    next_offset: int | None
    hint: str | None = None


class Station(msgspec.Struct):
    """A page of a station; ``degraded``: the listener's taste could not be read.

    ``hint`` suggests what to try if no track fits.
    """

    seeds: dict[str, str]
    tracks: list[TrackCard]
    next_offset: int | None
    degraded: bool
    hint: str | None = None


#: Columns of ``catalogue_track_cards`` in the order of :class:`TrackCard`.
class AlbumPage(msgspec.Struct):
    """An album: the catalogue's tracks of it, in the order of their fame.

    Sources give albums by name, so artist and name are its identity.
    """

    artist_id: str
    artist: str
    name: str
    year: int | None
    tracks: list[TrackCard]


CARD = "c.track_id, c.title, c.artist_id, c.artist, c.album, c.year, c.duration_ms, c.popularity"


def card(row: tuple[Any, ...]) -> TrackCard:
    """Return the first columns of a row as a card."""
    track, title, artist, name, album, year, duration, popularity = row[:8]
    return TrackCard(
        str(track), title, str(artist), name, album, year, duration, round(popularity, 4)
    )
