"""What other lists would have earned, from lists that were shown with known chances.

Every place of a list was filled with a logged probability (its propensity). An outcome is weighed
by the probability with which another policy would have shown the same track there, divided by the
propensity. Estimators: inverse propensity (IPS), its self-normalised form (SNIPS; Swaminathan and
Joachims, NIPS 2015), and doubly robust (DR; Dudík, Langford and Li, ICML 2011), whose model knows
how often each place is hit by the ranker's own track, and how often a track further down is, by its
depth. The effective sample size is how many places the weights are worth. Below :data:`FEWEST`
nothing is estimated: a few heavy weights would decide the figure, and its interval would not be
honest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from batch.experiments.shown import Array, Places
from contracts.errors import ConfigurationError
from online_model.exploration import IN_LINE

#: Effective places below which nothing is estimated.
FEWEST = 200
#: Largest weight used where weights are capped.
CAP = 10.0
DRAWS = 1_000


#: Tracks of one depth in the model of DR.
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Exploring:
    """The ranker of the log with another exploration.

    Attributes
    ----------
    share
        Probability with which a place explores, 0 to 1.
    line
        How far below the list it looks: tracks in line, 1 to :data:`IN_LINE`.
    """

    share: float
    line: int = IN_LINE

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ConfigurationError(f"a share of exploration is from 0 to 1, not {self.share:g}")
        if not 1 <= self.line <= IN_LINE:
            raise ConfigurationError(f"the log holds {IN_LINE} tracks in line, not {self.line}")

    def chances(self, places: Places) -> Array:
        """Return the probability of the track shown at each place, given the places above it."""
        waiting = self._waiting(places)
        deep = places.explored & (places.depth < self.line)
        drawn = np.where(deep, self.share / np.maximum(waiting, 1), 0.0)
        own = np.where(waiting > 0, 1.0 - self.share, 1.0)
        return np.where(places.explored, drawn, own)

    def expected(self, places: Places, own: Array, deep: Array) -> Array:
        """Return what a model expects of each place, over all tracks this policy may show there.

        Parameters
        ----------
        own
            What it expects of the ranker's own track at the place.
        deep
            What it expects of a track by depth, shape ``(IN_LINE,)``.
        """
        total = np.concatenate([[0.0], np.cumsum(deep)])[np.minimum(places.line, self.line)]
        within = places.explored & (places.depth < self.line)
        gone = places.above(np.where(within, deep[places.depth], 0.0))
        waiting = self._waiting(places)
        mean = (total - gone) / np.maximum(waiting, 1)
        return np.where(waiting > 0, (1.0 - self.share) * own + self.share * mean, own)

    def _waiting(self, places: Places) -> Array:
        """Return how many tracks are left in line before each place is filled."""
        within = places.explored & (places.depth < self.line)
        return np.minimum(places.line, self.line) - places.above(within.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Value:
    """What a policy would have earned a place, with bounds by bootstrap over listeners.

    The estimate from capped weights has no bounds if the cap changed a weight: the cap biases it,
    and bounds around it would not cover the truth.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Estimates of a policy.

    Attributes
    ----------
    shown
        Hits a place of the lists as they were.
    effective
        Effective sample size: ``(sum w)^2 / sum w^2``.
    largest, capped
        The largest weight, and the share of weights above :data:`CAP`.
    estimates
        By estimator; empty where the effective sample size is below :data:`FEWEST`.
    refusal
        Why there are none.
    """

    places: int
    shown: float
    effective: float
    largest: float
    capped: float
    estimates: dict[str, Value]
    refusal: str


def judge(places: Places, policy: Exploring, *, seed: int = 0) -> Judgement:
    """Estimate the hits a place of a policy from the log."""
    weights = policy.chances(places) / places.propensity
    total, squares = float(weights.sum()), float((weights**2).sum())
    effective = total**2 / squares if squares > 0.0 else 0.0
    refusal = "" if effective >= FEWEST else _refusal(places, effective)
    estimates: dict[str, Value] = {}
    if not refusal:
        capped = bool((weights > CAP).any())
        estimates = _bootstrap(_sums(places, policy, weights), seed, biased=capped)
    return Judgement(
        places=len(weights),
        shown=float(places.hit.mean()) if len(weights) else 0.0,
        effective=effective,
        largest=float(weights.max(initial=0.0)),
        capped=float((weights > CAP).mean()) if len(weights) else 0.0,
        estimates=estimates,
        refusal=refusal,
    )


def _refusal(places: Places, effective: float) -> str:
    explored = float(places.explored.mean()) if len(places.hit) else 0.0
    return (
        f"the log is worth {effective:.0f} places for this policy, and {FEWEST} are needed: it "
        f"holds {len(places.hit):,} places, {100 * explored:.1f} % of them shown by chance. "
        "Explore more (SEGUE_EXPLORE_SHARE) or wait for more lists"
    )


def _model(places: Places) -> tuple[Array, Array]:
    """Return the mean hits of the ranker's own track at each place, and of tracks by depth.

    Depths of which no track was shown get the mean of all depths.
    """
    explored, hit = places.explored, places.hit
    shown = np.bincount(places.place[~explored])
    own = np.bincount(places.place[~explored], hit[~explored]) / np.maximum(shown, 1)
    own = np.append(own, np.zeros(int(places.place.max()) + 1 - len(own)))
    depth = np.minimum(places.depth[explored], IN_LINE - 1) // _DEPTH
    count = np.bincount(depth, minlength=-(-IN_LINE // _DEPTH))
    mean = float(hit[explored].mean()) if explored.any() else 0.0
    deep = np.bincount(depth, hit[explored], len(count)) / np.maximum(count, 1)
    return own[places.place], np.repeat(np.where(count > 0, deep, mean), _DEPTH)[:IN_LINE]


def _sums(places: Places, policy: Exploring, weights: Array) -> Array:
    """Return the sums of which every estimator is made, by listener, shape ``(listeners, 8)``."""
    capped = np.minimum(weights, CAP)
    own, deep = _model(places)
    shown = np.where(places.explored, deep[np.minimum(places.depth, IN_LINE - 1)], own)
    columns = (
        np.ones(len(weights)), places.hit, weights, weights * places.hit, capped,
        capped * places.hit, policy.expected(places, own, deep), weights * shown,
    )  # fmt: skip
    _, listener = np.unique(places.listener, return_inverse=True)
    count = int(listener.max()) + 1
    return np.stack([np.bincount(listener, column, count) for column in columns], axis=1)


def _estimate(sums: Array) -> Array:
    """Return IPS, SNIPS, capped IPS and DR from sums, shape ``(..., 8)`` to ``(..., 4)``."""
    n, _, weight, weighted, _, capped_hits, expected, foreseen = np.moveaxis(sums, -1, 0)
    return np.stack(
        [
            weighted / n,
            weighted / np.maximum(weight, 1e-12),
            capped_hits / n,
            (expected + weighted - foreseen) / n,
        ],
        axis=-1,
    )


CAPPED = f"IPS capped at {CAP:g}"
NAMES = ("IPS", "SNIPS", CAPPED, "DR")


def _bootstrap(sums: Array, seed: int, *, biased: bool) -> dict[str, Value]:
    """Return every estimate with its bounds; the capped one gets no bounds if `biased`."""
    generator = np.random.default_rng(seed)
    drawn = np.empty((DRAWS, len(NAMES)))
    for row in range(DRAWS):
        counts = np.bincount(generator.integers(0, len(sums), len(sums)), minlength=len(sums))
        drawn[row] = _estimate(counts @ sums)
    found = _estimate(sums.sum(axis=0))
    without_one = _estimate(sums.sum(axis=0) - sums)
    values = {}
    for at, name in enumerate(NAMES):
        if biased and name == CAPPED:
            values[name] = Value(float(found[at]), None, None)
        else:
            low, high = bounds(drawn[:, at], float(found[at]), without_one[:, at])
            values[name] = Value(float(found[at]), low, high)
    return values


def bounds(drawn: Array, found: float, without_one: Array) -> tuple[float, float]:
    """Return the bounds of a 95 % confidence interval by the BCa bootstrap.

    Few hits of rarely shown tracks decide an estimate, so it is skewed, and plain quantiles of the
    draws cover too seldom (Efron, "Better bootstrap confidence intervals", JASA 1987, section 3).

    Parameters
    ----------
    drawn
        The estimate of each draw of listeners.
    found
        The estimate from all listeners.
    without_one
        The estimates that each leave out one listener: their skewness gives the acceleration.
    """
    below = np.mean(drawn < found) + np.mean(drawn == found) / 2
    shift = float(stats.norm.ppf(np.clip(below, 1 / len(drawn), 1 - 1 / len(drawn))))
    pull = without_one.mean() - without_one
    squares = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * squares**1.5) if squares > 0.0 else 0.0
    z = shift + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(drawn, stats.norm.cdf(shift + z / (1 - acceleration * z)))
    return float(low), float(high)
