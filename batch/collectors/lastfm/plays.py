"""Rows of ``user.getRecentTracks`` as plays."""

from __future__ import annotations

import msgspec

from batch.collectors.lastfm.contract import PlayRow, named
from batch.collectors.plays import Refused
from contracts.posted import MAX_NAME, PostedPlay, optional


def read_row(row: PlayRow) -> PostedPlay | Refused | None:
    """Return the play of a row; ``None`` for the track that plays right now (no play yet)."""
    if row.date is None:
        if row.attr is not None and row.attr.nowplaying == "true":
            return None
        return _refuse(row, "no-date", "a row without date that is not playing now")
    artist, title = named(row.artist).strip(), row.name.strip()
    if not artist or not title:
        return _refuse(row, "no-name", "artist and title are needed")
    try:
        second = int(row.date.uts)
    except ValueError:
        return _refuse(row, "bad-time", f"date.uts {row.date.uts!r} is no number of seconds")
    if second <= 0:
        return _refuse(row, "bad-time", "scrobbled at the epoch: the player's clock was not set")
    return PostedPlay(
        artist=artist,
        title=title,
        played_at=second * 1000,
        source="lastfm/2.0",
        album=optional(named(row.album), MAX_NAME),
        recording_mbid=optional(row.mbid),
    )


def _refuse(row: PlayRow, reason: str, detail: str) -> Refused:
    return Refused(reason, detail, msgspec.json.encode(row).decode())
