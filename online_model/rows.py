"""Rows of an array: the next unused one, or one that was given back."""

from __future__ import annotations

from online_model._numba import inner
from online_model.state import Array


@inner
def take_row(counters: Array, free: Array, waiting: int, used: int) -> int:
    """Return a row for a new entry, or -1 when all rows are taken.

    Parameters
    ----------
    free
        Rows that were given back; as long as the array has rows.
    waiting, used
        Places in ``counters``: how many entries of ``free`` wait, and how many rows were ever used.
    """
    count = counters[waiting]
    if count > 0:
        counters[waiting] = count - 1
        return int(free[count - 1])
    row = counters[used]
    if row >= free.shape[0]:
        return -1
    counters[used] = row + 1
    return int(row)


@inner
def give_row(counters: Array, free: Array, waiting: int, row: int) -> None:
    """Free a row so that :func:`take_row` can return it again; it has the same parameters."""
    free[counters[waiting]] = row
    counters[waiting] += 1
