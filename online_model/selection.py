"""Find a threshold without sorting."""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.state import Array


@inner
def nth_largest(values: Array, n: int, nth: int) -> np.float32:
    """Return the nth largest of the first n values, reordering them (Hoare's selection)."""
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
    return np.float32(values[k])
