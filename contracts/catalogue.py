"""Views of the catalogue in PostgreSQL.

The collectors and ``batch/catalogue`` own the tables behind the views. A Struct here has
the columns of its view, in order (``infra/postgres/0072_views.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

#: Records a decision on a pair; returns whether the pair exists. Parameters ``left``, ``right``,
#: ``decision`` (``merge`` or ``distinct``), ``person``.
DECIDE = "select decide_candidate(%(left)s, %(right)s, %(decision)s, %(person)s)"


class CatalogueArtistCard(msgspec.Struct, kw_only=True):
    """View ``catalogue_artist_cards_v1``: an artist, merged names together.

    Attributes
    ----------
    search_text, words
        The name as :mod:`contracts.search` writes it, and its words as a ``tsvector``.
    popularity
        Rank among the artists of the sources, 0 .. 1.
    """

    artist_id: UUID
    name: str
    search_text: str
    names: list[str]
    words: str
    popularity: float


class CatalogueTrackCard(msgspec.Struct, kw_only=True):
    """View ``catalogue_track_cards_v1``: a track with what sources agree on best.

    Audio features are shares, 0 .. 1; columns as in :class:`CatalogueArtistCard`.
    """

    track_id: UUID
    artist_id: UUID
    artist: str
    title: str
    album: str | None
    search_text: str
    words: str
    year: int | None
    duration_ms: int | None
    recording_mbid: UUID | None
    isrc: str | None
    spotify_id: str | None
    danceability: float | None
    energy: float | None
    acousticness: float | None
    instrumentalness: float | None
    valence: float | None
    popularity: float


class CatalogueArtistTag(msgspec.Struct, kw_only=True):
    """View ``catalogue_artist_tags_v1``; ``weight`` is relative to the artist's strongest tag."""

    artist_id: UUID
    tag: str
    weight: float


class CatalogueTrackTag(msgspec.Struct, kw_only=True):
    """View ``catalogue_track_tags_v1``; ``weight`` is relative to the track's strongest tag."""

    track_id: UUID
    tag: str
    weight: float


class CatalogueArtistRoot(msgspec.Struct, kw_only=True):
    """View ``catalogue_artist_roots_v1``: the artist an artist was merged into, or itself."""

    artist_id: UUID
    root_id: UUID


class CatalogueArtistId(msgspec.Struct, kw_only=True):
    """View ``catalogue_artist_ids_v1``: an artist by the ids that services search by."""

    artist_id: UUID
    mbid: UUID | None
    spotify_id: str | None


class CatalogueArtistIdentity(msgspec.Struct, kw_only=True):
    """View ``catalogue_artist_identities_v1``: one public id of an artist, with its source."""

    artist_id: UUID
    scheme: str
    value: str
    source: str


class CatalogueTrackIdentity(msgspec.Struct, kw_only=True):
    """View ``catalogue_track_identities_v1``: one public id of a track, with its source."""

    track_id: UUID
    scheme: str
    value: str
    source: str


class CatalogueFact(msgspec.Struct, kw_only=True):
    """View ``catalogue_facts_v1``: the best known value of one field of an artist or a track."""

    kind: str
    entity_id: UUID
    field: str
    value: Any
    source: str
    confidence: float
    observed_at: datetime


class CatalogueNeighbour(msgspec.Struct, kw_only=True):
    """View ``catalogue_neighbours_v1``: artists similar by content; ``score`` is 0 .. 1."""

    artist_id: UUID
    other_id: UUID
    score: float


class CatalogueSimilarArtist(msgspec.Struct, kw_only=True):
    """View ``catalogue_similar_artists_v1``: artists similar by content and by sources."""

    artist_id: UUID
    other_id: UUID
    score: float
    source: str


class CatalogueCandidate(msgspec.Struct, kw_only=True):
    """View ``catalogue_candidates_v1``: two artists that may be one.

    Attributes
    ----------
    evidence
        Why they were made a pair, and what speaks for and against it (batch/catalogue/review.py).
    decision
        ``pending``, ``merge`` or ``distinct``.
    decided_by
        ``rule: ...``, or the name or pseudonym of the person.
    """

    left_id: UUID
    right_id: UUID
    left_name: str
    right_name: str
    score: float
    evidence: dict[str, Any]
    decision: str
    decided_by: str | None
    decided_at: datetime | None
