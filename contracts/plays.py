"""Definitions of a play: valid values, sessions, and how much of the track was heard.

The API, the folds, the model, the evaluation and the warehouse all use these definitions. The
warehouse gets them as SQL (:mod:`contracts.plays_sql`).

**Times.** Each layer accepts at least what the layer before it accepts, so that nothing the API
took is refused later: API (:data:`OLDEST_MS` to one hour ahead) within the warehouse
(:data:`FIRST_PLAY` to a day ahead) within the decoder of the log (:data:`LAST_SECOND`). A stored
play is therefore never dropped because a clock was a little off.

**Lengths.** A track lasts 1 s to 12 h. Anything else is a wrong unit or a mistake
(:func:`lengths`).
"""

from __future__ import annotations

from datetime import UTC, datetime

#: Earliest start of a play that the API accepts (2002-10-01, before any scrobbler), ms.
OLDEST_MS = 1_033_430_400_000
#: How far the API lets a client's clock run ahead, ms.
SKEW_MS = 3_600_000
#: Earliest start that the warehouse accepts, and how far it lets a clock run ahead, hours.
FIRST_PLAY = datetime(2002, 1, 1, tzinfo=UTC)
WAREHOUSE_SKEW_HOURS = 24
#: Latest start that the log's decoder accepts (2106): the feature blob has 32 bits for seconds.
LAST_SECOND = 2**32 - 1

#: A pause of this many seconds between the starts of two plays ends a session.
SESSION_GAP = 1800

#: Shortest and longest length of a track, ms.
SHORTEST_MS, LONGEST_MS = 1_000, 12 * 3_600_000
#: A length below :data:`SHORTEST_MS` is taken for seconds from this number on.
_FEWEST_SECONDS = 10
#: A play counts in charts from this time heard on, or from half of a shorter track, ms.
COUNTED_MS = 30_000
#: Length assumed where only the time heard is known, ms (scrobblers submit after at most 4 min).
USUAL_MS = 240_000

#: Codes of :func:`heard`: percent of the track, and "not known".
FULL, UNKNOWN = 100, 255
#: Code of a play that the listener skipped at an unknown time.
SKIPPED = 10
#: A play with a code below this is a skip.
SKIP_BELOW = 30


def known_length(duration_ms: int | None) -> int | None:
    """Return the length of a track in ms, ``None`` for one that cannot be right.

    Examples
    --------
    >>> known_length(240_000), known_length(0), known_length(86_400_000)
    (240000, None, None)
    """
    if duration_ms is None or not SHORTEST_MS <= duration_ms <= LONGEST_MS:
        return None
    return duration_ms


def lengths(ms_played: int | None, duration_ms: int | None) -> tuple[int | None, int | None]:
    """Return time heard and length as they are stored, in ms.

    Some clients send a length in the wrong unit. A value below 1 s is read as seconds, a value
    above 12 h as microseconds, if the result is a possible length. Any other impossible
    length, and a time heard above 12 h of a track of unknown length, is unknown.

    Examples
    --------
    >>> lengths(None, 168), lengths(None, 168_000_000), lengths(2, 168), lengths(400, 0)
    ((None, 168000), (None, 168000), (2000, 168000), (400, None))
    """
    length = known_length(duration_ms)
    if length is None and duration_ms:
        if duration_ms > LONGEST_MS:
            length = known_length(duration_ms // 1000)
        elif duration_ms >= _FEWEST_SECONDS:
            length = 1000 * duration_ms
            if ms_played and ms_played <= duration_ms:
                ms_played *= 1000
    if ms_played is not None and (ms_played < 0 or (length is None and ms_played > LONGEST_MS)):
        ms_played = None
    return ms_played, length


def heard(ms_played: int | None, duration_ms: int | None, skipped: bool | None) -> int:
    """Return how much of a track was heard: percent (0 to 100), or :data:`UNKNOWN`.

    Time heard and length decide where both are known. Without a length, a short or skipped play
    is measured against a track of 4 minutes; a client's ``skipped`` decides where nothing else is
    known.

    Examples
    --------
    >>> heard(60_000, 240_000, None), heard(900_000, 240_000, None), heard(None, 240_000, None)
    (25, 100, 255)
    >>> heard(None, None, True), heard(None, None, False), heard(2_400, None, None)
    (10, 100, 1)
    """
    if ms_played is None and skipped is None:  # most clients that send live plays report neither
        return UNKNOWN
    length = known_length(duration_ms)
    if ms_played is not None and ms_played >= 0:
        if length is not None:
            return min(FULL, 100 * ms_played // length)
        if skipped or ms_played < COUNTED_MS:
            return min(FULL, 100 * ms_played // USUAL_MS)
    if skipped is None:
        return UNKNOWN
    return SKIPPED if skipped else FULL


def was_skipped(
    ms_played: int | None, duration_ms: int | None, skipped: bool | None
) -> bool | None:
    """Return whether a play was skipped: as the client reports, else by how much was heard.

    Examples
    --------
    >>> was_skipped(2_000, 200_000, None), was_skipped(199_000, 200_000, True)
    (True, True)
    """
    if skipped is not None:
        return skipped
    code = heard(ms_played, duration_ms, None)
    return None if code == UNKNOWN else code < SKIP_BELOW


def heard_ms(ms_played: int | None, duration_ms: int | None, skipped: bool | None) -> int | None:
    """Return the time a listener spent with a track, ms; ``None`` if unknown.

    The time heard, but at most the length; the length where only that is known and the track was
    not skipped.

    Examples
    --------
    >>> heard_ms(86_400_000, 200_000, None), heard_ms(None, 200_000, None)
    (200000, 200000)
    """
    length = known_length(duration_ms)
    if ms_played is None or ms_played < 0:
        return None if skipped else length
    if length is None:
        return ms_played if ms_played <= LONGEST_MS else None
    return min(ms_played, length)


def counts(ms_played: int | None, duration_ms: int | None, skipped: bool | None) -> bool:
    """Return whether a play counts in charts: 30 s heard, or half of a shorter track.

    If the time heard is unknown, a play counts unless the client marks it as skipped.

    Examples
    --------
    >>> counts(29_000, 240_000, None), counts(20_000, 40_000, True), counts(None, None, True)
    (False, True, False)
    """
    if ms_played is None or ms_played < 0:
        return not skipped
    length = known_length(duration_ms)
    least = COUNTED_MS if length is None else min(COUNTED_MS, length // 2)
    return ms_played >= least
