"""The data contract of Spotify's Web API: the few shapes we read."""

from __future__ import annotations

from typing import Any

import msgspec

Unused = Any


class Artist(msgspec.Struct):
    """An artist, in short or in full; of a local file without id."""

    name: str
    id: str | None = None
    uri: Unused = None
    href: Unused = None
    type: Unused = None
    external_urls: Unused = None
    followers: Unused = None
    genres: list[str] = []
    images: Unused = None
    popularity: int | None = None


class Album(msgspec.Struct):
    """An album; ``release_date`` has the precision the source knows (``1998``, ``1998-01-16``)."""

    name: str = ""
    id: str | None = None
    release_date: str = ""
    artists: list[Artist] = []
    album_type: Unused = None
    total_tracks: Unused = None
    available_markets: Unused = None
    external_urls: Unused = None
    href: Unused = None
    images: Unused = None
    release_date_precision: Unused = None
    restrictions: Unused = None
    type: Unused = None
    uri: Unused = None
    popularity: Unused = None
    label: Unused = None
    copyrights: Unused = None
    external_ids: Unused = None
    genres: Unused = None
    tracks: Unused = None


class Track(msgspec.Struct):
    """A track; a local file has no id, and what else nobody needs may be missing."""

    name: str
    artists: list[Artist]
    id: str | None = None
    album: Album | None = None
    duration_ms: int | None = None
    explicit: bool = False
    external_ids: dict[str, str | None] = {}
    popularity: int | None = None
    available_markets: Unused = None
    disc_number: Unused = None
    external_urls: Unused = None
    href: Unused = None
    is_local: Unused = None
    is_playable: Unused = None
    linked_from: Unused = None
    preview_url: Unused = None
    restrictions: Unused = None
    track_number: Unused = None
    type: Unused = None
    uri: Unused = None


class PlayItem(msgspec.Struct):
    """A row of recently played; ``played_at`` is ISO 8601, UTC."""

    track: Track
    played_at: str
    context: Unused = None


class Cursors(msgspec.Struct):
    """Milliseconds since the epoch, as text."""

    after: str | None = None
    before: str | None = None


class RecentlyPlayed(msgspec.Struct):
    """Answer of ``/v1/me/player/recently-played``."""

    items: list[PlayItem]
    cursors: Cursors | None = None
    next: Unused = None
    limit: Unused = None
    href: Unused = None
    total: Unused = None
