"""Ranking metrics over prequential ranks, with confidence intervals that respect listeners."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.int64]
METRICS = ("hr@1", "hr@10", "ndcg@10", "mrr@10")


def gains(ranks: Ranks, metric: str) -> npt.NDArray[np.float64]:
    """Return what each event contributes to a metric, shape (n,).

    One item is relevant per event, so NDCG is ``1 / log2(rank + 1)`` (Järvelin and Kekäläinen
    2002) and MRR ``1 / rank``, both 0 below the tenth place.

    Examples
    --------
    >>> ranks = np.array([1, 3, 11])
    >>> gains(ranks, "hr@10").tolist(), gains(ranks, "ndcg@10").tolist()
    ([1.0, 1.0, 0.0], [1.0, 0.5, 0.0])
    """
    name, _, cut = metric.partition("@")
    inside = ranks <= int(cut)
    rank = np.maximum(ranks, 1).astype(np.float64)
    if name == "ndcg":
        return np.where(inside, 1.0 / np.log2(rank + 1.0), 0.0)
    if name == "mrr":
        return np.where(inside, 1.0 / rank, 0.0)
    return inside.astype(np.float64)


def summarise(ranks: Ranks) -> dict[str, float]:
    """Return the mean of every metric; all 0 for no events.

    Examples
    --------
    >>> summarise(np.array([1, 2, 50]))["hr@10"]
    0.6667
    """
    if not len(ranks):
        return dict.fromkeys(METRICS, 0.0)
    return {metric: round(float(gains(ranks, metric).mean()), 4) for metric in METRICS}


def intervals(ranks: Ranks, users: Ranks) -> dict[str, tuple[float, float]]:
    """Return the 95% interval of every metric.

    Events of one listener are not independent, so the standard error is taken over listeners
    (cluster-robust, Liang and Zeger 1986): ``sqrt(sum_u (sum_k (x_uk - mean))^2) / n``.

    Examples
    --------
    The same 100 plays, of 100 listeners and of 4:

    >>> ranks = np.where(np.arange(100) % 4 == 0, 1, 20)
    >>> intervals(ranks, np.arange(100))["hr@1"], intervals(ranks, np.arange(100) % 4)["hr@1"]
    ((0.1651, 0.3349), (0.0, 0.6744))
    """
    out = {}
    for metric in METRICS:
        if not len(ranks):
            out[metric] = (0.0, 0.0)
            continue
        x = gains(ranks, metric)
        mean = float(x.mean())
        totals = np.bincount(users, weights=x - mean)
        half = 1.96 * float(np.sqrt(np.square(totals).sum())) / len(x)
        out[metric] = (round(max(0.0, mean - half), 4), round(min(1.0, mean + half), 4))
    return out
