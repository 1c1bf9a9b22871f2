"""Examples of the catalogue's answers, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

_TRACK: dict[str, Any] = {
    "track_id": "5a0c7b57-5c1f-5f0c-9f6b-0b7d4d0c6a11",
    "title": "La femme d'argent",
    "artist_id": "2f8d1c3e-9d0b-5f5e-8a55-5d6d0f3b7c21",
    "artist": "Air",
    "album": "Moon Safari",
    "year": 1998,
    "duration_ms": 429000,
    "popularity": 0.97,
}
_FACT: dict[str, Any] = {
    "field": "duration_ms",
    "value": 429000,
    "source": "spotify",
    "confidence": 0.9,
    "observed_at": "2026-01-02T00:00:00Z",
}
_TAGS = [{"tag": "downtempo", "weight": 1.0}, {"tag": "french", "weight": 0.41}]

TRACK: dict[str, Any] = {
    "track": _TRACK,
    "tags": _TAGS,
    "identities": [{"scheme": "isrc", "value": "FRZ039800211", "source": "spotify"}],
    "facts": [_FACT],
}
ARTIST: dict[str, Any] = {
    "artist_id": _TRACK["artist_id"],
    "name": "Air",
    "names": ["Air", "AIR (French Band)"],
    "popularity": 0.98,
    "tags": _TAGS,
    "top_tracks": [_TRACK],
    "similar_artists": [
        {
            "artist_id": "b1a6d7a2-4a3b-5a55-9ce3-6b6f4a1d9f10",
            "name": "Zero 7",
            "score": 0.83,
            "source": "content",
        }
    ],
    "identities": [
        {
            "scheme": "mbid",
            "value": "cb67438a-7f50-4f2b-a6f1-2bb2729fd538",
            "source": "lastfm",
        }
    ],
    "facts": [{**_FACT, "field": "listeners", "value": 2100000, "source": "lastfm"}],
}
SEARCH: dict[str, Any] = {
    "query": "air argent",
    "artists": [],
    "tracks": [_TRACK],
    "next_offset": None,
    "hint": None,
}
STATION: dict[str, Any] = {
    "seeds": {"tag": "downtempo", "era": "90s"},
    "tracks": [_TRACK],
    "next_offset": 20,
    "degraded": False,
    "hint": None,
}
