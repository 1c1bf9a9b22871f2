"""Evaluation over several starts of the ranker: what a figure is worth, not how lucky one start is.

The ranker's weights start at random. Two starts on the same plays differ by more than many a change
to the model buys, so a difference below the spread over starts is no gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from online_model.config import ModelConfig
from online_model.evaluation import Progress, evaluate
from online_model.interactions import Interactions

_PARTS = ("all", "new", "unplayed")


def evaluate_seeds(
    data: Interactions,
    seeds: int,
    *,
    config: ModelConfig | None = None,
    baselines: Sequence[str] = (),
    progress: Progress | None = None,
    whole_artists: bool = False,
) -> dict[str, Any]:
    """Evaluate once for each of the seeds 1, 2, ..., and report means and spreads.

    Parameters
    ----------
    seeds
        How many, at least 1.
    config, baselines, progress, whole_artists
        As in :func:`online_model.evaluation.evaluate`; baselines have no seed and run once.

    Returns
    -------
    dict
        The object of :func:`~online_model.evaluation.evaluate` for seed 1, in which ``all`` and
        ``new`` hold means over the seeds, and ``seeds`` what they are means of: ``count``, and by
        part and figure ``spread`` (standard deviation, 0 for one seed) and ``each``.
    """
    return combined(
        [
            evaluate(
                data,
                config=msgspec.structs.replace(config or ModelConfig(), seed=seed),
                baselines=baselines if seed == 1 else (),
                progress=_named(progress, seed) if seeds > 1 else progress,
                whole_artists=whole_artists,
            )
            for seed in range(1, seeds + 1)
        ]
    )


def combined(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first result with means over all of them, and the spreads.

    Examples
    --------
    >>> one, two = ({"all": {"hr@10": x}, "new": {"hr@10": 0.2}} for x in (0.38, 0.36))
    >>> both = combined([one, two])
    >>> both["all"], both["seeds"]["spread"]["all"]
    ({'hr@10': 0.37}, {'hr@10': 0.0141})
    """
    out = dict(results[0])
    spread: dict[str, dict[str, float]] = {}
    each: dict[str, dict[str, list[float]]] = {}
    for part in (part for part in _PARTS if part in out):
        each[part] = {name: [result[part][name] for result in results] for name in out[part]}
        out[part] = {name: _mean(values) for name, values in each[part].items()}
        spread[part] = {name: _deviation(values) for name, values in each[part].items()}
    out["seeds"] = {"count": len(results), "spread": spread, "each": each}
    return out


def _mean(values: list[float]) -> float:
    return round(float(np.mean(values)), 4)


def _deviation(values: list[float]) -> float:
    return round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else 0.0


def _named(progress: Progress | None, seed: int) -> Progress | None:
    if progress is None:
        return None

    def report(done: int, total: int, name: str) -> None:
        progress(done, total, f"{name}, seed {seed}" if name == "segue" else name)

    return report
