"""Spotify: the extended streaming history, and the shorter one of the account data.

Both give the time at which a stream *ended*; the start is that time less ``ms_played``. Addresses
and user agents of the rows are never kept, and a private session stays private unless asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from contracts.ids import normalise
from contracts.placeholders import is_placeholder
from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports.json_stream import Element, elements
from infra.operations.imports.rows import (
    ImportedRecord,
    Options,
    Readable,
    Refused,
    flag,
    name,
    when,
)

_PRIVATE_FIELDS = frozenset(
    {"ip_addr", "ip_addr_decrypted", "user_agent_decrypted", "conn_country", "username"}
)
_ENDED = {"fwdbtn": True, "trackdone": False}
_NAMES = (
    "master_metadata_track_name",
    "master_metadata_album_artist_name",
    "spotify_track_uri",
)
#: Exports repeat rows; a twin is looked for among so many rows before.
_REMEMBERED = 64
_MINUTE_MS = 60_000
#: Spotify began in 2008: an earlier offline time stamp is a broken clock.
_FIRST_MS = 1_199_145_600_000


def extended(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``Streaming_History_Audio_*.json`` or ``endsong_*.json``."""
    return _records(elements(stream, is_extended), ExtendedReader(options))


def account(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``StreamingHistory_music_*.json``: times to the minute, in UTC, no track ids."""
    return _records(elements(stream, is_account), AccountReader(options))


def is_extended(row: dict[str, Any]) -> bool:
    """Whether an object is a row of the extended history."""
    return "ms_played" in row and "ts" in row


def is_account(row: dict[str, Any]) -> bool:
    """Whether an object is a row of the account data."""
    return "endTime" in row and "msPlayed" in row


class ExtendedReader:
    """Reads rows of the extended history, in the order of the file."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._recent: deque[tuple[object, int, int]] = deque(maxlen=_REMEMBERED)

    def __call__(self, row: dict[str, Any]) -> PostedPlay:
        """Return the play of a row."""
        if _true(row.get("incognito_mode")) and not self._options.private:
            raise Refused("private-session", dropped=True, keep=False)
        _check_music(row)
        title = name(row.get("master_metadata_track_name"), "title")
        artist = name(row.get("master_metadata_album_artist_name"), "artist")
        _check_named(artist, title)
        heard = _heard(row.get("ms_played"))
        start = _start(row, when(row.get("ts")), heard)
        uri = optional(row.get("spotify_track_uri"))
        self._check_repeated((uri or (artist, title), heard), start)
        reason = optional(row.get("reason_end"))
        skipped = row.get("skipped")
        return PostedPlay(
            artist=artist,
            title=title,
            played_at=start,
            source="spotify-export/extended",
            user=self._options.user,
            album=optional(row.get("master_metadata_album_album_name"), MAX_NAME),
            ms_played=heard,
            skipped=flag(skipped) if flag(skipped) is not None else _ENDED.get(reason or ""),
            reason_end=reason,
            spotify_uri=uri,
        )

    def _check_repeated(self, mark: tuple[object, int], start: int) -> None:
        """Refuse a row that overlaps its twin: one song cannot be heard twice at once."""
        little = min(15_000, mark[1] // 2)
        for *other, at in self._recent:
            if tuple(other) == mark and abs(at - start) < mark[1] - little:
                raise Refused("repeated", "the export has this row twice", dropped=True)
        self._recent.append((*mark, start))


def _start(row: dict[str, Any], ended: int, heard: int) -> int:
    """Return when a stream began.

    A play without connection is reported when the device is back: ``ts`` is then the time of the
    report, and ``offline_timestamp`` (seconds or milliseconds, 0 for none) the start.
    """
    start = ended - heard
    if flag(row.get("offline")) is False:
        return start
    try:
        offline = when(row.get("offline_timestamp"))
    except Refused:
        return start
    return offline if _FIRST_MS <= offline <= start + _MINUTE_MS else start


class AccountReader:
    """Reads rows of the account data, in the order of the file, which is that of playing.

    ``endTime`` is cut to the minute. The rows of one minute are laid one after the other, so that
    their order is kept. Only rows of the same minute count for it: two exports that overlap give a
    play the same start, and so the same id. A second play of the same names and second is moved on
    by a second, because it would have the id of the first.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._minute = self._ended = -1
        self._taken: deque[tuple[int, str, str]] = deque(maxlen=_REMEMBERED)

    def __call__(self, row: dict[str, Any]) -> PostedPlay:
        """Return the play of a row."""
        if "podcastName" in row or "episodeName" in row:
            raise Refused("podcast", "an episode, no track", dropped=True)
        if any("audiobook" in key.lower() or "chapter" in key.lower() for key in row):
            raise Refused("audiobook", "a chapter, no track", dropped=True)
        title, artist = name(row.get("trackName"), "title"), name(row.get("artistName"), "artist")
        heard, minute = _heard(row.get("msPlayed")), when(row.get("endTime"))
        if minute == self._minute:
            self._ended = min(self._ended + heard, minute + _MINUTE_MS - 1)
        else:
            self._minute = self._ended = minute
        _check_named(artist, title)
        start = self._ended - heard
        while (mark := (start // 1000, normalise(artist), normalise(title))) in self._taken:
            start += 1000
        self._taken.append(mark)
        return PostedPlay(
            artist=artist,
            title=title,
            played_at=start,
            source="spotify-export/account",
            user=self._options.user,
            ms_played=heard,
        )


def _true(value: object) -> bool:
    return flag(value) is True


def _check_named(artist: str, title: str) -> None:
    if is_placeholder(artist, title):
        raise Refused("placeholder", f"{artist!r}, {title!r} stand for no track", dropped=True)


def _check_music(row: dict[str, Any]) -> None:
    if row.get("master_metadata_track_name"):
        return
    if row.get("episode_name") or row.get("spotify_episode_uri"):
        raise Refused("podcast", "an episode, no track", dropped=True)
    if row.get("audiobook_title") or row.get("audiobook_uri"):
        raise Refused("audiobook", "a chapter, no track", dropped=True)
    if not any(row.get(field) for field in _NAMES):
        raise Refused(
            "no-track", "a video, or a track that is gone: the row names nothing", dropped=True
        )


def _heard(value: object) -> int:
    heard = milliseconds(value)
    if heard is None:
        raise Refused("bad-length", f"{str(value)[:60]!r} is not a length in milliseconds")
    if heard == 0:
        raise Refused("not-heard", "0 ms were played", dropped=True)
    return heard


def _records(rows: Iterable[Element], read: Any) -> Iterator[ImportedRecord]:
    for number, element in enumerate(rows, 1):
        row = element.value
        try:
            if element.torn:
                raise Refused("bad-json", f"unreadable: {element.torn}")
            if not isinstance(row, dict):
                raise Refused("bad-shape", "the element is not an object")
            yield ImportedRecord(number, play=read(row))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=_without_addresses(row, element.raw))


def _without_addresses(row: object, raw: str) -> str:
    """Return the text of a row without addresses and user agents."""
    if not isinstance(row, dict):
        return raw if not any(f'"{field}"' in raw for field in _PRIVATE_FIELDS) else ""
    if not _PRIVATE_FIELDS & row.keys():
        return raw
    kept = {key: value for key, value in row.items() if key not in _PRIVATE_FIELDS}
    return msgspec.json.encode(kept).decode() if _encodable(kept) else ""


def _encodable(row: dict[str, Any]) -> bool:
    try:
        msgspec.json.encode(row)
    except (ValueError, OverflowError, RecursionError):
        return False
    return True
