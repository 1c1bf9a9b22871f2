"""Makes plays for tests: small, deterministic, valid unless a test changes a field."""

from __future__ import annotations

from typing import Any

from contracts.events import Play, Submission
from contracts.ids import event_id, track_id

START = 1_700_000_000


def play(user: str, second: int, track: int, **changes: Any) -> Play:
    """Return a valid play of ``track`` by ``user`` at ``START + second``."""
    artist, title, at = f"Artist {track % 7}", f"Title {track}", (START + second) * 1000
    fields: dict[str, Any] = {
        "event_id": event_id(user, at, artist, title),
        "track_id": track_id(artist, title),
        "artist": artist,
        "title": title,
        "played_at": at,
        "received_at": at + 500,
        "source": "test/1",
    }
    return Play(**{**fields, **changes})


def submission(user: str, *marks: tuple[int, int], **changes: Any) -> Submission:
    """Return a submission with one play per ``(second, track)``."""
    return Submission(user_id=user, plays=[play(user, s, t, **changes) for s, t in marks])
