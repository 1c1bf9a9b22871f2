"""Trade some of a list's relevance for variety: maximal marginal relevance.

Each place goes to the track with the highest ``(1 - d) * relevance - d * likeness``, where likeness
is that to the most alike track above it (Carbonell and Goldstein, SIGIR 1998). Relevance is the
score, scaled to 0..1 over the candidates. The likeness of two tracks is 1 if they have the same
artist, otherwise the cosine of how often they share a session or a listener. A few plays are added
to its denominator, so that one evening of one listener does not make two tracks alike.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from online_model.state import N_SESSION, N_TASTE, State, weight_now

Matrix = npt.NDArray[np.float64]

#: Plays of today added to the denominator: likeness from fewer plays counts less than half.
SHRINKAGE = 5.0


def spread(
    state: State,
    indices: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    k: int,
    d: float,
) -> npt.NDArray[np.int64]:
    """Return the order in which to show tracks: ``k`` chosen for variety, then the others.

    Parameters
    ----------
    indices, scores
        Track rows and scores, highest first, shape (n,).
    d
        0 keeps the order, 1 looks at variety alone after the first track.
    """
    n = len(indices)
    if d <= 0.0 or n < 3:
        return np.arange(n)
    relevance = np.asarray(scores, np.float64)
    width = float(relevance[0] - relevance[-1])
    relevance = (relevance - relevance[-1]) / width if width > 0.0 else np.ones(n)
    like = likeness(state, indices)
    value = (1.0 - d) * relevance
    nearest = np.zeros(n)
    left = np.ones(n, np.bool_)
    order = []
    for _ in range(min(k, n)):
        # Equal values go by the order of the scores: argmax takes the first.
        best = int(np.argmax(np.where(left, value - d * nearest, -np.inf)))
        order.append(best)
        left[best] = False
        nearest = np.maximum(nearest, like[best])
    return np.concatenate([np.array(order, np.int64), np.flatnonzero(left)])


def likeness(state: State, indices: npt.NDArray[np.int32]) -> Matrix:
    """Return how alike tracks are, 0 to 1, shape (n, n)."""
    n = len(indices)
    place = np.full(int(indices.max(initial=0)) + 2, -1, np.int64)
    place[indices + 1] = np.arange(n)
    ids = state.pair_ids[indices]
    at = np.where(ids < len(place), place[np.minimum(ids, len(place) - 1)], -1)
    rows, slots = np.nonzero(at >= 0)
    like = np.zeros((n, n))
    prior = SHRINKAGE * weight_now(state)
    for weights, norm in ((state.pair_session, N_SESSION), (state.pair_taste, N_TASTE)):
        own = np.sqrt(state.facts[indices, norm].astype(np.float64))
        cosine = np.zeros((n, n))
        cosine[rows, at[rows, slots]] = weights[indices][rows, slots]
        cosine /= own[:, None] * own[None, :] + prior
        like = np.maximum(like, np.maximum(cosine, cosine.T))
    artists = state.artist[indices]
    like[(artists[:, None] == artists[None, :]) & (artists[:, None] != 0)] = 1.0
    return np.clip(np.nan_to_num(like), 0.0, 1.0)
