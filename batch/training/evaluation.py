"""How good a ranking is: held-out tracks among all tracks the listener did not have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse

#: Scores held at once: 20 million are 80 MB.
BLOCK_SCORES = 20_000_000

Scores = Callable[[sparse.csr_matrix], npt.NDArray[np.float32]]


def ranks(
    score: Scores, history: sparse.csr_matrix, test: sparse.csr_matrix
) -> npt.NDArray[np.int64]:
    """Return the rank (from 1) of each held-out pair.

    What the listener already had is taken out of the list. Ties count against the model, and a
    track nobody had in the training part cannot be found: its rank is the number of tracks.

    Parameters
    ----------
    score
        Histories (listeners x tracks) to scores of the same shape.
    """
    block = max(1, min(256, BLOCK_SCORES // max(1, test.shape[1])))
    known = np.asarray((history > 0).sum(axis=0)).ravel() > 0
    found: list[int] = []
    listeners = np.flatnonzero(np.diff(test.indptr))
    for start in range(0, len(listeners), block):
        chosen = listeners[start : start + block]
        scores = score(history[chosen])
        for row, listener in enumerate(chosen):
            line = scores[row]
            line[history[listener].indices] = -np.inf
            for item in test[listener].indices:
                rank = int((line >= line[item]).sum()) if known[item] else test.shape[1]
                found.append(max(1, rank))
    return np.asarray(found, np.int64)


def metrics(found: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return ``hr@10``, ``ndcg@10`` and ``mrr@10`` of ranks; zeros where there are none."""
    if not len(found):
        return {"hr@10": 0.0, "ndcg@10": 0.0, "mrr@10": 0.0}
    top = found <= 10
    return {
        "hr@10": float(top.mean()),
        "ndcg@10": float((top / np.log2(found + 1)).mean()),
        "mrr@10": float((top / found).mean()),
    }


def popularity(history: sparse.csr_matrix) -> Scores:
    """Return the model that ranks by number of listeners: what any other has to beat."""
    counts = np.asarray((history > 0).sum(axis=0), np.float32).ravel()
    return lambda rows: np.tile(counts, (rows.shape[0], 1))


def linear(weights: sparse.csr_matrix) -> Scores:
    """Return the model that sums item-to-item weights over a history."""
    return lambda rows: np.asarray((rows @ weights).todense(), np.float32)
