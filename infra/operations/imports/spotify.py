"""Spotify: the extended streaming history, and the shorter one of the account data.

Both give the time at which a stream *ended*; the start is that time less ``ms_played``. Addresses
and user agents of the rows are never kept, and a private session stays private unless asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports.json_stream import elements
from infra.operations.imports.rows import (
    ImportedRecord,
    Options,
    Readable,
    Refused,
    name,
    when,
)

_PRIVATE_FIELDS = frozenset(
    {"ip_addr", "ip_addr_decrypted", "user_agent_decrypted", "conn_country", "username"}
)
_ENDED = {"fwdbtn": True, "trackdone": False}
#: Exports repeat rows: same track, same length, ended within this time (ms) of each other.
_REPEATED_MS = 30_000
_REMEMBERED = 32


def extended(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``Streaming_History_Audio_*.json`` or ``endsong_*.json``."""
    recent: deque[tuple[object, int, int]] = deque(maxlen=_REMEMBERED)

    def read(row: dict[str, Any]) -> PostedPlay:
        if row.get("incognito_mode") is True and not options.private:
            raise Refused("private-session", dropped=True, keep=False)
        _check_music(row)
        title = name(row.get("master_metadata_track_name"), "title")
        artist = name(row.get("master_metadata_album_artist_name"), "artist")
        heard, ended = _heard(row.get("ms_played")), when(row.get("ts"))
        uri = optional(row.get("spotify_track_uri"))
        mark = (uri or (artist, title), heard)
        for other, length, at in recent:
            if (other, length) == mark and abs(at - ended) <= _REPEATED_MS:
                raise Refused("repeated", "the export has this row twice", dropped=True)
        recent.append((*mark, ended))
        reason = optional(row.get("reason_end"))
        skipped = row.get("skipped")
        return PostedPlay(
            artist=artist,
            title=title,
            played_at=ended - heard,
            source="spotify-export/extended",
            user=options.user,
            album=optional(row.get("master_metadata_album_album_name"), MAX_NAME),
            ms_played=heard,
            skipped=skipped if isinstance(skipped, bool) else _ENDED.get(reason or ""),
            reason_end=reason,
            spotify_uri=uri,
        )

    return _records(stream, read)


def account(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read ``StreamingHistory_music_*.json``: times to the minute, in UTC, no track ids."""

    def read(row: dict[str, Any]) -> PostedPlay:
        if "podcastName" in row or "episodeName" in row:
            raise Refused("podcast", "an episode, no track", dropped=True)
        title, artist = name(row.get("trackName"), "title"), name(row.get("artistName"), "artist")
        heard = _heard(row.get("msPlayed"))
        return PostedPlay(
            artist=artist,
            title=title,
            played_at=when(row.get("endTime")) - heard,
            source="spotify-export/account",
            user=options.user,
            ms_played=heard,
        )

    return _records(stream, read)


def _check_music(row: dict[str, Any]) -> None:
    if row.get("master_metadata_track_name"):
        return
    if row.get("episode_name") or row.get("spotify_episode_uri"):
        raise Refused("podcast", "an episode, no track", dropped=True)
    if row.get("audiobook_title") or row.get("audiobook_uri"):
        raise Refused("audiobook", "a chapter, no track", dropped=True)


def _heard(value: object) -> int:
    heard = milliseconds(value)
    if heard is None:
        raise Refused("bad-length", f"{str(value)[:60]!r} is no length in milliseconds")
    if heard == 0:
        raise Refused("not-heard", "0 ms were played", dropped=True)
    return heard


def _records(stream: Readable, read: Any) -> Iterator[ImportedRecord]:
    for number, element in enumerate(elements(stream), 1):
        row = element.value
        try:
            if element.torn:
                raise Refused("bad-json", f"unreadable from here on: {element.torn}")
            if not isinstance(row, dict):
                raise Refused("bad-shape", "the element is no object")
            yield ImportedRecord(number, play=read(row))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=_without_addresses(row, element.raw))


def _without_addresses(row: object, raw: str) -> str:
    """Return the text of a row without what says where and who."""
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
