"""The shapes of POST /v1/plays, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from contracts.posted import MAX_MS, MAX_NAME, MAX_WORD

#: Plays one request may carry, bytes of its body, bytes of one play.
MAX_PLAYS = 1000
MAX_BODY = 10_240_000
MAX_PLAY = 16_384

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Word = Annotated[str, Meta(max_length=MAX_WORD)]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_MS)]


class PlayIn(msgspec.Struct, kw_only=True, gc=False):
    """One play. Fields not named here are ignored.

    ``played_at`` is the start of the play: milliseconds since the epoch, or ISO 8601 (without an
    offset it is taken as UTC). ``user`` defaults to the account of the token. ``imported_from``
    names the export or service an importer read: such plays are not sent on to other services.
    """

    artist: Name
    title: Name
    played_at: int | Annotated[str, Meta(max_length=64)]
    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    album: Annotated[str, Meta(max_length=MAX_NAME)] | None = None
    ms_played: Milliseconds | None = None
    duration_ms: Milliseconds | None = None
    skipped: bool | None = None
    reason_end: Word | None = None
    recording_mbid: Word | None = None
    isrc: Word | None = None
    spotify_uri: Word | None = None
    source: Word | None = None
    impression_id: Word | None = None
    session: Word | None = None
    imported_from: Word | None = None


class PlaysIn(msgspec.Struct):
    """Up to 1000 plays, of one listener or (with role client or admin) of many."""

    plays: list[PlayIn]


class RawPlays(msgspec.Struct):
    """The same, each play still as bytes: read when one of them is malformed."""

    plays: list[msgspec.Raw]


class Accepted(msgspec.Struct, tag_field="status", tag="accepted", gc=False):
    """The play is in the log. The same play sent again has the same id and counts once."""

    event_id: str


class RejectedPlay(msgspec.Struct, tag_field="status", tag="rejected"):
    """The play was refused and kept as a dead letter.

    ``reason`` is one of ``bad-schema``, ``bad-text``, ``bad-time``, ``too-old``, ``future``,
    ``too-large``.
    """

    reason: str
    message: str


class PlaysOut(msgspec.Struct):
    """What became of each play, in the order of the request."""

    accepted: int
    rejected: int
    results: list[Accepted | RejectedPlay]
