"""Which plays of the listener led to a track: the sources looked up the other way round."""

from __future__ import annotations

from online_model._numba import compiled, inner
from online_model.candidates import weight_at
from online_model.features import E_COUNT, SOURCES
from online_model.scratch import SESSION_PLAYS, WINDOW_PLAYS, Scratch
from online_model.state import CLOCK, TASTE_TRACKS, Array, State

MOST_PLAYS = 3
"""Plays named for each source, at most."""

_NEXT, _SESSION, _TASTE, _HISTORY, _BATCH, _CONTENT, _ARTIST = (
    list(SOURCES).index(name)
    for name in ("next", "session", "taste", "history", "batch", "content", "artist")
)
#: Newest plays of the window that the source was asked for (``candidates.gather``).
_REACH_NEXT = 4


@compiled
def trace_plays(
    state: State, scratch: Scratch, slots: Array, tracks: Array, support: Array
) -> None:
    """Find the plays that led to candidates of the list in ``scratch``.

    Parameters
    ----------
    slots
        Slots of the candidates, i64, shape (n,).
    tracks
        Filled with the rows of the tracks played, most support first, -1 where there are fewer;
        i32, shape (n, sources, MOST_PLAYS).
    support
        Filled with :attr:`online_model.explaining.PlayedBefore.support`; f32, same shape.
    """
    tracks[:] = -1
    for i in range(slots.shape[0]):
        track = scratch.board.candidates[slots[i]]
        own = scratch.board.evidence[slots[i], E_COUNT]
        if own > 0:
            tracks[i, _HISTORY, 0] = track
            support[i, _HISTORY, 0] = own
        _trace_tables(state, scratch, track, tracks[i], support[i])


@inner
def _trace_tables(
    state: State, scratch: Scratch, track: int, tracks: Array, support: Array
) -> None:
    """Look the track up in the neighbour rows of the listener's newest distinct tracks."""
    plays, session = scratch.board.tally[WINDOW_PLAYS], max(scratch.board.tally[SESSION_PLAYS], 1)
    one = 1.0 / weight_at(state.counters, state.settings, state.counters[CLOCK])
    distinct = 0
    for q in range(plays):
        row = scratch.tracks[plays - 1 - q]
        if row < 0 or _is_repeat(scratch.tracks, plays - 1 - q, plays):
            continue
        if q < _REACH_NEXT:
            k = _find(state.next_ids, row, track)
            if k >= 0:
                weight = max(state.next_direct[row, k], state.next_window[row, k])
                _keep(tracks[_NEXT], support[_NEXT], row, weight * one)
        k = _find(state.pair_ids, row, track)
        if k >= 0:
            if q < session:
                _keep(tracks[_SESSION], support[_SESSION], row, state.pair_session[row, k] * one)
            _keep(tracks[_TASTE], support[_TASTE], row, state.pair_taste[row, k] * one)
        k = _find(state.batch_ids, row, track)
        if k >= 0:
            _keep(tracks[_BATCH], support[_BATCH], row, state.batch_weights[row, k])
        k = _find(state.content_ids, row, track)
        if k >= 0:
            _keep(tracks[_CONTENT], support[_CONTENT], row, state.content_weights[row, k])
        if state.track_artist[row] != 0 and state.track_artist[row] == state.track_artist[track]:
            _keep(tracks[_ARTIST], support[_ARTIST], row, 1.0)
        distinct += 1
        if distinct >= state.settings[TASTE_TRACKS]:
            return


@inner
def _is_repeat(window: Array, at: int, plays: int) -> bool:
    """Return whether a later play of the window is of the same track."""
    found = False
    for k in range(at + 1, plays):
        found = found or window[k] == window[at]
    return found


@inner
def _find(ids: Array, row: int, track: int) -> int:
    """Return the position of a track among the neighbours of a row, or -1."""
    for k in range(ids.shape[1]):
        if ids[row, k] == track + 1:
            return k
    return -1


@inner
def _keep(tracks: Array, support: Array, row: int, weight: float) -> None:
    """Add a play to those kept, most support first, if it is one of the best and above 0."""
    at = tracks.shape[0]
    while at > 0 and (tracks[at - 1] < 0 or support[at - 1] < weight):
        at -= 1
    if at == tracks.shape[0] or weight <= 0.0:
        return
    for k in range(tracks.shape[0] - 1, at, -1):
        tracks[k] = tracks[k - 1]
        support[k] = support[k - 1]
    tracks[at] = row
    support[at] = weight
