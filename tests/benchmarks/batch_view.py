"""What the nightly model is worth to the online one: prequential quality with its table, without.

The file is played twice. The second time the batch model is fitted from scratch at some moments,
each time on the plays before the moment, and handed over as the learner would. Only plays after the
first hand-over count.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from batch import retrain
from batch.training.interactions import RatedTracks as Pairs
from contracts.batch_view import BatchView, Manifest
from online_model import LearnStats, ModelConfig, Recommender, evaluation
from online_model.interactions import Interactions, read_interactions


def view_of(data: Interactions, until: int) -> BatchView:
    """Return the batch model of the first ``until`` events."""
    users, items, seconds = data.users[:until], data.items[:until], data.seconds[:until]
    pairs: Pairs = retrain._distinct(users, items, seconds, int(data.items.max()) + 1)
    fitted = retrain._fit(pairs.matrix())
    keys = evaluation._keys(np.arange(pairs.shape[1]))
    manifest = Manifest(
        generation=until,
        algorithm=fitted.algorithm,
        trained_at="",
        lake_version=None,
        plays_until=int(seconds.max()) * 1000,
        listeners=pairs.shape[0],
        tracks=pairs.shape[1],
        metrics={},
    )
    assert (np.diff(keys.astype(object)) > 0).all(), "a view's keys ascend"
    return BatchView(keys, fitted.table.targets, fitted.table.weights, manifest)


def handed_over(data: Interactions, nights: list[int]) -> type[Recommender]:
    """Return a recommender that is given the batch model after each of these many plays."""

    class HandedOver(Recommender):
        heard = 0

        def learn_plays(self, *plays: Any, **more: Any) -> LearnStats:
            found = super().learn_plays(*plays, **more)
            if len(self.state.track_key) > 1000:  # not the one that only warms up
                self.heard += 1
                if self.heard in nights:
                    self.set_batch_table(view_of(data, self.heard))
            return found

    return HandedOver


def run(file: Path, limit: int = 20_000, nights: int = 4) -> dict[str, Any]:
    """Measure the quality of the recommender with the nightly model's table and without.

    Parameters
    ----------
    file
        Interactions, parquet or csv.
    limit
        Plays of it.
    nights
        How often the batch model is fitted.
    """
    data = read_interactions(file, limit=limit)
    first = len(data) // 4
    fitted = [first + i * (len(data) - first) // nights for i in range(nights)]
    after = np.arange(len(data)) >= first
    new = evaluation.first_time(data) & after
    config = evaluation._roomy(ModelConfig(), data)
    evaluation.warm_up()
    out: dict[str, Any] = {"events": len(data), "compared": int(after.sum()), "nights": fitted}
    for name, model in {"without": Recommender, "with": handed_over(data, fitted)}.items():
        setattr(evaluation, "Recommender", model)  # noqa: B010  it is not the evaluation's own
        ranks, _ = evaluation.run_model(data, config, lambda *_: None)
        out[name] = {
            "all": _quality(ranks.all[after]),
            "new": _quality(ranks.new[new]),
            "rank_us_p50": round(float(np.median(ranks.rank_ns[after])) / 1e3, 1),
        }
    return out


def _quality(ranks: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, float]:
    found = ranks[(ranks > 0) & (ranks <= 10)]
    return {
        "hr@10": round(len(found) / len(ranks), 4),
        "mrr@10": round(float((1 / found).sum()) / len(ranks), 4),
    }
