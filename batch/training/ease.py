"""EASE: the best linear item-to-item model in closed form, for up to about ten thousand tracks.

With the Gram matrix :math:`G = X^T X + \\lambda I` and :math:`P = G^{-1}`, the weights are
:math:`B_{ij} = -P_{ij} / P_{jj}` and :math:`B_{jj} = 0`.

H. Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from batch.training.neighbours import SLOTS, TrainedNeighbours, strongest

#: Chosen on HetRec, where 100 and 300 differ by less than noise.
REGULARISATION = 100.0
#: A track of fewer listeners teaches nothing and costs a row.
FEWEST_LISTENERS = 3


def kept_items(matrix: sparse.csr_matrix) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the items that enough listeners played, ascending."""
    listeners = np.asarray((matrix > 0).sum(axis=0)).ravel()
    return np.flatnonzero(listeners >= FEWEST_LISTENERS)


def fit(
    matrix: sparse.csr_matrix, *, regularisation: float = REGULARISATION, slots: int = SLOTS
) -> TrainedNeighbours:
    """Return the neighbour table of a (listeners x tracks) matrix.

    Takes O(n^3) time and 8 n^2 bytes for the n kept items: 15 s and 160 MB for 4,500.
    """
    items = kept_items(matrix)
    if len(items) < 2:
        return strongest(np.zeros((len(items), len(items)), np.float32), items, matrix.shape[1])
    kept = matrix[:, items]
    gram = (kept.T @ kept).toarray().astype(np.float64)
    return strongest(weights(gram, regularisation), items, matrix.shape[1], slots)


def weights(
    gram: npt.NDArray[np.float64], regularisation: float = REGULARISATION
) -> npt.NDArray[np.float32]:
    """Return the item-to-item weights of a Gram matrix, which is used up; shape ``(n, n)``."""
    gram[np.diag_indices_from(gram)] += regularisation
    # Symmetric and positive: Cholesky takes half the time of a general inverse.
    factor, info = linalg.lapack.dpotrf(gram, lower=1, overwrite_a=1)
    assert info == 0, "the Gram matrix plus a positive diagonal is positive definite"
    inverse, info = linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)
    assert info == 0
    upper = np.triu_indices_from(inverse, 1)
    inverse[upper] = inverse.T[upper]
    scale = np.diag(inverse).copy()
    found: npt.NDArray[np.float32] = (inverse / -scale).astype(np.float32)
    np.fill_diagonal(found, 0.0)
    return found
