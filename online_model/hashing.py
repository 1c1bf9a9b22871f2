"""An open-addressing table from 64-bit keys to row numbers, over two plain arrays.

Linear probing; the length is a power of two. Key 0, which ``contracts.ids`` never gives out, marks
an empty slot. The value is stored before the key, so a reader in another process
that sees a key sees its row; rows are checked against their range by whoever uses them.
"""

from __future__ import annotations

import numpy as np

from online_model._numba import compiled, inner
from online_model.state import Array

_EMPTY = np.uint64(0)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


@inner
def first_slot(key: np.uint64, size: int) -> int:
    """Return where the probe for a key starts (finaliser of SplitMix64, Steele et al. 2014)."""
    z = key
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    z = z ^ (z >> _S31)
    return np.int64(z & np.uint64(size - 1))  # type: ignore[return-value]


@compiled
def find(keys: Array, rows: Array, key: np.uint64) -> int:
    """Return the row of a key, or -1."""
    size = keys.shape[0]
    at = first_slot(key, size)
    for _ in range(size):
        held = keys[at]
        if held == key:
            return int(rows[at])
        if held == _EMPTY:
            return -1
        at = (at + 1) & (size - 1)
    return -1


@compiled
def insert(keys: Array, rows: Array, key: np.uint64, row: int) -> bool:
    """Store a key's row; return whether the key is new. A full table stores nothing new."""
    size = keys.shape[0]
    at = first_slot(key, size)
    for _ in range(size):
        held = keys[at]
        if held == key:
            rows[at] = row
            return False
        if held == _EMPTY:
            rows[at] = row
            keys[at] = key
            return True
        at = (at + 1) & (size - 1)
    return False


@compiled
def remove(keys: Array, rows: Array, key: np.uint64) -> bool:
    """Delete a key; return whether it was there.

    Later entries of the probe move back over the hole (Knuth, TAOCP 3, algorithm 6.4R), so an
    endless stream of insertions and deletions leaves no graves behind.
    """
    size = keys.shape[0]
    mask = size - 1
    hole = first_slot(key, size)
    for _ in range(size):
        if keys[hole] == key:
            break
        if keys[hole] == _EMPTY:
            return False
        hole = (hole + 1) & mask
    else:
        return False
    at = hole
    for _ in range(size):
        at = (at + 1) & mask
        if keys[at] == _EMPTY:
            break
        home = first_slot(keys[at], size)
        if ((at - home) & mask) >= ((at - hole) & mask):
            rows[hole] = rows[at]
            keys[hole] = keys[at]
            hole = at
    keys[hole] = _EMPTY
    return True


@compiled
def find_all(keys: Array, rows: Array, wanted: Array, limit: int, out: Array) -> None:
    """Look many keys up; ``out`` gets the row, or -1 where unknown or not below ``limit``."""
    for q in range(wanted.shape[0]):
        row = find(keys, rows, wanted[q])
        out[q] = row if 0 <= row < limit else -1
