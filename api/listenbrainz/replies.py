"""Bodies of the ListenBrainz API, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class TrackMetadata(msgspec.Struct, kw_only=True):
    """What was played. Everything in ``additional_info`` is kept."""

    artist_name: str
    track_name: str
    release_name: str | None = None
    additional_info: dict[str, Any] | None = None


class ListenIn(msgspec.Struct, kw_only=True):
    """One listen; ``listened_at`` is its start in seconds since the epoch."""

    track_metadata: TrackMetadata
    listened_at: int | str | None = None


class ListensIn(msgspec.Struct):
    """Listens to be recorded (``playing_now`` without ``listened_at``)."""

    listen_type: Literal["single", "import", "playing_now"]
    payload: list[ListenIn]


class Submitted(msgspec.Struct, omit_defaults=True):
    """The listens are in the log."""

    status: str
    recording_msid: str | None = None


class ListenBrainzError(msgspec.Struct):
    """Body of every error under /1."""

    code: int
    error: str


class Validated(msgspec.Struct, omit_defaults=True):
    """Whether a token is good."""

    code: int
    message: str
    valid: bool
    user_name: str | None = None


class ListenOut(msgspec.Struct):
    """One listen as recorded."""

    listened_at: int
    recording_msid: str
    user_name: str
    inserted_at: int
    track_metadata: TrackMetadata


class ListensPayload(msgspec.Struct):
    """Listens, latest first."""

    count: int
    user_id: str
    latest_listen_ts: int
    oldest_listen_ts: int
    listens: list[ListenOut]


class Listens(msgspec.Struct):
    """Answer of ``listens``."""

    payload: ListensPayload


class Count(msgspec.Struct):
    """A number of listens."""

    count: int


class ListenCount(msgspec.Struct):
    """Answer of ``listen-count``."""

    payload: Count


class PlayingNowOut(msgspec.Struct):
    """The current track."""

    track_metadata: TrackMetadata
    user_name: str
    playing_now: bool


class PlayingNowPayload(msgspec.Struct):
    """At most one track."""

    count: int
    user_id: str
    playing_now: bool
    listens: list[PlayingNowOut]


class PlayingNow(msgspec.Struct):
    """Answer of ``playing-now``."""

    payload: PlayingNowPayload
