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
#: Items whose weights are worked out at once: bounds memory at ``BLOCK * items * 4`` bytes.
BLOCK = 1024


def fit(
    matrix: sparse.csr_matrix,
    *,
    factors: int = FACTORS,
    regularisation: float = 5.0,
    alpha: float = 2.0,
    iterations: int = 15,
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
    model.fit(matrix, show_progress=False)
    items = np.asarray(model.item_factors, np.float32)
    gram = items.T @ items + regularisation * np.eye(items.shape[1], dtype=np.float32)
    folded = np.linalg.solve(gram, items.T)
    total = len(items)
    slots = min(slots, max(1, total - 1))
    targets = np.full((total, slots), -1, np.int32)
    weights = np.zeros((total, slots), np.float32)
    for start in range(0, total, BLOCK):
        rows = np.arange(start, min(start + BLOCK, total))
        scores = items[rows] @ folded
        scores[np.arange(len(rows)), rows] = -np.inf
        chosen = np.argpartition(-scores, slots - 1, axis=1)[:, :slots]
        values = np.take_along_axis(scores, chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        targets[rows] = np.take_along_axis(chosen, order, axis=1)
        weights[rows] = np.take_along_axis(values, order, axis=1)
    targets[~np.isfinite(weights)] = -1
    weights[~np.isfinite(weights)] = 0.0
    return Neighbours(targets, weights)
