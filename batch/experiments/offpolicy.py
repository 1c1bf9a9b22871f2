"""What other lists would have earned, from lists that were shown with known chances.

Every place of a list was filled with a logged probability (its propensity). An outcome is weighed
by the probability with which another policy would have shown the same track there, divided by the
propensity. Estimators: inverse propensity (IPS), its self-normalised form (SNIPS; Swaminathan and
Joachims, NIPS 2015), and doubly robust (DR; Dudík, Langford and Li, ICML 2011). The effective
sample size says how many places the weights are worth. Below :data:`FEWEST` nothing is estimated: a
few heavy weights would decide the figure, and its interval would not be honest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch.ask import Ask
from contracts.errors import ConfigurationError

Array = npt.NDArray[np.float64]

#: Effective places below which nothing is estimated.
FEWEST = 200
#: Largest weight used where weights are capped.
CAP = 10.0
DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class Places:
    """Places of lists that were shown.

    Attributes
    ----------
    listener
        Number of the listener, i64, shape ``(n,)``: the unit that is drawn again for intervals.
    share
        Probability with which the list explored, shape ``(n,)``.
    propensity
        Chance of the track at its place, shape ``(n,)``.
    hit
        Whether the track was played, 0 or 1, shape ``(n,)``.
    """

    listener: npt.NDArray[np.int64]
    share: Array
    propensity: Array
    hit: Array

    @property
    def explored(self) -> npt.NDArray[np.bool_]:
        """Whether the place was filled by chance, shape ``(n,)``.

        Of a place not explored the propensity is ``1 - share``; of one explored the share divided
        by the tracks in line.
        """
        return np.asarray(np.abs(self.propensity - (1.0 - self.share)) > 1e-4)


#: Listener, share of exploration, propensity and hit of every place of the lists that explored. The
#: share is what a place shown by rank lacks to certainty.
LOGGED = """
with lists as (
    select impression_id, 1 - max(propensity) as share
    from marts.fct_recommendation_outcomes
    group by impression_id
    having max(propensity) < 1 and max(propensity) > 0.5
)
select dense_rank() over (order by o.user_id), lists.share, o.propensity,
    case when o.is_hit then 1.0 else 0.0 end
from marts.fct_recommendation_outcomes as o
inner join lists on o.impression_id = lists.impression_id
"""


def logged(ask: Ask) -> Places:
    """Return the places of every list in the warehouse that explored with a share below half."""
    rows = ask(LOGGED)
    listener, share, propensity, hit = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Places(
        np.array(listener, np.int64),
        np.array(share, np.float64),
        np.array(propensity, np.float64),
        np.array(hit, np.float64),
    )


#: Returns the probability with which a policy shows the logged track at each place.
Policy = Callable[[Places], Array]


def exploring(share: float) -> Policy:
    """Return the ranker of the log with another share of exploration; 0: none.

    Raises
    ------
    ConfigurationError
        The share is not from 0 to 1.
    """
    if not 0.0 <= share <= 1.0:
        raise ConfigurationError(f"a share of exploration is from 0 to 1, not {share:g}")

    def chances(places: Places) -> Array:
        in_line = places.share / places.propensity
        return np.where(places.explored, share / in_line, 1.0 - share)

    return chances


@dataclass(frozen=True, slots=True)
class Value:
    """What a policy would have earned a place, with bounds by bootstrap over listeners."""

    value: float
    low: float
    high: float


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


def judge(places: Places, policy: Policy, *, seed: int = 0) -> Judgement:
    """Estimate the hits a place of a policy from the log."""
    weights = policy(places) / places.propensity
    total, squares = float(weights.sum()), float((weights**2).sum())
    effective = total**2 / squares if squares > 0.0 else 0.0
    refusal = "" if effective >= FEWEST else _refusal(places, effective)
    estimates: dict[str, Value] = {}
    if not refusal:
        estimates = _bootstrap(places, weights, seed)
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


def _sums(places: Places, weights: Array) -> Array:
    """Return the sums from which every estimator is made, by listener, shape ``(listeners, 6)``."""
    capped = np.minimum(weights, CAP)
    columns = (
        np.ones(len(weights)), places.hit, weights, weights * places.hit, capped,
        capped * places.hit,
    )  # fmt: skip
    _, listener = np.unique(places.listener, return_inverse=True)
    count = int(listener.max()) + 1
    return np.stack([np.bincount(listener, column, count) for column in columns], axis=1)


def _estimate(sums: Array) -> Array:
    """Return IPS, SNIPS, capped IPS and DR from sums, shape ``(..., 6)`` to ``(..., 4)``.

    DR's model is the mean of the hits shown: it knows nothing of tracks, so DR is IPS with the
    chance variation of the weights taken out.
    """
    n, hits, weight, weighted, _, capped_hits = np.moveaxis(sums, -1, 0)
    mean = hits / n
    return np.stack(
        [
            weighted / n,
            weighted / np.maximum(weight, 1e-12),
            capped_hits / n,
            mean + (weighted - mean * weight) / n,
        ],
        axis=-1,
    )


NAMES = ("IPS", "SNIPS", f"IPS capped at {CAP:g}", "DR")


def _bootstrap(places: Places, weights: Array, seed: int) -> dict[str, Value]:
    sums = _sums(places, weights)
    generator = np.random.default_rng(seed)
    drawn = np.empty((DRAWS, len(NAMES)))
    for row in range(DRAWS):
        counts = np.bincount(generator.integers(0, len(sums), len(sums)), minlength=len(sums))
        drawn[row] = _estimate(counts @ sums)
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    found = _estimate(sums.sum(axis=0))
    return {
        name: Value(float(found[i]), float(low[i]), float(high[i])) for i, name in enumerate(NAMES)
    }
