"""Bounded neighbour rows: a few slots of track and weight, the weakest replaced when full."""

from __future__ import annotations

from online_model._numba import compiled
from online_model.state import Array


@compiled
def strengthen(ids: Array, weights: Array, row: int, track: int, weight: float) -> None:
    """Add weight to one neighbour of a row.

    A new neighbour of a full row takes the slot of the weakest and starts from its own weight.
    Weights decay forward (later plays weigh more), so old neighbours become the weakest by
    themselves and nothing has to be swept.
    """
    slots = ids.shape[1]
    wanted = track + 1
    weakest = 0
    least = weights[row, 0]
    for k in range(slots):
        held = ids[row, k]
        if held == wanted:
            weights[row, k] += weight
            return
        if held == 0:
            weights[row, k] = weight
            ids[row, k] = wanted
            return
        if weights[row, k] < least:
            least = weights[row, k]
            weakest = k
    ids[row, weakest] = wanted
    weights[row, weakest] = weight


@compiled
def strengthen_next(
    ids: Array,
    weights: Array,
    seconds: Array,
    row: int,
    track: int,
    direct: float,
    window: float,
    second: int,
) -> None:
    """Add to both weights of a row of the next table: next play, and window of five plays.

    ``second`` dates a next play; plays further apart in the window leave the date as it is.
    """
    slots = ids.shape[1]
    wanted = track + 1
    weakest = 0
    least = weights[row, 0, 0] + weights[row, 0, 1]
    for k in range(slots):
        held = ids[row, k]
        if held == wanted:
            weights[row, k, 0] += direct
            weights[row, k, 1] += window
            if direct > 0.0:
                seconds[row, k] = second
            return
        if held == 0:
            weights[row, k, 0] = direct
            weights[row, k, 1] = window
            seconds[row, k] = second if direct > 0.0 else 0
            ids[row, k] = wanted
            return
        both = weights[row, k, 0] + weights[row, k, 1]
        if both < least:
            least = both
            weakest = k
    ids[row, weakest] = wanted
    weights[row, weakest, 0] = direct
    weights[row, weakest, 1] = window
    seconds[row, weakest] = second if direct > 0.0 else 0
