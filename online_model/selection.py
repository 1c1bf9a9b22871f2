"""Find a threshold without sorting."""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.state import Array

BUCKETS = 256
_FEW = 48
_LAST = np.int32(BUCKETS - 1)
_SIGN = np.int32(31)
_REST = np.int32(0x7FFFFFFF)


@inner
def nth_largest(values: Array, n: int, nth: int, counts: Array) -> tuple[np.float32, int]:
    """Return the nth largest of the first ``n`` values, and how many are larger.

    The values are counted by buckets of equal width, and only those of one bucket are compared with
    each other: comparisons that the processor cannot predict cost more than anything else here.

    Parameters
    ----------
    values
        f32; the first ``n`` entries are used up.
    nth
        From 1 to ``n``.
    counts
        Working memory, i32, shape (BUCKETS,).
    """
    if n <= _FEW:
        return _nth_of_few(values, n, nth)
    low, high = _range(values, n)
    scale = np.float32(BUCKETS) / (high - low)
    if not (high > low and scale < np.float32(1e30)):
        return _nth_of_few(values, n, nth)
    for b in range(BUCKETS):
        counts[b] = 0
    for k in range(n):
        counts[_bucket(values[k], low, scale)] += 1
    larger, wanted = 0, BUCKETS - 1
    while wanted > 0 and larger + counts[wanted] < nth:
        larger += counts[wanted]
        wanted -= 1
    few = 0
    for k in range(n):
        value = values[k]
        values[few] = value
        few += _bucket(value, low, scale) == wanted
    cut, above = _nth_of_few(values, few, nth - larger)
    return cut, larger + above


@inner
def _bucket(value: np.float32, low: np.float32, scale: np.float32) -> np.int32:
    """Return the bucket of a value: larger values are in the same one or in a later one."""
    return min(max(np.int32((value - low) * scale), np.int32(0)), _LAST)


@inner
def _range(values: Array, n: int) -> tuple[np.float32, np.float32]:
    """Return the least and the largest value.

    Compared as integers of the same order, because floats are not compared in vectors: NaN has no
    place in their order.
    """
    low, high = np.int32(_REST), np.int32(-_REST)
    for k in range(n):
        bits = np.float32(values[k]).view(np.int32)
        ordered = np.int32(bits ^ ((bits >> _SIGN) & _REST))
        low, high = min(low, ordered), max(high, ordered)
    least = np.int32(low ^ ((low >> _SIGN) & _REST)).view(np.float32)
    return least, np.int32(high ^ ((high >> _SIGN) & _REST)).view(np.float32)


@inner
def _nth_of_few(values: Array, n: int, nth: int) -> tuple[np.float32, int]:
    """Return what :func:`nth_largest` does (Hoare's selection)."""
    low, high = 0, n - 1
    k = nth - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    cut = np.float32(values[k])
    above = 0
    for q in range(n):
        above += values[q] > cut
    return cut, above
