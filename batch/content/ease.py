"""EASE, and EASE that also knows tags.

EASE (Steck, Embarrassingly Shallow Autoencoders, 2019) is the item-item matrix ``B`` of zero
diagonal that minimises ``|X - XB|^2 + l |B|^2``: with ``P = (X'X + l I)^-1``,
``B_ij = -P_ij / P_jj``. Side information enters as further rows of ``X`` (Jeunen et al.,
Closed-form models for collaborative filtering with side-information, 2020): a tag is one more
listener who likes the items that bear it, ``a`` times over, so ``X'X`` becomes
``X'X + a T T'`` with one row of ``T`` an item.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse


def ease(
    listens: sparse.csr_matrix,
    ridge: float = 100.0,
    tags: sparse.csr_matrix | None = None,
    tag_share: float = 20.0,
) -> npt.NDArray[np.float32]:
    """Return the item-item weights, shape ``(items, items)``.

    Parameters
    ----------
    listens
        Shape ``(listeners, items)``, 1 where heard.
    ridge
        Regularisation ``l``.
    tags
        Shape ``(items, tags)``, rows of length 1 or empty; ``None`` for listens alone.
    tag_share
        Weight ``a`` of the tags.
    """
    gram = (listens.T @ listens).toarray().astype(np.float32)
    if tags is not None:
        gram += np.float32(tag_share) * (tags @ tags.T).toarray().astype(np.float32)
    diagonal = np.diag_indices(len(gram))
    gram[diagonal] += np.float32(ridge)
    # Single precision: the ridge keeps the matrix well conditioned, and half the memory counts.
    factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    inverse = linalg.cho_solve(
        factor, np.eye(len(gram), dtype=np.float32), overwrite_b=True, check_finite=False
    )
    weights: npt.NDArray[np.float32] = inverse / -np.diag(inverse)
    weights[diagonal] = 0
    return weights
