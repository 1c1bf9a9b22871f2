"""The two neighbour tables that others fill: the nightly batch view, and content.

A view comes with its own numbering and is mapped to the model's rows by track key. A row keeps as
many neighbours as the model has slots, the strongest first; what the model does not know is left
out. The whole table is replaced at once: tracks the view does not mention lose their row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from contracts.batch_view import BatchView
from online_model.state import FREE_TRACKS, TRACKS, Array, State

_FULL = 0.9  # no tracks are added ahead of their first play beyond this share of the rows


def fill_table(ids: Array, weights: Array, rows: npt.NDArray[np.int32], view: BatchView) -> int:
    """Replace a table by a view; return how many tracks have neighbours now.

    Parameters
    ----------
    ids, weights
        The table, i32 and f32, shape (tracks, slots).
    rows
        The model's row of each track of the view, -1 where unknown, shape (n,).
    """
    known = np.flatnonzero(rows >= 0)
    to = view.neighbours[known]
    target = np.where(to >= 0, rows[np.maximum(to, 0)], -1)
    weight = np.where(target >= 0, view.weights[known], 0.0).astype(np.float32)
    target[~(np.isfinite(weight) & (weight > 0.0)) | (target == rows[known, None])] = -1
    weight[target < 0] = 0.0
    order = np.argsort(-weight, axis=1, kind="stable")[:, : ids.shape[1]]
    target = np.take_along_axis(target, order, axis=1)
    weight = np.take_along_axis(weight, order, axis=1)
    width = target.shape[1]
    # Readers stop at the first empty slot: they see an empty row, never one of mixed generations.
    used = int(np.flatnonzero(ids[:, 0])[-1]) + 1 if ids[:, 0].any() else 0
    ids[:used] = 0
    weights[:used] = 0.0
    weights[rows[known], :width] = weight
    ids[rows[known], :width] = target + 1
    return int((target[:, 0] >= 0).sum()) if width else 0


def room_for_unheard(state: State) -> int:
    """Return how many tracks may be added that nobody has played.

    They never evict a track that was played: once all rows were in use, none is added.
    """
    if state.counters[FREE_TRACKS] > 0:
        return 0
    return max(0, int(_FULL * len(state.track_key)) - int(state.counters[TRACKS]))
