"""From the bytes of a request to plays: each play is accepted or refused by itself.

Three readings of the body lead to the same results; the cheap one comes first::

    body -- decode all at once --> plays --> accept each -- refused? --> its original bytes, from
      |                                        |                        decoding the body as raws
      |-- holds \\u0000, or one play        accepted
      |   does not fit the schema
      '--> decode as raw plays --> decode and accept each by itself; what fails is refused with
               |                   its original bytes
               '-- not even that: 400 for the whole request
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec.structs import astuple

from api.auth import Identity
from api.errors import ApiError, forbidden
from api.plays.wire import MAX_PLAY, MAX_PLAYS, Accepted, PlayIn, PlaysIn, RawPlays, RejectedPlay
from contracts.errors import InvalidEvent
from contracts.events import Play
from contracts.ids import event_id, track_id
from contracts.listeners import check_new_listener, listener_name
from contracts.placeholders import is_visible
from contracts.plays import OLDEST_MS, SKEW_MS, lengths
from contracts.posted import IMPORTED_FROM

DEFAULT_SOURCE = "v1"

_PLAYS = msgspec.json.Decoder(PlaysIn)
_RAW = msgspec.json.Decoder(RawPlays)
_ONE = msgspec.json.Decoder(PlayIn)


@dataclass(slots=True)
class Parsed:
    """The plays of one request, accepted and refused.

    Attributes
    ----------
    by_listener
        Accepted plays of each listener, in the order of the request.
    results
        One entry for each play of the request.
    refused
        ``(reason, message, original bytes)`` of each rejected play.
    """

    by_listener: dict[str, list[Play]] = field(default_factory=dict)
    results: list[Accepted | RejectedPlay] = field(default_factory=list)
    refused: list[tuple[str, str, bytes]] = field(default_factory=list)


def parse_plays(body: bytes, identity: Identity, now_ms: int) -> Parsed:
    """Read the body of POST /v1/plays.

    Parameters
    ----------
    identity
        Account and roles of the token; posting for others needs role client or admin.
    now_ms
        Time at which the request arrived, milliseconds since the epoch, UTC.

    Raises
    ------
    ApiError
        400 if the whole body cannot be read, 403 if it holds a play of a listener for whom the
        token may not act. In both cases the API accepts no play of the request.
    """
    if b"\\u0000" in body:  # JSON has no other way to write NUL
        return _parse_each(_raw_plays(body), identity, now_ms)
    try:
        plays = _PLAYS.decode(body).plays
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _parse_each(_raw_plays(body), identity, now_ms)
    _check_count(len(plays))
    reader = _Reader(identity, now_ms)
    raws: list[msgspec.Raw] | None = None
    for index, incoming in enumerate(plays):
        try:
            reader.accept(incoming, index)
        except InvalidEvent as error:
            if raws is None:
                raws = _raw_plays(body)
            reader.refuse(error, bytes(raws[index]))
    return reader.parsed


def _parse_each(raws: list[msgspec.Raw], identity: Identity, now_ms: int) -> Parsed:
    reader = _Reader(identity, now_ms)
    for index, raw in enumerate(raws):
        original = bytes(raw)
        try:
            incoming = _decode_one(original)
            check_nul(incoming)
            reader.accept(incoming, index)
        except InvalidEvent as error:
            reader.refuse(error, original)
    return reader.parsed


def _raw_plays(body: bytes) -> list[msgspec.Raw]:
    try:
        raws = _RAW.decode(body).plays
    except msgspec.ValidationError as error:
        raise ApiError(400, "bad-schema", f'Send {{"plays": [...]}}: {error}.') from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(400, "bad-json", f"The body is not JSON: {error}.") from None
    _check_count(len(raws))
    return raws


def _check_count(count: int) -> None:
    if count == 0:
        raise ApiError(400, "empty", "The list of plays is empty.", field="plays")
    if count > MAX_PLAYS:
        raise ApiError(
            400,
            "too-many-plays",
            f"{count} plays; send at most {MAX_PLAYS} at once.",
            field="plays",
        )


def _decode_one(original: bytes) -> PlayIn:
    if len(original) > MAX_PLAY:
        raise InvalidEvent(
            "too-large", f"The play has {len(original)} bytes; at most {MAX_PLAY} are allowed."
        )
    try:
        return _ONE.decode(original)
    except msgspec.ValidationError as error:
        raise InvalidEvent("bad-schema", f"{error}.") from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidEvent("bad-schema", f"The play cannot be read: {error}.") from None


class _Reader:
    """Judges the plays of one request; each listener is judged once."""

    __slots__ = ("_identity", "_now_ms", "parsed")

    def __init__(self, identity: Identity, now_ms: int) -> None:
        self._identity = identity
        self._now_ms = now_ms
        self.parsed = Parsed()

    def accept(self, incoming: PlayIn, index: int) -> None:
        """Take a play; raises InvalidEvent for one to refuse, ApiError for all of them."""
        parsed = self.parsed
        user = listener_name(incoming.user) if incoming.user else self._identity.user_id
        plays = parsed.by_listener.get(user)
        if plays is None:
            self._check(user, index)
        play = make_play(incoming, user, self._now_ms)
        if plays is None:
            plays = parsed.by_listener[user] = []
        plays.append(play)
        parsed.results.append(Accepted(play.event_id))

    def _check(self, user: str, index: int) -> None:
        if user == self._identity.user_id:
            if not self._identity.may_scrobble_for(user):
                raise forbidden("This token may not post plays: it lacks the role listener.")
            return
        if not self._identity.may_act_for(user):
            raise ApiError(
                403,
                "forbidden",
                f"This token may not post plays for {user!r}: role client or admin may.",
                field=f"plays[{index}].user",
            )
        check_new_listener(user)

    def refuse(self, error: InvalidEvent, original: bytes) -> None:
        """Note a play that is refused, and why."""
        self.parsed.results.append(RejectedPlay(error.reason, str(error)))
        self.parsed.refused.append((error.reason, str(error), original))


def make_play(incoming: PlayIn, user: str, now_ms: int) -> Play:
    """Turn a play as sent into a play as logged, with its ids.

    Raises
    ------
    InvalidEvent
        An empty name, a NUL character, or a time that makes no sense.
    """
    artist, title = incoming.artist.strip(), incoming.title.strip()
    if not artist or not title:
        raise InvalidEvent("bad-text", "artist and title must not be blank.")
    if not (is_visible(artist) and is_visible(title)):
        raise InvalidEvent("bad-text", "artist and title must not be invisible characters alone.")
    given = None
    if incoming.recording_mbid or incoming.isrc or incoming.spotify_uri:
        given = {name: value for name in _IDS if (value := getattr(incoming, name))}
    extra = given
    if incoming.imported_from:
        extra = {**(given or {}), IMPORTED_FROM: incoming.imported_from}
    played_at = incoming.played_at
    if type(played_at) is not int:
        played_at = read_time(played_at)
    if not OLDEST_MS <= played_at < now_ms + SKEW_MS:
        check_time(played_at, now_ms)
    ms_played, duration_ms = lengths(incoming.ms_played, incoming.duration_ms)
    return Play(
        event_id=event_id(user, played_at, artist, title),
        track_id=track_id(artist, title, **given) if given else track_id(artist, title),
        artist=artist,
        title=title,
        played_at=played_at,
        received_at=now_ms,
        source=incoming.source or DEFAULT_SOURCE,
        album=incoming.album or None,
        ms_played=ms_played,
        duration_ms=duration_ms,
        skipped=incoming.skipped,
        reason_end=incoming.reason_end,
        session_hint=incoming.session,
        impression_id=incoming.impression_id,
        extra=extra,
    )


_IDS = ("recording_mbid", "isrc", "spotify_uri")


def check_nul(incoming: PlayIn) -> None:
    """Check that no text holds NUL, which PostgreSQL cannot store.

    Raises
    ------
    InvalidEvent
        With reason ``bad-text``.
    """
    if any(isinstance(value, str) and "\x00" in value for value in astuple(incoming)):
        raise InvalidEvent("bad-text", "A text contains the character NUL; remove it.")


def read_time(value: int | str) -> int:
    """Return a time as milliseconds since the epoch, UTC.

    Examples
    --------
    >>> read_time("2024-01-01T00:00:00Z") == read_time("2024-01-01T01:00:00+01:00")
    True
    """
    if isinstance(value, int):
        return value
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidEvent(
            "bad-time", "played_at is neither milliseconds since the epoch nor ISO 8601."
        ) from None


def check_time(played_at: int, now_ms: int) -> None:
    """Check that a play did not start before scrobbling existed, nor in the future.

    Raises
    ------
    InvalidEvent
        With reason ``too-old`` or ``future``.
    """
    if played_at < OLDEST_MS:
        hint = " (seconds? milliseconds are expected)" if played_at > OLDEST_MS // 1000 else ""
        raise InvalidEvent("too-old", f"played_at {played_at} is before 2002-10-01{hint}.")
    if played_at >= now_ms + SKEW_MS:
        raise InvalidEvent(
            "future", f"played_at {played_at} is more than an hour ahead of this server's clock."
        )
