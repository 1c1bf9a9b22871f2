"""Fold plays into a listener's window: the newest plays in time order, each at most once."""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.scratch import Scratch
from online_model.state import Array, State

NEWEST = 0
"""The play is the newest of its listener: it can be learned as what came next."""

LATE = 1
"""The play is older than the newest; it takes its place in the window but teaches no transition."""

DUPLICATE = 2
"""The window holds this track at this second: nothing changes."""

FORGOTTEN = 3
"""The play is older than everything in a full window: nothing changes."""


@inner
def place(
    size: Array, tracks: Array, seconds: Array, listener: int, track: int, second: int
) -> tuple[int, int]:
    """Return what a play is to a window, and the position it would be inserted at.

    Plays of one second keep the order they came in.
    """
    n = size[listener]
    at = n
    while at > 0 and np.int64(seconds[listener, at - 1]) > second:
        at -= 1
    k = at - 1
    while k >= 0 and np.int64(seconds[listener, k]) == second:
        if tracks[listener, k] == track:
            return DUPLICATE, at
        k -= 1
    if at == n:
        return NEWEST, at
    if at == 0 and n == tracks.shape[1]:
        return FORGOTTEN, at
    return LATE, at


@inner
def put(state: State, listener: int, at: int, track: int, second: int, ratio: int) -> None:
    """Insert a play at a position; a full window forgets its oldest play."""
    tracks = state.window_tracks[listener]
    seconds = state.window_seconds[listener]
    ratios = state.window_ratios[listener]
    n = state.window_size[listener]
    if n == tracks.shape[0]:
        at -= 1
        for k in range(at):
            tracks[k] = tracks[k + 1]
            seconds[k] = seconds[k + 1]
            ratios[k] = ratios[k + 1]
    else:
        for k in range(n, at, -1):
            tracks[k] = tracks[k - 1]
            seconds[k] = seconds[k - 1]
            ratios[k] = ratios[k - 1]
    tracks[at] = track
    seconds[at] = np.uint32(second)
    ratios[at] = np.uint8(ratio)
    if n < tracks.shape[0]:
        state.window_size[listener] = n + 1


@inner
def load(state: State, scratch: Scratch, listener: int) -> int:
    """Copy a listener's window into working memory; return its plays."""
    n = min(max(state.window_size[listener], 0), scratch.tracks.shape[0])
    for k in range(n):
        scratch.tracks[k] = state.window_tracks[listener, k]
        scratch.seconds[k] = np.int64(state.window_seconds[listener, k])
        scratch.ratios[k] = state.window_ratios[listener, k]
    return int(n)
