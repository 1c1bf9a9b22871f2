"""A bounded neighbour table cut from item-to-item weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

#: Slots of a track. Measured on HetRec: see tests/batch/test_training.py.
SLOTS = 128
#: Rows looked at together: where every weight ties, as many as these are held once more.
BLOCK = 1024


@dataclass(frozen=True, slots=True)
class TrainedNeighbours:
    """Row ``i`` leads from item ``i`` to ``targets[i]`` with ``weights[i]``; -1 is no target.

    Shapes ``(items, slots)``, int32 and float32.
    """

    targets: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]

    def matrix(self) -> sparse.csr_matrix:
        """Return the table as a sparse (items x items) matrix."""
        items, slots = self.targets.shape
        filled = self.targets >= 0
        rows = np.repeat(np.arange(items), slots).reshape(items, slots)
        return sparse.csr_matrix(
            (self.weights[filled], (rows[filled], self.targets[filled])), shape=(items, items)
        )


def largest(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Return the columns of the ``count`` largest scores of each row, largest first.

    Shape ``(rows, count)``; of equal scores the lower column comes first. Finding the least score
    that is in, and then everything above it, takes a third of the time of ``argpartition``.
    """
    place = scores.shape[1] - count
    least = np.partition(scores, place, axis=1)[:, place]
    rows, columns = np.nonzero(scores >= least[:, None])
    order = np.lexsort((columns, -scores[rows, columns], rows))
    begin = np.searchsorted(rows, np.arange(len(scores)))
    first = np.arange(len(rows)) - begin[rows] < count
    return columns[order][first].reshape(len(scores), count)


def strongest(
    weights: npt.NDArray[np.float32], items: npt.NDArray[np.intp], total: int, slots: int = SLOTS
) -> TrainedNeighbours:
    """Keep the strongest ``slots`` weights of each row, by magnitude; negative ones matter too.

    Parameters
    ----------
    weights
        Shape ``(len(items), len(items))``; the diagonal is ignored.
    items
        Item number of each row and column.
    total
        Items in all: those without a row get empty slots.
    """
    slots = min(slots, max(1, len(items) - 1))
    targets = np.full((total, slots), -1, np.int32)
    kept = np.zeros((total, slots), np.float32)
    if len(items) < 2:
        return TrainedNeighbours(targets, kept)
    for start in range(0, len(items), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(items)))
        strength = np.abs(weights[rows])
        strength[np.arange(len(rows)), rows] = -1.0
        chosen = largest(strength, slots)
        values = np.take_along_axis(weights[rows], chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        targets[items[rows]] = items[np.take_along_axis(chosen, order, axis=1)]
        kept[items[rows]] = np.take_along_axis(values, order, axis=1)
    return TrainedNeighbours(targets, kept)
