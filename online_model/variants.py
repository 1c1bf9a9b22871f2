"""The same model with other neighbour tables, for lists that are compared with the usual ones."""

from __future__ import annotations

import numpy as np

from contracts.batch_view import BatchView
from online_model.outside import fill_table
from online_model.recommender import Recommender
from online_model.state import Array

#: The table that the model has.
SAME = object()


def other_tables(
    model: Recommender, *, batch: BatchView | object | None = SAME, content: bool = True
) -> Recommender:
    """Return a reader of a model's arrays with other tables of its own.

    It sees what the model learns, and has working memory of its own. Tracks that the model meets
    later have no row in a table made from a view.

    Parameters
    ----------
    batch
        What the table of the nightly model holds; ``None``: nothing.
    content
        ``False``: the table of content holds nothing.
    """
    state = model.state
    if batch is not SAME:
        ids, weights = _empty(state.batch_ids), _empty(state.batch_weights)
        if isinstance(batch, BatchView):
            fill_table(ids, weights, model.lookup(batch.keys), batch)
        state = state._replace(batch_ids=ids, batch_weights=weights)
    if not content:
        state = state._replace(
            content_ids=_empty(state.content_ids), content_weights=_empty(state.content_weights)
        )
    return Recommender(model.settings, state)


def _empty(like: Array) -> Array:
    """Return a table without rows; its pages take no memory before they are written."""
    return np.zeros(like.shape, like.dtype)
