"""Bounded neighbour rows: slots of a track and two weights, the weakest replaced when full."""

from __future__ import annotations

import numpy as np

from online_model._numba import compiled, inner
from online_model.state import Array

_LARGEST = np.int32(2**31 - 1)


@inner
def _slot(ids: Array, row: int, wanted: np.int32) -> int:
    """Return where a row holds an id, or -1; no early exit, so that it runs in vectors."""
    found = np.int32(-1)
    for k in range(np.int32(ids.shape[1])):
        found = max(found, np.int32(k) if ids[row, k] == wanted else np.int32(-1))
    return int(found)


@inner
def _weakest(first: Array, second: Array, row: int) -> int:
    """Return the slot of the least sum, the first of equal ones.

    Sums are never below 0, so their bits compare as they do; integers compare in vectors.
    """
    least = at = _LARGEST
    for k in range(first.shape[1]):
        least = min(least, np.float32(first[row, k] + second[row, k]).view(np.int32))
    for k in range(np.int32(first.shape[1])):
        bits = np.float32(first[row, k] + second[row, k]).view(np.int32)
        at = min(at, np.int32(k) if bits == least else _LARGEST)
    return int(at)


@inner
def strengthen_both(
    ids: Array, first: Array, second: Array, row: int, track: int, by_first: float, by_second: float
) -> int:
    """Add to both weights of one neighbour of a row; return its slot.

    A new neighbour of a full row takes the slot of the weakest (by the sum of both weights) and
    starts from its own weights. Weights decay forward (later plays weigh more), so old neighbours
    become the weakest by themselves and nothing has to be swept.
    """
    wanted = np.int32(track + 1)
    at = _slot(ids, row, wanted)
    if at >= 0:
        first[row, at] += by_first
        second[row, at] += by_second
        return at
    end = ids.shape[1] - 1
    if ids[row, end] != 0:
        at = _weakest(first, second, row)
    else:
        at = 0
        while ids[row, at] != 0:
            at += 1
    first[row, at] = by_first
    second[row, at] = by_second
    ids[row, at] = wanted
    return at


@compiled
def strengthen(ids: Array, weights: Array, row: int, track: int, weight: float) -> None:
    """Add weight to one neighbour of a row with one weight a slot; the same rule."""
    wanted = np.int32(track + 1)
    weakest = 0
    least = weights[row, 0]
    for k in range(ids.shape[1]):
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
