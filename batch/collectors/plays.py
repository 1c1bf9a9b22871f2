"""Which collected plays are one, whatever the source, and how rows that are none are refused."""

from __future__ import annotations

import msgspec

from contracts.ids import track_key
from contracts.posted import PostedPlay


def identity(play: PostedPlay) -> str:
    """Return what is equal for two reports of the same play: second, artist and title."""
    return f"{play.played_at // 1000}:{track_key(play.artist, play.title):x}"


class Refused(msgspec.Struct):
    """A record of a source nobody could use, with a short reason and the original text."""

    reason: str
    detail: str
    raw: str
