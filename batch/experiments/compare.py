"""Comparing an arm with the control: a difference, how sure it is, and whether it may be read yet.

A metric is a ratio of two sums over listeners, such as hits over lists. Its variance comes from the
delta method over listeners: lists of one listener are not independent, and a test that takes them
for independent reports false effects several times as often as its nominal rate. The time before
the first list lowers the variance (CUPED; Deng et al., "Improving the sensitivity of online
controlled experiments by utilizing pre-experiment data", WSDM 2013).

Looking every day is safe with a confidence sequence: an interval that covers the true difference at
all looks together with the stated probability (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
"Time-uniform central limit theory and asymptotic confidence sequences", 2021, with the normal
mixture).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from batch.experiments.moments import Moments

#: Probability of an interval that misses the true difference.
ALPHA = 0.05
#: Listeners (both arms together) at which the confidence sequence is tightest. Fixed beforehand:
#: a value chosen from the data would break the promise.
TUNED_FOR = 10_000
#: Below this chance of so uneven arms something else than chance parts the listeners.
SRM_ALPHA = 0.001
#: Listeners in an arm below which the normal approximation is not trusted.
FEWEST = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of one arm with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a difference."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval shows the direction of the difference."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm beside the control for one metric.

    Attributes
    ----------
    control, arm
        The figures, adjusted by the time before where that helps.
    difference
        ``arm - control``, with the bounds to be read at the planned end (``fixed``) and the bounds
        that hold at every look (``always``).
    p
        Of no difference, two-sided, for one look at the planned end.
    kept
        Share of the variance that the adjustment left; 1: it did not help.
    """

    control: Estimate
    arm: Estimate
    difference: Estimate
    fixed: Interval
    always: Interval
    p: float
    kept: float

    @property
    def relative(self) -> float:
        """The difference as a share of the control's figure; NaN where that is 0."""
        return self.difference.value / self.control.value if self.control.value else math.nan


def estimate(moments: Moments) -> Estimate:
    """Return the ratio of the sums of ``y`` and ``d``, with its error by the delta method."""
    value, spread = _linear(moments, moments, 0.0)
    return Estimate(value, spread)


def compare(control: Moments, arm: Moments, *, alpha: float = ALPHA) -> Comparison | None:
    """Compare an arm with the control; ``None`` where a denominator is 0 in either."""
    if min(control.n, arm.n) < 2 or control.sums[1] <= 0.0 or arm.sums[1] <= 0.0:
        return None
    pooled = control + arm
    theta = _theta(pooled)
    plain = [_linear(m, pooled, 0.0) for m in (control, arm)]
    adjusted = [_linear(m, pooled, theta) for m in (control, arm)] if theta else plain
    variance = sum(error**2 for _, error in plain)
    lowered = sum(error**2 for _, error in adjusted)
    if lowered > variance:
        adjusted, lowered = plain, variance
    (low, low_error), (high, high_error) = adjusted
    return _compared(
        Estimate(low, low_error),
        Estimate(high, high_error),
        Estimate(high - low, math.sqrt(lowered)),
        control.n + arm.n,
        alpha,
        lowered / variance if variance > 0.0 else 1.0,
    )


def paired(moments: Moments, *, alpha: float = ALPHA) -> Comparison | None:
    """Compare two ratios of the same listeners: ``y / d`` as the arm with ``y0 / d0``.

    ``None`` where a denominator is 0.
    """
    if moments.n < 2 or min(moments.sums[1], moments.sums[3]) <= 0.0:
        return None
    first, second = _gradients(moments)

    def error(gradient: npt.NDArray[np.float64]) -> float:
        variance = float(gradient @ moments.covariance @ gradient) / moments.n
        return math.sqrt(max(variance, 0.0))

    arm, control = (float(moments.sums[i] / moments.sums[i + 1]) for i in (0, 2))
    return _compared(
        Estimate(control, error(second)),
        Estimate(arm, error(first)),
        Estimate(arm - control, error(first - second)),
        moments.n,
        alpha,
    )


def _compared(
    control: Estimate, arm: Estimate, difference: Estimate, n: int, alpha: float, kept: float = 1.0
) -> Comparison:
    """Return a comparison with its bounds; ``n`` is the number of listeners of both."""
    value, error = difference.value, difference.error
    z = float(stats.norm.ppf(1 - alpha / 2))
    width = error * sequence_width(n, alpha)
    return Comparison(
        control=control,
        arm=arm,
        difference=difference,
        fixed=Interval(value - z * error, value + z * error),
        always=Interval(value - width, value + width),
        p=2 * float(stats.norm.sf(abs(value) / error)) if error > 0.0 else 1.0,
        kept=kept,
    )


def sequence_width(n: int, alpha: float = ALPHA, tuned_for: int = TUNED_FOR) -> float:
    """Return half the width of the confidence sequence, in standard errors.

    Parameters
    ----------
    n
        Listeners so far.

    Examples
    --------
    >>> round(sequence_width(10_000), 2) > round(float(stats.norm.ppf(0.975)), 2)
    True
    """
    squared = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / tuned_for
    grown = n * squared + 1
    return math.sqrt(2 * grown / (n * squared) * math.log(math.sqrt(grown) / alpha))


def _theta(pooled: Moments) -> float:
    """Return the slope of the metric on the same metric before, 0 where there was no before."""
    if pooled.sums[3] <= 0.0 or pooled.n < 3:
        return 0.0
    after, before = _gradients(pooled)
    covariance = pooled.covariance
    spread = float(before @ covariance @ before)
    return float(after @ covariance @ before) / spread if spread > 1e-15 else 0.0


def _gradients(
    moments: Moments,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the derivatives of both ratios with respect to the means, shape ``(4,)`` each."""
    y, d, y0, d0 = moments.means
    after = np.array([1 / d, -y / d**2, 0.0, 0.0])
    before = np.array([0.0, 0.0, 1 / d0, -y0 / d0**2]) if d0 > 0.0 else np.zeros(4)
    return after, before


def _linear(moments: Moments, pooled: Moments, theta: float) -> tuple[float, float]:
    """Return the ratio of one arm, adjusted by ``theta``, and its standard error."""
    after, _ = _gradients(moments)
    value = float(moments.sums[0] / moments.sums[1])
    gradient = after
    if theta:
        _, before = _gradients(pooled)
        value -= theta * float(before @ (moments.means - pooled.means))
        gradient = after - theta * before
    variance = float(gradient @ moments.covariance @ gradient) / max(moments.n, 1)
    return value, math.sqrt(max(variance, 0.0))


def sample_ratio(listeners: Sequence[int], weights: Sequence[float]) -> float:
    """Return the p-value of the chi-square test that the arms have their shares of listeners.

    Parameters
    ----------
    listeners
        Listeners seen in each arm.
    weights
        Share each arm should have.
    """
    total = sum(listeners)
    if total == 0:
        return 1.0
    return float(stats.chisquare(listeners, [total * w for w in weights]).pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p values adjusted for several arms compared with one control (Holm, 1979)."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = highest
    return adjusted


def listeners_needed(
    control: Moments, relative: float, *, alpha: float = ALPHA, power: float = 0.8
) -> float:
    """Return how many listeners *an arm* needs to show a relative change with this power.

    Parameters
    ----------
    control
        Listeners as they are now; their time before counts as the adjustment will use it.
    relative
        Change to be seen, such as .02 for two per cent; the sign does not matter.

    Returns
    -------
    float
        Infinite where the figure is 0 now.
    """
    if control.n < 3 or control.sums[0] <= 0.0 or control.sums[1] <= 0.0:
        return math.inf
    value, error = _linear(control, control, 0.0)
    _, lowered = _linear(control, control, _theta(control))
    variance = min(error, lowered) ** 2 * control.n
    z = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power))
    return 2 * variance * (z / (value * relative)) ** 2
