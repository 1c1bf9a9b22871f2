"""Which plays a relay sends on."""

from __future__ import annotations

from contracts.events import Play
from contracts.plays import COUNTED_MS, known_length
from contracts.posted import IMPORTED_FROM
from contracts.same_play import client_of

#: What our own submissions call themselves; a play with this client has been relayed once already.
CLIENT = "Segue"
#: Last.fm takes no older scrobbles; an older play comes from an import, ms.
OLDEST_MS = 14 * 24 * 3_600_000
#: Both services ask for half of the track or this time, ms; Last.fm for a track longer than 30 s.
_ENOUGH_MS = 240_000
_SHORTEST_AT_LASTFM_MS = 30_000


def kept_back(play: Play, service: str, since_ms: int) -> str:
    """Return why a play is not sent on, empty for one that is.

    Parameters
    ----------
    since_ms
        When the relay was made, ms since the epoch.

    Examples
    --------
    >>> play = Play(event_id="", track_id="", artist="Air", title="Venus", played_at=9_000,
    ...             received_at=10_000, source="mpd/0.23", ms_played=2_000, duration_ms=200_000)
    >>> kept_back(play, "listenbrainz", 20_000), kept_back(play, "listenbrainz", 0)
    ('before', 'skipped')
    """
    if play.received_at < since_ms:
        return "before"
    if play.extra and IMPORTED_FROM in play.extra:
        return "imported"
    if client_of(play.source) == CLIENT.lower():
        return "relayed"
    if play.received_at - play.played_at > OLDEST_MS:
        return "old"
    if _skipped(play):
        return "skipped"
    length = known_length(play.duration_ms)
    if service == "lastfm" and length is not None and length <= _SHORTEST_AT_LASTFM_MS:
        return "short"
    return ""


def _skipped(play: Play) -> bool:
    if play.ms_played is None:
        return bool(play.skipped)
    length = known_length(play.duration_ms)
    least = COUNTED_MS if length is None else min(_ENOUGH_MS, length // 2)
    return play.ms_played < least
