"""Metrics against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from online_model.metrics import gains, intervals, summarise


def test_gains_by_hand() -> None:
    ranks = np.array([1, 3, 10, 11, 2**31 - 1])
    assert gains(ranks, "hr@1").tolist() == [1, 0, 0, 0, 0]
    assert gains(ranks, "hr@10").tolist() == [1, 1, 1, 0, 0]
    assert gains(ranks, "mrr@10").tolist() == pytest.approx([1, 1 / 3, 0.1, 0, 0])
    assert gains(ranks, "ndcg@10").tolist() == pytest.approx([1, 0.5, 1 / np.log2(11), 0, 0])


def test_no_events_give_zeros() -> None:
    none = np.zeros(0, np.int64)
    assert set(summarise(none).values()) == {0.0}
    assert set(intervals(none, none).values()) == {(0.0, 0.0)}


def test_interval_covers_the_mean_of_independent_listeners() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        ranks = np.where(generator.random(500) < 0.3, 1, 99)
        low, high = intervals(ranks, np.arange(500))["hr@10"]
        covered += low <= 0.3 <= high
    assert covered >= 180


def test_interval_is_wider_when_one_listener_has_many_events() -> None:
    ranks = np.repeat([1, 99], 50)
    low, high = intervals(ranks, np.arange(100))["hr@10"]
    clustered = intervals(ranks, np.repeat([0, 1], 50))["hr@10"]
    assert clustered[1] - clustered[0] > high - low
