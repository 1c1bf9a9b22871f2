"""Interleaving: honest where both rankers are equal, and quicker than two groups where not."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from scipy import stats

from batch.experiments.compare import compare, paired
from batch.experiments.moments import Moments
from batch.experiments.preference import (
    Preferences,
    judge_preference,
    sign_test,
)
from batch.experiments.verdict import OVERDUE
from tests.batch.experiments.rankers import Pool, drawn, needed, pool

END = datetime(2025, 3, 20)  # noqa: DTZ001  the warehouse keeps UTC without zone


@pytest.fixture(scope="module")
def better() -> Pool:
    return pool(1, 3_000, (0.12, 0.06))


@pytest.fixture(scope="module")
def equal() -> Pool:
    return pool(2, 3_000, (0.12, 0.12))


def facts(rows: np.ndarray, **changed: object) -> Preferences:
    found = Preferences(
        experiment="x",
        control="old",
        arm="new",
        moments=Moments.from_rows(rows),
        prefer_control=int((rows[:, 2] > rows[:, 0]).sum()),
        prefer_arm=int((rows[:, 0] > rows[:, 2]).sum()),
        first_control=1_000,
        first_arm=1_020,
        fell_back=0.0,
        planned_end=END,
        ended_at=None,
    )
    return replace(found, **changed)  # type: ignore[arg-type]


def test_equal_rankers_are_told_apart_as_rarely_as_promised(equal: Pool) -> None:
    rng, runs = np.random.default_rng(3), 1_000
    # Who is called the arm is a coin for each listener: the pool itself has no preference.
    flipped = np.where(rng.random(len(equal.drafted))[:, None] < 0.5, equal.drafted,
                       equal.drafted[:, [2, 3, 0, 1]])  # fmt: skip
    made = []
    for _ in range(runs):
        rows = flipped[rng.integers(0, len(flipped), 400)]
        rows = np.where(rng.random(400)[:, None] < 0.5, rows, rows[:, [2, 3, 0, 1]])
        found = paired(Moments.from_rows(rows))
        assert found is not None
        made.append((found, rows))
    alarms = sum(found.fixed.excludes_zero for found, _ in made) / runs
    assert alarms == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / runs))
    signs = sum(
        sign_test(int((r[:, 2] > r[:, 0]).sum()), int((r[:, 0] > r[:, 2]).sum())) < 0.05
        for _, r in made
    )
    assert signs / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert sum(found.always.excludes_zero for found, _ in made) / runs <= 0.05


def test_a_better_ranker_is_found_with_fewer_listeners_than_by_two_groups(better: Pool) -> None:
    two_groups, one_list = needed(better)
    assert one_list < two_groups / 4
    rng, runs, n = np.random.default_rng(4), 400, math.ceil(one_list)
    found = [paired(drawn(rng, better.drafted, n)) for _ in range(runs)]
    power = sum(c is not None and c.fixed.low > 0 for c in found) / runs
    assert power == pytest.approx(0.8, abs=0.1)
    halves = [
        compare(drawn(rng, better.control, n // 2), drawn(rng, better.arm, n // 2))
        for _ in range(runs)
    ]
    assert sum(c is not None and c.fixed.low > 0 for c in halves) / runs < 0.5


def test_the_error_is_the_bootstraps(better: Pool) -> None:
    rows = better.drafted[:500]
    found = paired(Moments.from_rows(rows))
    assert found is not None

    def statistic(at: np.ndarray) -> float:
        return float((rows[at, 0] - rows[at, 2]).sum() / rows[at, 1].sum())

    made = stats.bootstrap(
        (np.arange(500),), statistic, vectorized=False, n_resamples=500, rng=1, method="basic"
    )
    assert found.difference.error == pytest.approx(made.standard_error, rel=0.15)


def test_a_preference_is_said(better: Pool) -> None:
    verdict = judge_preference(facts(better.drafted), END)
    assert verdict.readable
    assert verdict.sentences[0].startswith("Listeners prefer the tracks of new to those of old")
    assert "sign test: p = " in verdict.sentences[1]
    (judged,) = verdict.judged
    assert (judged.metric, judged.role) == ("preference", "primary")


def test_nothing_is_said_too_early(equal: Pool, better: Pool) -> None:
    few = judge_preference(facts(better.drafted[:50]), END)
    assert not few.readable
    assert "Too few listeners" in few.sentences[0]
    none = judge_preference(facts(np.zeros((0, 4))), END)
    assert none.sentences == ("No list has been drafted yet.",)
    early = judge_preference(facts(equal.drafted), datetime(2025, 3, 1))  # noqa: DTZ001
    assert "wait for the planned end" in early.sentences[0]
    assert early.judged[0].p is None


def test_coins_that_are_not_fair_are_seen(better: Pool) -> None:
    verdict = judge_preference(facts(better.drafted, first_arm=1_400), END)
    assert not verdict.readable
    assert "Do not read the figures" in verdict.sentences[0]


def test_lists_that_fell_back_are_reported(better: Pool) -> None:
    verdict = judge_preference(facts(better.drafted, fell_back=0.1), END)
    assert "10.0 % of the lists could not be drafted" in verdict.sentences[-2]
    assert verdict.sentences[-1] == OVERDUE
