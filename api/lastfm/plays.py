"""Scrobbles of Last.fm's protocols as plays of ours."""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from api.auth import Identity
from api.lastfm.errors import try_again
from api.plays.letters import dead_letters
from api.plays.parse import check_nul, make_play
from api.plays.wire import PlayIn
from api.services import Services
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.events import Play

#: Codes of ``ignoredMessage``: artist, track, timestamp too old, too new.
ARTIST_IGNORED, TRACK_IGNORED, TOO_OLD, TOO_NEW = 1, 2, 3, 4
_CODES = {"too-old": TOO_OLD, "bad-time": TOO_OLD, "future": TOO_NEW}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one scrobble; ``ignored`` 0 means it is in the log."""

    scrobble: dict[str, str]
    ignored: int = 0
    why: str = ""


async def record(
    services: Services, route: str, identity: Identity, scrobbles: list[dict[str, str]]
) -> list[Outcome]:
    """Append scrobbles to the log, refused ones as dead letters; return what became of each.

    Parameters
    ----------
    scrobbles
        Fields ``artist``, ``track``, ``timestamp`` (start, seconds since the epoch), and where
        known ``album``, ``mbid``, ``duration`` (seconds), ``rating`` (``S``: skipped), ``source``.

    Raises
    ------
    LastfmError
        16: the broker did not acknowledge; the player keeps the scrobbles and sends them again.
    """
    now_ms = int(time.time() * 1000)
    user = identity.user_id
    plays: list[Play] = []
    outcomes: list[Outcome] = []
    refused: list[tuple[str, str, bytes]] = []
    for scrobble in scrobbles:
        try:
            plays.append(_play(scrobble, user, now_ms))
            outcomes.append(Outcome(scrobble))
        except InvalidEvent as error:
            refused.append((error.reason, str(error), msgspec.json.encode(scrobble)))
            outcomes.append(Outcome(scrobble, _ignored(scrobble, error.reason), str(error)))
    records = [
        *services.records.of(user, plays),
        *dead_letters(services.topics, route, user, refused),
    ]
    try:
        await services.log.append(records)
    except BrokerUnavailable:
        raise try_again() from None
    services.metrics.accepted(route, len(plays))
    for reason, _, _ in refused:
        services.metrics.rejected(route, reason)
    return outcomes


def now_playing_of(artist: str, track: str, album: str, seconds: str) -> dict[str, object]:
    """Return the current track as ListenBrainz describes one; ``seconds`` is its length, if known.

    Examples
    --------
    >>> now_playing_of("Air", "Venus", "", "244")["additional_info"]
    {'duration': 244}
    """
    info = {}
    if (length := _number(seconds)) and length <= 86_400:
        info["duration"] = length
    metadata: dict[str, object] = {
        "artist_name": artist, "track_name": track, "additional_info": info,
    }  # fmt: skip
    if album:
        metadata["release_name"] = album
    return metadata


def _play(scrobble: dict[str, str], user: str, now_ms: int) -> Play:
    seconds = _number(scrobble.get("timestamp", ""))
    duration = _number(scrobble.get("duration", ""))
    fields = {
        "artist": scrobble.get("artist", ""),
        "title": scrobble.get("track", ""),
        "played_at": 0 if seconds is None else seconds * 1000,
        "album": scrobble.get("album") or None,
        # A length that makes no sense must not cost the listener the play.
        "duration_ms": duration * 1000 if duration and duration <= 2_073_600 else None,
        "skipped": True if scrobble.get("rating") == "S" else None,
        "recording_mbid": scrobble.get("mbid", "")[:256] or None,
        "source": scrobble.get("source", "")[:256] or "lastfm",
    }
    try:
        incoming = msgspec.convert(fields, PlayIn)
    except msgspec.ValidationError as error:
        raise InvalidEvent("bad-schema", f"{error}.") from None
    check_nul(incoming)
    return make_play(incoming, user, now_ms)


def _ignored(scrobble: dict[str, str], reason: str) -> int:
    if reason in _CODES:
        return _CODES[reason]
    artist = scrobble.get("artist", "")
    good = artist.strip() and "\x00" not in artist and len(artist) <= 1000
    return TRACK_IGNORED if good else ARTIST_IGNORED


def _number(text: str) -> int | None:
    """Return a whole number, ``None`` for anything else; a fraction is cut."""
    whole = text.strip().partition(".")[0]
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 16 else None
