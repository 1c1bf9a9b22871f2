"""The learner's judge: gauges for the heartbeat, a point a minute for the history."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.quality_history import QualityHistory
from streams import judging
from streams.judging import Judge


def report(trials: int) -> dict[str, Any]:
    figures = {"events": trials, "hr@10": 0.2, "ndcg@10": 0.1}
    return {
        "all": figures, "new": figures, "popularity": figures, "coverage@10": 0.4,
        "novelty@10": 9.0, "drift": {"found": False, "trials_ago": None},
        "counters": {"trials": trials, "plays": 10},
    }  # fmt: skip


class Model:
    generation = 3
    trials = 0

    def health(self) -> dict[str, Any]:
        return report(self.trials)


async def test_a_point_a_minute_while_plays_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    now = SimpleNamespace(monotonic=lambda: clock[0], time=lambda: 1_764_150_000.0)
    monkeypatch.setattr(judging, "time", now)
    model = Model()
    path = tmp_path / "quality" / "model.jsonl"
    judge = Judge(model, path)  # type: ignore[arg-type]

    async def look(after: float, trials: int) -> dict[str, float]:
        clock[0] += after
        model.trials = trials
        return await judge.look()

    kept = QualityHistory(path)
    assert await look(1, 0) == {}  # too early
    assert (await look(10, 0))["quality_all_hr@10"] == 0.2
    assert kept.read() == []  # nothing was judged
    await look(10, 5)
    await look(10, 9)  # within the minute
    assert [point.trials for point in kept.read()] == [5]
    await look(60, 12)
    await look(60, 12)  # no play came
    points = kept.read()
    assert [point.trials for point in points] == [5, 12]
    assert (points[0].generation, points[0].plays, points[0].new_ndcg) == (3, 10, 0.1)


async def test_a_full_disk_does_not_stop_the_learner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(judging, "time", SimpleNamespace(monotonic=lambda: clock[0], time=float))
    (tmp_path / "quality").write_text("a file where the folder should be")
    model = Model()
    model.trials = 5
    judge = Judge(model, tmp_path / "quality" / "model.jsonl")  # type: ignore[arg-type]
    clock[0] += 11
    assert (await judge.look())["quality_counters_trials"] == 5.0
