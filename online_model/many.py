"""Lists for many listeners at once, straight from what the feature store holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from online_model.features import FEATURES
from online_model.scratch import Scratch
from online_model.serving import serve_blobs
from online_model.state import Array, State


class Lists(NamedTuple):
    """Lists of several listeners, in the order asked, padded to the longest allowed.

    Attributes
    ----------
    counts
        Tracks in each list, i64, shape (n,).
    known
        Plays of each window the model knows, i64, shape (n,): 0 is a stranger to it.
    indices, scores, features
        As in :class:`online_model.Ranking`; shapes (n, k), (n, k), (n, k, F).
    """

    counts: Array
    known: Array
    indices: Array
    scores: Array
    features: Array


def new_lists(n: int, k: int) -> Lists:
    """Return room for ``n`` lists of up to ``k`` tracks."""
    return Lists(
        counts=np.zeros(n, np.int64),
        known=np.zeros(n, np.int64),
        indices=np.zeros((n, k), np.int32),
        scores=np.zeros((n, k), np.float32),
        features=np.zeros((n, k, FEATURES), np.float32),
    )


def rank_blobs(
    state: State,
    scratch: Scratch,
    blobs: Sequence[bytes],
    lengths: Sequence[int],
    discover: Sequence[bool],
    now: int,
) -> Lists:
    """Return the lists; see :meth:`online_model.Recommender.recommend_blobs`."""
    longest = max(lengths, default=0)
    lists = new_lists(len(blobs), longest)
    serve_blobs(
        state,
        scratch,
        np.frombuffer(b"".join(blobs), np.uint8),
        np.cumsum([len(blob) for blob in blobs], dtype=np.int64),
        now,
        np.array(discover, np.int64),
        np.array(lengths, np.int64),
        np.zeros((2, longest), np.int64),
        *lists,
    )
    return lists
