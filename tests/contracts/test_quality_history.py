"""The model's quality over time: points are kept, thinned and read; a torn line costs no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts import quality_history
from contracts.quality_history import QualityHistory, QualityPoint, spread, thinned

HOUR, DAY = 3_600_000, 86_400_000
NOW = 1_764_150_000_000


def point(at: int) -> QualityPoint:
    return QualityPoint(
        at=at, generation=1, plays=10, trials=8, all=0.2, new=0.1, popularity=0.05, all_ndcg=0.1,
        new_ndcg=0.05, popularity_ndcg=0.02, coverage=0.4, novelty=9.0, drift=False,
    )  # fmt: skip


def test_what_is_added_is_read_of_a_period(tmp_path: Path) -> None:
    history = QualityHistory(tmp_path / "quality" / "model.jsonl")
    assert history.read() == []
    for at in (10, 20, 30):
        history.add(point(at))
    assert [p.at for p in history.read()] == [10, 20, 30]
    assert [p.at for p in history.read(20, 30)] == [20]


def test_a_torn_line_costs_no_other_point(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    history = QualityHistory(path)
    history.add(point(10))
    with path.open("ab") as file:
        file.write(b'\n{"at":15,"gene')  # killed in the middle
    history.add(point(20))
    assert [p.at for p in history.read()] == [10, 20]


def test_old_points_are_thinned_to_one_an_hour() -> None:
    minutes = [point(NOW - 4 * DAY + 60_000 * i) for i in range(4 * 24 * 60)]
    kept = thinned(minutes, NOW)
    old = [p for p in kept if p.at < NOW - 2 * DAY]
    assert len(kept) - len(old) == 2 * 24 * 60
    assert 48 <= len(old) <= 49
    assert len({p.at // HOUR for p in old}) == len(old)
    assert thinned(kept, NOW) == kept


def test_the_file_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality_history, "_GROWTH", 5_000)
    path = tmp_path / "model.jsonl"
    history = QualityHistory(path)
    for i in range(300):
        history.add(point(60_000 * i))
    assert path.stat().st_size < 10_000
    assert history.read()[-1].at == 60_000 * 299


def test_many_points_are_spread_over_their_time() -> None:
    points = [point(i) for i in (*range(100), 100_000)]
    assert spread(points, 200) == points
    few = spread(points, 10)
    assert len(few) == 2  # a burst, and what came long after it
    assert [p.at for p in few] == [99, 100_000]
    assert len(spread([point(i) for i in range(1000)], 300)) <= 300
