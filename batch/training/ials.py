"""Implicit ALS for catalogues too large for EASE, turned into the same neighbour table.

With item factors Y, a listener's factors are folded in as :math:`(Y^T Y + \\lambda I)^{-1} Y^T x`,
so the scores are :math:`x^T W` with :math:`W = Y (Y^T Y + \\lambda I)^{-1} Y^T`: item-to-item
weights, of which each row keeps its strongest.

Y. Hu, Y. Koren, C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from batch.training.neighbours import SLOTS, Neighbours

FACTORS = 64
#: Tracks that get neighbours, those of most listeners: the work grows with their square. The
#: long tail is left to the online tables, which see every play anyway.
MOST_TRACKS = 30_000
#: A track of fewer listeners teaches nothing.
FEWEST_LISTENERS = 3
#: Items whose weights are worked out at once: bounds memory at ``BLOCK * items * 4`` bytes.
BLOCK = 1024


def fit(
    matrix: sparse.csr_matrix,
    *,
    factors: int = FACTORS,
    regularisation: float = 5.0,
    alpha: float = 2.0,
    iterations: int = 10,
    slots: int = SLOTS,
) -> Neighbours:
    """Return the neighbour table of a (listeners x tracks) matrix."""
    from implicit.als import AlternatingLeastSquares  # loads a compiled library: only when needed

    model = AlternatingLeastSquares(
        factors=factors,
        regularization=regularisation,
        alpha=alpha,
        iterations=iterations,
        random_state=1,
        use_gpu=False,
    )
    listeners = np.asarray((matrix > 0).sum(axis=0)).ravel()
    kept = np.argsort(-listeners, kind="stable")[:MOST_TRACKS]
    kept = np.sort(kept[listeners[kept] >= FEWEST_LISTENERS])
    targets = np.full((matrix.shape[1], slots), -1, np.int32)
    weights = np.zeros((matrix.shape[1], slots), np.float32)
    if len(kept) < 2:
        return Neighbours(targets, weights)
    model.fit(sparse.csr_matrix(matrix[:, kept]), show_progress=False)
    items = np.asarray(model.item_factors, np.float32)
    gram = items.T @ items + regularisation * np.eye(items.shape[1], dtype=np.float32)
    folded = np.linalg.solve(gram, items.T)
    filled = min(slots, len(kept) - 1)
    for start in range(0, len(kept), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(kept)))
        scores = items[rows] @ folded
        scores[np.arange(len(rows)), rows] = -np.inf
        chosen = np.argpartition(-scores, filled - 1, axis=1)[:, :filled]
        values = np.take_along_axis(scores, chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        targets[kept[rows], :filled] = kept[np.take_along_axis(chosen, order, axis=1)]
        weights[kept[rows], :filled] = np.take_along_axis(values, order, axis=1)
    return Neighbours(targets, weights)
