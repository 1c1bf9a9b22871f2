"""Views of the history in PostgreSQL: plays and feedback.

The history sink (:mod:`streams.history_sink`) owns the tables; every other process reads these
views. A Struct has the columns of its view, in order. A change that readers would notice needs a
new view and a new Struct (``infra/postgres/0072_views.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class Listen(msgspec.Struct, kw_only=True):
    """View ``listens_v1``: a play, counted once even if several clients reported it.

    Attributes
    ----------
    ms_played, duration_ms
        Milliseconds heard, and length of the track.
    clients
        The clients that reported it, sorted.
    """

    user_id: str
    played_at: datetime
    event_id: UUID
    track_id: str
    artist: str
    title: str
    album: str | None
    ms_played: int | None
    duration_ms: int | None
    skipped: bool | None
    source: str
    received_at: datetime
    extra: dict[str, Any] | None
    clients: list[str]


class MergedListen(msgspec.Struct, kw_only=True):
    """View ``merged_listens_v1``: a report that counts as the play ``head_id``."""

    user_id: str
    event_id: UUID
    head_id: UUID


class ListenCount(msgspec.Struct, kw_only=True):
    """View ``listen_counts_v1``: the number of plays of a listener."""

    user_id: str
    listens: int


class ListenerFeedback(msgspec.Struct, kw_only=True):
    """View ``listener_feedback_v1``: a listener's current feedback on a track.

    Attributes
    ----------
    track_key
        Key of the normalised names, 16 hexadecimal digits.
    kind
        ``love``, ``hate`` or ``hide``.
    """

    user_id: str
    track_key: str
    kind: str
    given_at: datetime
    track_id: str
    artist: str
    title: str
    source: str


class LatestImport(msgspec.Struct, kw_only=True):
    """View ``latest_imports_v1``: newest listen of an importer (seconds since the epoch, UTC)."""

    user_id: str
    service: str
    latest: int


class PlayPlace(msgspec.Struct, kw_only=True):
    """View ``play_places_v1``: the log message that contained a play of the history."""

    user_id: str
    event_id: UUID
    log_id: str
    partition: int
    log_offset: int
