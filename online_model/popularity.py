"""Decayed popularity over three horizons, with the most popular tracks always in order.

A play at second ``t`` adds ``2 ** ((t - origin) / half_life)``: weights grow instead of decaying,
so nothing is swept (forward decay, Cormode et al., ICDE 2009). The order of the longest horizon
changes only when a track is played, which keeps ``top`` exact at constant cost.
"""

from __future__ import annotations

from online_model._numba import inner
from online_model.state import (
    POP_HALF_LIVES,
    POP_ORIGIN,
    POPULAR,
    TOP,
    TOP_TRACKS,
    TRACKS,
    Array,
    State,
)

_HORIZONS = len(POP_HALF_LIVES)
_ORDER = POPULAR + _HORIZONS - 1
_DAY = 86_400


@inner
def count_play(state: State, track: int, second: int, share: float) -> None:
    """Add a play to a track's popularity and move it up the order.

    Parameters
    ----------
    share
        How much the play counts: :func:`listener_share` times the weight of what was heard.
    """
    for h in range(_HORIZONS):
        x = (second - state.counters[POP_ORIGIN]) / POP_HALF_LIVES[h]
        weight = share * 2.0 ** max(min(x, 60.0), -60.0)
        state.facts[track, POPULAR + h] += weight
        state.totals[h] += weight
    _move_up(state.counters, state.top, state.facts, track)


@inner
def listener_share(tracks: Array, seconds: Array, plays: int, track: int, second: int) -> float:
    """Return what another play of a track by one listener adds to its popularity.

    The first play of a day counts 1, each further one a quarter of the one before: a listener adds
    at most 4/3 a day to what is popular, however often a song is repeated.

    Parameters
    ----------
    tracks, seconds
        The listener's plays before this one, oldest first; the first `plays` entries are valid.
    """
    share = 1.0
    for q in range(plays):
        k = plays - 1 - q
        if second - seconds[k] > _DAY or share < 1e-6:
            break
        if tracks[k] == track:
            share *= 0.25
    return share


@inner
def _move_up(counters: Array, top: Array, facts: Array, track: int) -> None:
    value = facts[track, _ORDER]
    n = counters[TOP]
    at = -1
    # Most plays are of tracks outside the list: one comparison with its end decides.
    if n == TOP_TRACKS and value < facts[top[n - 1], _ORDER]:
        return
    for k in range(n):
        if top[k] == track:
            at = k
            break
    if at < 0:
        if n < TOP_TRACKS:
            at = n
            top[at] = track
            counters[TOP] = n + 1
        else:
            at = n - 1
            top[at] = track
    while at > 0 and facts[top[at - 1], _ORDER] < value:
        top[at] = top[at - 1]
        at -= 1
    top[at] = track


@inner
def rebase_popularity(state: State, second: int) -> None:
    """Start a new origin before the shortest horizon's weights grow out of range."""
    limit = min(state.counters[TRACKS], state.facts.shape[0])
    elapsed = second - state.counters[POP_ORIGIN]
    for h in range(_HORIZONS):
        scale = 2.0 ** max(-elapsed / POP_HALF_LIVES[h], -1000.0)
        state.totals[h] *= scale
        for track in range(limit):
            state.facts[track, POPULAR + h] *= scale
    state.counters[POP_ORIGIN] = second


@inner
def popularity_due(counters: Array, second: int) -> bool:
    """Return whether the origin is too far back for this second."""
    return bool(second - counters[POP_ORIGIN] > 40.0 * POP_HALF_LIVES[0])
