"""A play as it is posted: the JSON that importers and collectors send to ``POST /v1/plays``."""

from __future__ import annotations

import msgspec


class PostedPlay(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One play of a request, fields named as in the API's document.

    ``played_at`` is the start, milliseconds since the epoch, UTC; without ``user`` it is counted
    for the account of the token.
    """

    artist: str
    title: str
    played_at: int
    source: str
    user: str = ""
    album: str | None = None
    ms_played: int | None = None
    duration_ms: int | None = None
    skipped: bool | None = None
    reason_end: str | None = None
    recording_mbid: str | None = None
    isrc: str | None = None
    spotify_uri: str | None = None
