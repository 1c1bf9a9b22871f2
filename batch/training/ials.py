"""Implicit ALS for catalogues too large for EASE, turned into the same neighbour table.

With item factors Y, a listener's factors are folded in as :math:`(Y^T Y + \\lambda I)^{-1} Y^T x`,
so the scores are :math:`x^T W` with :math:`W = Y (Y^T Y + \\lambda I)^{-1} Y^T`: item-to-item
weights, of which each row keeps its strongest.

Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from threadpoolctl import threadpool_limits

from batch.training.neighbours import BLOCK, SLOTS, TrainedNeighbours, largest

FACTORS = 64
REGULARISATION = 5.0
#: Tracks that get neighbours, those of most listeners: the work grows with their square. The
#: long tail is left to the online tables, which see every play anyway.
MOST_TRACKS = 30_000
#: A track of fewer listeners teaches nothing.
FEWEST_LISTENERS = 3


@dataclass(frozen=True, slots=True)
class Factors:
    """Factors of listeners and of the tracks that have neighbours.

    Attributes
    ----------
    kept
        Item number of each row of ``items``, ascending.
    users, items
        Shapes ``(listeners, factors)`` and ``(len(kept), factors)``, float32.
    """

    kept: npt.NDArray[np.intp]
    users: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]


def factorise(
    matrix: sparse.csr_matrix,
    *,
    factors: int = FACTORS,
    regularisation: float = REGULARISATION,
    alpha: float = 2.0,
    iterations: int = 10,
    start: Factors | None = None,
) -> Factors:
    """Return the factors of a (listeners x tracks) matrix.

    Parameters
    ----------
    start
        Factors of a matrix with the same listeners and tracks that differs little: a few
        iterations from there do for ten from nothing.
    """
    from implicit.als import AlternatingLeastSquares  # loads a compiled library: only when needed

    listeners = np.asarray((matrix > 0).sum(axis=0)).ravel()
    kept = np.argsort(-listeners, kind="stable")[:MOST_TRACKS]
    kept = np.sort(kept[listeners[kept] >= FEWEST_LISTENERS])
    if len(kept) < 2:
        nothing = np.zeros((0, factors), np.float32)
        return Factors(kept[:0], nothing, nothing)
    # The solver has threads of its own; those of BLAS beneath them double the processor time.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularisation,
            alpha=alpha,
            iterations=iterations,
            random_state=1,
            use_gpu=False,
        )
        if start is not None and len(start.kept):
            model.user_factors = start.users.copy()
            model.item_factors = np.zeros((len(kept), factors), np.float32)
            _, old, new = np.intersect1d(start.kept, kept, return_indices=True)
            model.item_factors[new] = start.items[old]
        model.fit(sparse.csr_matrix(matrix[:, kept]), show_progress=False)
    return Factors(
        kept,
        np.asarray(model.user_factors, np.float32),
        np.asarray(model.item_factors, np.float32),
    )


def neighbours(
    found: Factors,
    tracks: int,
    *,
    slots: int = SLOTS,
) -> TrainedNeighbours:
    """Return the neighbour table over ``tracks`` tracks that the factors stand for."""
    kept, items = found.kept, found.items
    targets = np.full((tracks, slots), -1, np.int32)
    weights = np.zeros((tracks, slots), np.float32)
    if len(kept) < 2:
        return TrainedNeighbours(targets, weights)
    gram = items.T @ items + REGULARISATION * np.eye(items.shape[1], dtype=np.float32)
    folded = np.linalg.solve(gram, items.T)
    filled = min(slots, len(kept) - 1)
    for start in range(0, len(kept), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(kept)))
        scores = items[rows] @ folded
        scores[np.arange(len(rows)), rows] = -np.inf
        chosen = largest(scores, filled)
        targets[kept[rows], :filled] = kept[chosen]
        weights[kept[rows], :filled] = np.take_along_axis(scores, chosen, axis=1)
    return TrainedNeighbours(targets, weights)


def fit(matrix: sparse.csr_matrix, *, slots: int = SLOTS) -> TrainedNeighbours:
    """Return the neighbour table of a (listeners x tracks) matrix."""
    return neighbours(factorise(matrix), matrix.shape[1], slots=slots)
