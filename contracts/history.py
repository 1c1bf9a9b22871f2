"""The history in PostgreSQL as its readers see it: what was played, and what was said of it.

The tables are written by the history sink (:mod:`streams.history_sink`) and belong to it; everybody
else reads these views. A Struct here has the columns of its view, in order. A change that a reader
would notice is a new view and a new Struct (``infra/postgres/0072_views.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class Listen(msgspec.Struct, kw_only=True):
    """View ``listens_v1``: a play, counted once however many clients reported it.

    Attributes
    ----------
    ms_played, duration_ms
        Milliseconds heard, and length of the track.
    clients
        Everybody who reported it, sorted.
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
    """View ``listen_counts_v1``: how many plays a listener has."""

    user_id: str
    listens: int


class ListenerFeedback(msgspec.Struct, kw_only=True):
    """View ``listener_feedback_v1``: what a listener says of a track now.

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
    """View ``latest_imports_v1``: the newest listen an importer brought (seconds, epoch, UTC)."""

    user_id: str
    service: str
    latest: int


class PlayPlace(msgspec.Struct, kw_only=True):
    """View ``play_places_v1``: the message of the log that a play of the history came with."""

    user_id: str
    event_id: UUID
    log_id: str
    partition: int
    log_offset: int
