"""Our estimates are those of statsmodels 0.15.0.

Its results are written here, because it would bring pandas into the environment of every test. Each
test names the call that gave them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from batch.experiments.compare import compare, holm, listeners_needed
from batch.experiments.moments import Moments
from contracts.figures import wilson


def listeners(start: int) -> Moments:
    """Return sixty listeners: hits, lists, and both over the time before."""
    i = np.arange(start, start + 60)
    lists = 1 + (i * 7) % 9
    return Moments.from_rows(np.stack([(i * i * 3 + i) % (lists + 1), lists, 0 * i, 0 * i], axis=1))


def test_a_ratio_is_a_regression_with_errors_clustered_by_listener() -> None:
    """``OLS(hit of a list, arm).fit(cov_type="cluster", groups=listener, use_correction=False)``.

    The errors differ by sqrt(60 / 59): we divide by n - 1.
    """
    made = compare(listeners(0), listeners(1000))
    assert made is not None
    assert made.difference.value == pytest.approx(0.011568627450980723, rel=1e-9)
    expected = 0.058705999057934714 * (60 / 59) ** 0.5
    assert made.difference.error == pytest.approx(expected, rel=1e-6)


def _rows(y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]) -> Moments:
    ones = np.ones(len(y))
    return Moments.from_rows(np.stack([y, ones, x, ones], axis=1))


def test_the_time_before_is_a_covariate() -> None:
    """``OLS(y, [1, arm, x]).fit(cov_type="HC1")`` and the same without ``x``."""
    i = np.arange(400)
    x, arm = ((i * 37) % 101) / 10.0, (i * 13) % 2
    y = 2 + 0.7 * x + 0.3 * arm + ((i * 53) % 97) / 50.0
    made = compare(*(_rows(y[arm == k], x[arm == k]) for k in (0, 1)))
    plain = compare(*(_rows(y[arm == k], 0 * x[arm == k]) for k in (0, 1)))
    assert made is not None
    assert plain is not None
    assert plain.difference.value == pytest.approx(0.2961999999999989, rel=1e-9)
    assert plain.difference.error == pytest.approx(0.21494759411558992, rel=1e-3)
    assert made.difference.value == pytest.approx(0.3224265972241307, abs=1e-3)
    assert made.difference.error == pytest.approx(0.05628404388604557, rel=5e-3)


def test_sizes_are_those_of_a_normal_test() -> None:
    """``NormalIndPower().solve_power(effect_size=.1, alpha=.05, power=.8)``."""
    y = np.tile([0.0, 2.0], 50_000)  # mean 1, standard deviation 1
    assert listeners_needed(_rows(y, 0 * y), 0.1) == pytest.approx(1569.7721019023288, rel=1e-4)


def test_several_arms_are_adjusted_as_by_holm() -> None:
    """``multipletests([.01, .04, .03, .005], method="holm")``."""
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_the_interval_of_a_share_is_wilsons() -> None:
    """``proportion_confint(count, n, method="wilson")``."""
    assert wilson(20, 100) == pytest.approx((0.1333669333310325, 0.2888291655931589), rel=1e-6)
    assert wilson(1, 7) == pytest.approx((0.02567962434474355, 0.5131278292743189), rel=1e-6)
