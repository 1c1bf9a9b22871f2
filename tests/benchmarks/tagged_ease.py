"""EASE (:mod:`batch.training.ease`) that also knows tags.

Side information enters as further rows of ``X`` (Jeunen et al., Closed-form models for
collaborative filtering with side-information, 2020): a tag is one more listener who likes the items
that bear it, ``a`` times over, so ``X'X`` becomes ``X'X + a T T'`` with one row of ``T`` an item.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from batch.training.ease import weights


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
        Regularisation.
    tags
        Shape ``(items, tags)``, rows of length 1 or empty; ``None`` for listens alone.
    tag_share
        Weight ``a`` of the tags.
    """
    gram = (listens.T @ listens).toarray().astype(np.float64)
    if tags is not None:
        gram += tag_share * (tags @ tags.T).toarray()
    return weights(gram, ridge)
