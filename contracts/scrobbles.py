"""A refused scrobble of Last.fm's protocols, in the words of ``/v1/plays``."""

from __future__ import annotations

from contracts.posted import optional

_LONGEST_SECONDS = 2_073_600


def as_play(refused: dict[str, object]) -> dict[str, object]:
    """Return a refused record as a play to post; one that is a play already stays as it is.

    Scrobbles name the title ``track`` and count in seconds. What makes no sense is left for the
    API to judge, so that a replay is refused for the reason it was refused at first.

    Examples
    --------
    >>> as_play({"artist": "Air", "track": "One", "timestamp": "1700000000", "duration": "180"})
    {'artist': 'Air', 'title': 'One', 'played_at': 1700000000000, 'source': 'lastfm', \
'duration_ms': 180000}
    """
    if "track" not in refused or "title" in refused or "played_at" in refused:
        return refused
    stamp, length = _whole(refused.get("timestamp")), _whole(refused.get("duration"))
    play: dict[str, object] = {
        "artist": refused.get("artist", ""),
        "title": refused.get("track", ""),
        "played_at": 0 if stamp is None else stamp * 1000,
        "source": optional(refused.get("source")) or "lastfm",
    }
    if length and length <= _LONGEST_SECONDS:
        play["duration_ms"] = length * 1000
    if refused.get("rating") == "S":
        play["skipped"] = True
    for name, given in (("album", "album"), ("recording_mbid", "mbid")):
        if value := optional(refused.get(given)):
            play[name] = value
    return play


def _whole(value: object) -> int | None:
    text = str(value).strip().partition(".")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
