"""The data contract of ``GET /1/user/<name>/listens``."""

from __future__ import annotations

from typing import Any

import msgspec

Unused = Any


class Mapping(msgspec.Struct):
    """What MusicBrainz made of the names."""

    recording_mbid: str | None = None
    artist_mbids: Unused = None
    release_mbid: Unused = None
    recording_name: Unused = None
    artists: Unused = None
    caa_id: Unused = None
    caa_release_mbid: Unused = None
    release_group_mbid: Unused = None
    release_group_name: Unused = None
    release_artist_name: Unused = None


class Metadata(msgspec.Struct):
    """Names as the player sent them; ``additional_info`` may hold anything."""

    artist_name: str
    track_name: str
    release_name: str | None = None
    additional_info: dict[str, Any] = {}
    mbid_mapping: Mapping | None = None
    brainzplayer_metadata: Unused = None


class Listen(msgspec.Struct):
    """One listen; ``listened_at`` is its start, seconds since the epoch."""

    listened_at: int
    track_metadata: Metadata
    user_name: Unused = None
    recording_msid: Unused = None
    inserted_at: Unused = None


class Payload(msgspec.Struct):
    """The page, newest first."""

    listens: list[Listen]
    count: int = 0
    user_id: Unused = None
    latest_listen_ts: int = 0
    oldest_listen_ts: int = 0


class ListensAnswer(msgspec.Struct):
    """Answer of ``GET /1/user/<name>/listens``."""

    payload: Payload


class SimilarArtist(msgspec.Struct):
    """A row of ``GET /similar-artists/json`` of the data set hoster.

    ``score`` counts sessions in which both were heard: it compares within one answer only.
    """

    artist_mbid: str
    name: str
    score: float
    reference_mbid: str
    comment: Unused = None
    type: Unused = None
    gender: Unused = None
