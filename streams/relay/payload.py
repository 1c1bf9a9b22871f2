"""A play as the services take it. The same play always gives the same payload: both services count
a play once that is sent twice, by its start and its names.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import msgspec

from contracts.events import Play
from contracts.posted import IMPORTED_FROM
from streams.relay.rules import CLIENT

#: Largest listen that ListenBrainz takes, bytes.
MAX_LISTEN = 10_240
_VERSION = importlib.metadata.version("segue")
_OURS = (IMPORTED_FROM, "spotify_uri", "recording_msid")
#: What is left out first where a client sent more than ListenBrainz takes.
_KNOWN = frozenset(
    {
        "artist_mbids", "release_group_mbid", "release_mbid", "recording_mbid", "track_mbid",
        "work_mbids", "tracknumber", "isrc", "spotify_id", "media_player", "music_service",
        "music_service_name", "origin_url", "duration", "duration_ms", "duration_played",
    }
)  # fmt: skip


def listen(play: Play) -> dict[str, Any]:
    """Return a play as a listen of ListenBrainz.

    What the player sent beside the names is kept. We are the client that submits, the player is
    ``original_submission_client``.
    """
    sent = play.extra or {}
    info = {name: value for name, value in sent.items() if name not in _OURS}
    if isinstance(uri := sent.get("spotify_uri"), str) and uri.startswith("spotify:track:"):
        info["spotify_id"] = f"https://open.spotify.com/track/{uri.rpartition(':')[2]}"
    if play.duration_ms is not None:
        info.pop("duration", None)
        info["duration_ms"] = play.duration_ms
    if play.ms_played is not None and "duration_played" not in info:
        info["duration_played"] = play.ms_played // 1000
    made = _listen(play, info)
    if len(msgspec.json.encode(made)) > MAX_LISTEN:
        made = _listen(play, {name: info[name] for name in sorted(_KNOWN & info.keys())})
    return made


def _listen(play: Play, info: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "artist_name": play.artist,
        "track_name": play.title,
        "additional_info": {
            **info,
            "submission_client": CLIENT,
            "submission_client_version": _VERSION,
            "original_submission_client": play.source,
        },
    }
    if play.album:
        metadata["release_name"] = play.album
    return {"listened_at": play.played_at // 1000, "track_metadata": metadata}


def scrobble(play: Play) -> dict[str, str]:
    """Return a play as the parameters of one scrobble of Last.fm."""
    extra = play.extra or {}
    made = {
        "artist": play.artist,
        "track": play.title,
        "timestamp": str(play.played_at // 1000),
        "album": play.album or "",
        "duration": str(play.duration_ms // 1000) if play.duration_ms else "",
        "mbid": str(extra.get("recording_mbid") or ""),
        "trackNumber": str(extra.get("tracknumber") or ""),
    }
    return {name: value for name, value in made.items() if value}
