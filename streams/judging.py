"""How good the model is on the live stream: for the heartbeat, and kept over time."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from contracts.quality_history import EVERY, QualityHistory, QualityPoint
from online_model import Recommender
from online_model.health import figures

log = logging.getLogger(__name__)

#: How often the model is judged (seconds).
_JUDGE_SECONDS = 10.0


class Judge:
    """Looks at the model's rolling quality every ten seconds and keeps a point a minute.

    Parameters
    ----------
    path
        Where the history is kept.
    """

    def __init__(self, model: Recommender, path: Path) -> None:
        self._model = model
        self._history = QualityHistory(path)
        self._looked_at = time.monotonic()
        self._kept_at = -EVERY
        self._kept_trials = -1

    async def look(self) -> dict[str, float]:
        """Return gauges for the heartbeat, ``quality_...``; empty when it is too early."""
        now = time.monotonic()
        if now - self._looked_at < _JUDGE_SECONDS:
            return {}
        # In a thread: the arrays are only read, and the plays need not wait for it.
        report = await asyncio.to_thread(self._model.health)
        self._looked_at = time.monotonic()
        trials = report["counters"]["trials"]
        if trials != self._kept_trials and trials and now - self._kept_at >= EVERY:
            await asyncio.to_thread(self._keep, report)
            self._kept_at, self._kept_trials = now, trials
        return {f"quality_{name}": value for name, value in figures(report).items()}

    def _keep(self, report: dict[str, Any]) -> None:
        try:
            self._history.add(point_of(report, self._model.generation))
        except OSError as error:  # a full disk: plays are learned all the same
            log.warning(
                "the history of the model's quality misses a point; learning continues: %s", error
            )


def point_of(report: dict[str, Any], generation: int) -> QualityPoint:
    """Return the point of a report of :func:`online_model.health.health`, as of now."""
    every, new, popularity = report["all"], report["new"], report["popularity"]
    return QualityPoint(
        at=int(time.time() * 1000),
        generation=generation,
        plays=report["counters"]["plays"],
        trials=every["events"],
        all=every["hr@10"],
        new=new["hr@10"],
        popularity=popularity["hr@10"],
        all_ndcg=every["ndcg@10"],
        new_ndcg=new["ndcg@10"],
        popularity_ndcg=popularity["ndcg@10"],
        coverage=report["coverage@10"],
        novelty=report["novelty@10"],
        drift=report["drift"]["found"],
    )
