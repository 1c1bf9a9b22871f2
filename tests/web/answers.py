"""What the API answers, filled: one of everything a page shows."""

from __future__ import annotations

import time
from typing import Any

TRACK = "aed54755-e3af-5cd5-b04b-c2907f62a616"
SPOTIFY = "spotify:track:4uLU6hMCjMI75M1A2tKUQC"
ARTIST = "7ae4fbca-d66a-5daa-b083-79fbf7b877d4"
EVENT = "5f2a91c0-0000-5000-8000-000000000001"
ERASURE = "5f2a91c0-0000-4000-8000-000000000002"


def play(name: str, **changed: Any) -> dict[str, Any]:
    """Return one play of the history."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return {
        "event_id": EVENT, "played_at": now, "received_at": now, "artist": name, "title": name,
        "album": name, "track_id": TRACK, "ms_played": 1000, "duration_ms": 2000, "skipped": False,
        "source": "navidrome/0.53", "clients": ["navidrome", "web-scrobbler"],
    } | changed  # fmt: skip


def listing(name: str, **changed: Any) -> dict[str, Any]:
    """Return a list of two tracks."""
    tracks = [
        {"track_id": TRACK, "artist": name, "title": name, "score": 2.5},
        {"track_id": SPOTIFY, "artist": "B", "title": "C", "score": 1},
    ]  # fmt: skip
    return {
        "user": "ada", "generation": 3, "offset": 21807, "degraded": False, "stranger": False,
        "impression_id": EVENT, "recommendations": tracks,
    } | changed  # fmt: skip


def card(name: str) -> dict[str, Any]:
    """Return a track of the catalogue."""
    return {
        "track_id": TRACK, "title": name, "artist_id": ARTIST, "artist": name, "album": name,
        "year": 1998, "duration_ms": 215_000, "popularity": 0.9,
    }  # fmt: skip


def ANSWERS(name: str) -> list[tuple[str, Any]]:
    """Return ``(pattern, answer)`` of every endpoint the pages ask."""
    fact = {
        "field": name, "value": name, "source": name, "confidence": 0.5,
        "observed_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    reason = {
        "source": "next", "contribution": 1.5, "text": name,
        "plays": [{"track_id": TRACK, "artist": name, "title": name, "count": 3.0}],
    }  # fmt: skip
    token = {
        "id": "abcdef012345", "user": "ada", "roles": ["listener"], "label": name,
        "created_at": "2026-01-01T00:00:00+00:00", "expires_at": None, "state": "active",
        "scrobbler": False,
    }  # fmt: skip
    tags = [{"tag": name, "weight": 1.0}]
    return [
        (r"GET /v1/users/[^/]+/recommendations", listing(name)),
        (r"GET /v1/users/[^/]+/plays", {
            "user": "ada", "plays": [play(name)], "before": play(name)["played_at"]}),
        (r"GET /v1/users/[^/]+/plays/[^/]+", play(name)),
        (r"GET /v1/users/[^/]+/feedback", {"user": "ada", "total": 101, "feedback": [
            {"kind": "love", "given_at": "2026-01-01T00:00:00+00:00", "track_id": TRACK,
             "artist": name, "title": name, "source": "v1"}]}),
        (r"GET /v1/users/[^/]+/tracks/.+/reasons", {
            "user": "ada", "track_id": TRACK, "artist": name, "title": name, "generation": 3,
            "offset": 21807, "stranger": False, "score": 1.2,
            "reasons": [reason, reason | {"contribution": -0.3, "plays": []}]}),
        (r"GET /1/user/[^/]+/playing-now", {"payload": {"listens": [
            {"track_metadata": {"artist_name": name, "track_name": name}}]}}),
        (r"GET /1/user/[^/]+/listen-count", {"payload": {"count": 12345}}),
        (r"GET /v1/me", {
            "user": "ada", "roles": ["listener"], "token_id": "abcdef012345", "label": "session",
            "expires_at": "2026-12-31T00:00:00+00:00", "time_zone": "Europe/Berlin", "theme": ""}),
        (r"GET /v1/(me/)?tokens", {"tokens": [token, token | {"state": "revoked"}]}),
        (r"GET /v1/erasures/.*", {
            "id": ERASURE, "state": "running", "steps": {name: {"plays": 3}},
            "waiting_for": name, "requested_at": "2026-01-01T00:00:00+00:00", "finished_at": None}),
        (r"GET /v1/search", {
            "query": name, "artists": [{"artist_id": ARTIST, "name": name, "popularity": 0.5}],
            "tracks": [card(name)], "next_offset": 20, "hint": name}),
        (r"GET /v1/stations", {
            "seeds": {"tag": name}, "tracks": [card(name)], "next_offset": 20, "degraded": True,
            "hint": name}),
        (r"GET /v1/artists/[^/]+", {
            "artist_id": ARTIST, "name": name, "names": [name, "Also"], "popularity": 0.5,
            "tags": tags, "top_tracks": [card(name)],
            "similar_artists": [
                {"artist_id": ARTIST, "name": name, "score": 0.9, "source": "content"}],
            "identities": [], "facts": [fact]}),
        (r"GET /v1/tracks/[^/]+", {
            "track": card(name), "tags": tags, "identities": [], "facts": [fact]}),
        (r"GET /v1/tracks/[^/]+/similar", {
            "track_id": TRACK, "generation": 3,
            "tracks": [{"track_id": TRACK, "artist": name, "title": name, "score": s}
                       for s in (0.9, 0.5, 0.1)]}),
    ]  # fmt: skip
