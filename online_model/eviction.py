"""Forget the least active tracks and listeners when their rows run out."""

from __future__ import annotations

import numpy as np

from online_model._numba import compiled
from online_model.artists import forget_artist_tracks
from online_model.documents import compact_documents
from online_model.hashing import remove
from online_model.rows import give_row
from online_model.state import (
    ALIASES,
    EVICTED_LISTENERS,
    EVICTED_TRACKS,
    FREE_LISTENERS,
    FREE_TRACKS,
    LISTENERS,
    POPULAR,
    TOP,
    TRACKS,
    Array,
    State,
)

_SHARE = 16
"""One row in this many is freed at a time, so that the sweep through all tables stays rare."""


def make_room(state: State) -> None:
    """Free rows of whichever kind has none left.

    The track or listener with the oldest last play is evicted first; of equal ones the lowest row,
    so the outcome depends on the plays alone.
    """
    tracks, listeners = len(state.track_key), len(state.listener_key)
    if state.counters[FREE_TRACKS] == 0 and state.counters[TRACKS] >= tracks:
        gone = np.zeros(tracks, np.bool_)
        gone[np.argsort(state.last_play, kind="stable")[: max(1, tracks // _SHARE)]] = True
        forget_artist_tracks(state, gone)
        forget_tracks(state, gone)
        compact_documents(state)
    if state.counters[FREE_LISTENERS] == 0 and state.counters[LISTENERS] >= listeners:
        idle = np.argsort(state.listener_seen, kind="stable")[: max(1, listeners // _SHARE)]
        forget_listeners(state, idle.astype(np.int64))


@compiled
def forget_listeners(state: State, rows: Array) -> None:
    """Erase listeners: key and window."""
    for row in rows:
        remove(state.listener_keys, state.listener_rows, state.listener_key[row])
        state.listener_key[row] = 0
        state.listener_seen[row] = 0
        state.window_size[row] = 0
        state.window_tracks[row, :] = 0
        state.window_seconds[row, :] = 0
        state.window_ratios[row, :] = 0
        give_row(state.counters, state.free_listeners, FREE_LISTENERS, row)
        state.counters[EVICTED_LISTENERS] += 1


@compiled
def _thin(ids: Array, first: Array, second: Array, gone: Array) -> None:
    """Drop gone neighbours from every row of a table with two weights and close the gaps."""
    for row in range(ids.shape[0]):
        kept = 0
        for k in range(ids.shape[1]):
            track = ids[row, k] - 1
            if track < 0:
                break
            if gone[track] or gone[row]:
                continue
            ids[row, kept] = ids[row, k]
            first[row, kept] = first[row, k]
            second[row, kept] = second[row, k]
            kept += 1
        while kept < ids.shape[1] and ids[row, kept] != 0:
            ids[row, kept] = 0
            first[row, kept] = 0.0
            second[row, kept] = 0.0
            kept += 1


@compiled
def forget_tracks(state: State, gone: Array) -> None:
    """Erase tracks everywhere: rows, neighbours, windows, popularity and names."""
    _thin(state.next_ids, state.next_direct, state.next_window, gone)
    _thin(state.pair_ids, state.pair_session, state.pair_taste, gone)
    _thin(state.batch_ids, state.batch_weights, state.batch_weights, gone)
    _thin(state.content_ids, state.content_weights, state.content_weights, gone)
    for row in range(min(state.counters[LISTENERS], state.window_tracks.shape[0])):
        for k in range(state.window_size[row]):
            track = state.window_tracks[row, k]
            if track >= 0 and gone[track]:
                state.window_tracks[row, k] = -1
    kept = 0
    for k in range(state.counters[TOP]):
        if not gone[state.top[k]]:
            state.top[kept] = state.top[k]
            kept += 1
    state.counters[TOP] = kept
    # A removal moves later entries back over the hole, so a slot is looked at until it may stay.
    for at in range(state.alias_keys.shape[0]):
        while state.alias_keys[at] != 0 and gone[state.alias_rows[at]]:
            remove(state.alias_keys, state.alias_rows, state.alias_keys[at])
            state.counters[ALIASES] -= 1
    for row in range(gone.shape[0]):
        if not gone[row]:
            continue
        state.track_key[row] = 0
        state.track_id_key[row] = 0
        state.artist[row] = 0
        state.document_size[row] = 0
        state.last_play[row] = 0
        for h in range(state.totals.shape[0]):
            state.totals[h] -= state.facts[row, POPULAR + h]
        state.facts[row, :] = 0.0
        state.shown_at[row] = 0
        state.next_offset[row, :] = 0
        give_row(state.counters, state.free_tracks, FREE_TRACKS, row)
        state.counters[EVICTED_TRACKS] += 1
