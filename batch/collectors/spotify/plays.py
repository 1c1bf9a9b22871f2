"""Recently played: the last 50 plays, the only plays the Web API gives."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from batch.collectors.cursor import Page
from batch.collectors.plays import Refused
from batch.collectors.spotify.contract import PlayItem, RecentlyPlayed
from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional

PATH = "/v1/me/player/recently-played"
_MOST = 50


def params(after: int) -> dict[str, str]:
    """Return the parameters for plays after a moment (ms since the epoch)."""
    return {"limit": str(_MOST), **({"after": str(after)} if after else {})}


def read_page(answer: msgspec.Struct, after: int, lost: int = 0) -> Page:
    """Read an answer; `lost` rows of it were odd and are not in it.

    The service keeps 50 plays and no more: what was played before those is lost to the API, and a
    listener with more between two runs needs the export (`segue import`). It also does not say
    whether ``played_at`` is the start or the end of a play; it is taken as the start.
    """
    assert isinstance(answer, RecentlyPlayed)
    rows = [_row(item) for item in answer.items]
    times = [row.played_at for row in rows if isinstance(row, PostedPlay)]
    newest = max([after, *times])
    return Page(rows, newest, finished=len(answer.items) + lost < _MOST or newest == after)


def _row(item: PlayItem) -> PostedPlay | Refused:
    raw = msgspec.json.encode(item).decode()
    try:
        moment = datetime.fromisoformat(item.played_at)
    except ValueError:
        return Refused("bad-time", f"played_at {item.played_at!r}", raw)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    track = item.track
    if not track.artists or not track.artists[0].name.strip() or not track.name.strip():
        return Refused("no-name", "artist and title are needed", raw)
    return PostedPlay(
        artist=track.artists[0].name.strip(),
        title=track.name.strip(),
        played_at=int(moment.timestamp() * 1000),
        source="spotify/v1",
        album=optional(track.album.name, MAX_NAME) if track.album else None,
        duration_ms=milliseconds(track.duration_ms) or None,
        isrc=optional(track.external_ids.get("isrc")),
        # A local file has names alone.
        spotify_uri=f"spotify:track:{track.id}" if track.id else None,
    )
