"""The estimates agree with libraries where those have them, and keep their promise in simulation.

Simulated errors are compared with bounds of three standard errors of the simulation itself, with
fixed seeds.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from batch.experiments.compare import (
    Comparison,
    compare,
    estimate,
    holm,
    listeners_needed,
    sample_ratio,
    sequence_width,
)
from batch.experiments.moments import PRODUCTS, Moments
from tests.batch.experiments.looks import look_daily

Rows = npt.NDArray[np.float64]


def of(rows: Rows) -> Moments:
    return Moments.from_rows(rows)


def listeners(rng: np.random.Generator, n: int, lift: float = 0.0, seen: float = 3.0) -> Rows:
    """Return rows of hits and lists: few listeners ask most often, and tastes differ."""
    lists = 1 + rng.negative_binomial(0.5, 0.05, n)
    before = rng.poisson(seen * lists)
    rate = rng.beta(2, 8, n)
    hits = rng.binomial(lists, np.clip(rate * (1 + lift), 0, 1))
    hits_before = rng.binomial(before, rate)
    return np.stack([hits, lists, hits_before, before], axis=1).astype(float)


def both(rng: np.random.Generator, n: int, lift: float = 0.0) -> Comparison:
    made = compare(of(listeners(rng, n)), of(listeners(rng, n, lift)))
    assert made is not None
    return made


def within(count: int, runs: int, p: float) -> bool:
    """Whether a count is within three standard errors of what is expected."""
    return abs(count / runs - p) <= 3 * math.sqrt(p * (1 - p) / runs)


def test_sums_from_the_warehouse_are_those_of_the_rows() -> None:
    rows = listeners(np.random.default_rng(1), 50)
    direct = of(rows)
    upper = [direct.products[i, j] for i in range(4) for j in range(i, 4)]
    read = Moments.of(50, list(direct.sums), upper)
    assert len(PRODUCTS) == len(upper)
    np.testing.assert_allclose(read.products, rows.T @ rows)
    np.testing.assert_allclose(read.covariance, np.cov(rows.T), rtol=1e-9)
    np.testing.assert_allclose((read + read).sums, 2 * rows.sum(axis=0))


def test_a_mean_is_welchs_test() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(3, 1, 400), rng.normal(3.2, 2, 300)
    rows = [np.stack([v, np.ones(len(v)), 0 * v, 0 * v], axis=1) for v in (a, b)]
    made = compare(*map(of, rows))
    assert made is not None
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert made.difference.value == pytest.approx(b.mean() - a.mean())
    assert made.p == pytest.approx(2 * stats.norm.sf(abs(welch.statistic)), rel=1e-9)
    assert made.kept == 1.0


def test_the_error_of_a_ratio_is_the_bootstraps() -> None:
    rng = np.random.default_rng(3)
    rows = listeners(rng, 2_000)
    drawn = rows[rng.integers(0, len(rows), (500, len(rows)))].sum(axis=1)
    expected = float(np.std(drawn[:, 0] / drawn[:, 1]))
    assert estimate(of(rows)).error == pytest.approx(expected, rel=0.15)


def test_the_adjustment_is_the_regression() -> None:
    rng = np.random.default_rng(4)
    x, arm = rng.normal(5, 2, 4_000), rng.integers(0, 2, 4_000)
    y = 2 + 0.7 * x + 0.3 * arm + rng.normal(0, 1, 4_000)
    ones = np.ones(4_000)
    rows = np.stack([y, ones, x, ones], axis=1)
    made = compare(of(rows[arm == 0]), of(rows[arm == 1]))
    fitted = np.linalg.lstsq(np.stack([ones, arm, x], axis=1), y, rcond=None)[0]
    assert made is not None
    assert made.difference.value == pytest.approx(fitted[1], abs=0.01)
    assert made.kept == pytest.approx(1 / (1 + (0.7 * 2) ** 2), rel=0.1)


def test_no_effect_is_reported_as_often_as_promised() -> None:
    rng, runs = np.random.default_rng(5), 1_000
    found = [both(rng, 1_000) for _ in range(runs)]
    assert within(sum(c.fixed.excludes_zero for c in found), runs, 0.05)
    assert within(sum(c.p < 0.2 for c in found), runs, 0.2)
    assert np.mean([c.kept for c in found]) < 0.8, "the time before lowers the variance"


def test_an_effect_is_found_as_often_as_planned() -> None:
    rng, runs, lift = np.random.default_rng(6), 300, 0.1
    n = math.ceil(listeners_needed(of(listeners(rng, 50_000)), lift))
    found = [both(rng, n, lift) for _ in range(runs)]
    assert within(sum(c.fixed.excludes_zero for c in found), runs, 0.8)
    covered = sum(c.fixed.low < 0.2 * lift < c.fixed.high for c in found)
    assert within(covered, runs, 0.95)


def test_looking_every_day_keeps_the_promise() -> None:
    """No effect: the usual interval raises false alarms, the confidence sequence few."""
    rng, runs = np.random.default_rng(7), 400
    found = [look_daily(rng) for _ in range(runs)]
    assert sum(looks.usual for looks in found) / runs > 0.15
    assert sum(looks.sequence for looks in found) / runs <= 0.05


def test_an_effect_is_covered_at_every_look() -> None:
    rng, runs = np.random.default_rng(17), 100
    found = [look_daily(rng, 0.15) for _ in range(runs)]
    assert sum(looks.sequence_missed for looks in found) / runs <= 0.05
    assert sum(looks.sequence for looks in found) > 0


def test_a_sequence_is_wider_than_one_look() -> None:
    widths = [sequence_width(n) for n in (100, 1_000, 10_000, 100_000)]
    assert min(widths) > 2.5
    assert widths[2] == min(widths)


def test_uneven_arms_are_seen() -> None:
    assert sample_ratio([10_000, 10_050], [0.5, 0.5]) > 0.001
    assert sample_ratio([100_000, 98_000], [0.5, 0.5]) < 0.001
    assert sample_ratio([0, 0], [0.5, 0.5]) == 1.0
    rng, runs = np.random.default_rng(8), 2_000
    seen = rng.multinomial(5_000, [0.2, 0.3, 0.5], runs)
    alarms = sum(sample_ratio(list(row), [0.2, 0.3, 0.5]) < 0.05 for row in seen)
    assert within(alarms, runs, 0.05)


def test_several_arms_share_one_chance_of_error() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03})
    assert adjusted == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_nothing_is_said_of_nothing() -> None:
    rows = listeners(np.random.default_rng(9), 100)
    nothing = np.zeros((100, 4))
    assert compare(of(rows), of(nothing)) is None
    assert compare(of(rows), of(rows[:1])) is None
    assert listeners_needed(of(nothing), 0.1) == math.inf


def test_nobody_was_here_before() -> None:
    rng = np.random.default_rng(10)
    rows = [listeners(rng, 500) for _ in range(2)]
    for r in rows:
        r[:, 2:] = 0.0
    made = compare(*map(of, rows))
    assert made is not None
    assert made.kept == 1.0
