"""Plays as collected, whatever the source, and how rows that are none are refused."""

from __future__ import annotations

import msgspec

from contracts.ids import track_key

#: Fields of ``POST /v1/plays`` a collector may fill, named as there.


class CollectedPlay(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One play to be posted to ``/v1/plays``.

    ``played_at`` is the start, milliseconds since the epoch, UTC.
    """

    artist: str
    title: str
    played_at: int
    source: str
    user: str = ""
    album: str | None = None
    duration_ms: int | None = None
    recording_mbid: str | None = None
    isrc: str | None = None
    spotify_uri: str | None = None

    @property
    def identity(self) -> str:
        """Equal for two reports of the same play: second, artist and title."""
        return f"{self.played_at // 1000}:{track_key(self.artist, self.title):x}"


class Refused(msgspec.Struct):
    """A record of a source nobody could use, with a short reason and the original text."""

    reason: str
    detail: str
    raw: str
