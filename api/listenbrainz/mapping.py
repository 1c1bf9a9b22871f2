"""A listen of ListenBrainz as a play of ours, and back."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from contracts.events import Play
from contracts.ids import event_id, track_id
from contracts.plays import lengths

_MAX_SOURCE = 256
_IDS = frozenset({"recording_mbid", "isrc", "spotify_id"})
_MBID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def play_of(listen: dict[str, Any], user: str, now_ms: int) -> Play:
    """Turn a validated listen into a play; ``additional_info`` is kept whole in ``extra``."""
    metadata = listen["track_metadata"]
    info: dict[str, Any] = metadata.get("additional_info") or {}
    artist, title = metadata["artist_name"], metadata["track_name"]
    played_at = listen["listened_at"] * 1000
    ms_played, duration_ms = lengths(
        _ms(info, "ms_played", "duration_played"), _ms(info, "duration_ms", "duration")
    )
    return Play(
        event_id=event_id(user, played_at, artist, title),
        track_id=_track_id(artist, title, info),
        artist=artist,
        title=title,
        played_at=played_at,
        received_at=now_ms,
        source=source_of(info),
        album=metadata.get("release_name"),
        ms_played=ms_played,
        duration_ms=duration_ms,
        skipped=skipped if isinstance(skipped := info.get("skipped"), bool) else None,
        reason_end=_text(info.get("reason_end")),
        impression_id=_text(info.get("impression_id")),
        extra=info or None,
    )


def _track_id(artist: str, title: str, info: dict[str, Any]) -> str:
    if info.keys().isdisjoint(_IDS):
        return track_id(artist, title)
    return track_id(
        artist,
        title,
        recording_mbid=_text(info.get("recording_mbid")),
        isrc=_text(info.get("isrc")),
        spotify_uri=_text(info.get("spotify_id")),
    )


def source_of(info: dict[str, Any]) -> str:
    """Return client and version, as well as they are known.

    Examples
    --------
    >>> source_of({"submission_client": "navidrome", "submission_client_version": "0.53"})
    'navidrome/0.53'
    """
    for kind in ("submission_client", "media_player", "listening_from"):
        if name := _text(info.get(kind)):
            version = _text(info.get(f"{kind}_version"))
            return (f"{name}/{version}" if version else name)[:_MAX_SOURCE]
    return "listenbrainz"


def duration_seconds(metadata: dict[str, Any]) -> float | None:
    """Return the length of a track in seconds; ``None`` if the client sent none."""
    info = metadata.get("additional_info") or {}
    _, duration = lengths(None, _ms(info, "duration_ms", "duration"))
    return None if duration is None else duration / 1000


def listen_of(user: str, row: tuple[Any, ...]) -> dict[str, Any]:
    """Turn a row of ``plays`` into a listen as the API shows it.

    ``row`` is ``(played_at, inserted_at, artist, title, album, duration_ms, extra)``. The length is
    shown whichever protocol it came by.
    """
    played_at, inserted_at, artist, title, album, duration_ms, extra = row
    msid = recording_msid(artist, title)
    info = {**(extra or {}), "recording_msid": msid}
    if duration_ms is not None and info.keys().isdisjoint(("duration", "duration_ms")):
        info["duration_ms"] = duration_ms
    metadata: dict[str, Any] = {
        "artist_name": artist,
        "track_name": title,
        "release_name": album,
        "additional_info": info,
    }
    return {
        "listened_at": _second(played_at),
        "recording_msid": msid,
        "user_name": user,
        "inserted_at": _second(inserted_at),
        "track_metadata": metadata,
    }


def recording_msid(artist: str, title: str) -> str:
    """Return the id of a recording known by its names (here the track's UUID by name)."""
    return track_id(artist, title)


def mbid_of(public_id: str, artist: str, title: str) -> str | None:
    """Return a track's MusicBrainz id where its public id is one.

    Ids made from names are UUIDs too, but no MusicBrainz ids.
    """
    is_mbid = _MBID.fullmatch(public_id) and public_id != recording_msid(artist, title)
    return public_id if is_mbid else None


def _second(moment: datetime) -> int:
    return int(moment.timestamp())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_SOURCE else None


def _ms(info: dict[str, Any], ms_name: str, seconds_name: str) -> int | None:
    for name, factor in ((ms_name, 1), (seconds_name, 1000)):
        value = info.get(name)
        if type(value) is int or type(value) is float:
            scaled = int(value * factor)
            return scaled if 0 <= scaled <= 2_073_600_000 else None
    return None
