"""Estimates of lists that were not shown: unbiased, with honest bounds, or refused."""

from __future__ import annotations

import math
from uuid import UUID

import numpy as np
import pytest
from scipy import stats

from batch.experiments.offpolicy import CAPPED, FEWEST, NAMES, Exploring, bounds, judge
from batch.experiments.shown import Places, made_again
from contracts.errors import ConfigurationError
from online_model.exploration import IN_LINE, explore, seed_of

#: Chance that a track shown is played: the ranker's own, and others by how far down they stand.
OWN, DOWN = 0.2, np.where(np.arange(IN_LINE) < 20, 0.1, 0.02)
PLACES = 10


def log(rng: np.random.Generator, lists: int, share: float) -> Places:
    """Return the places of lists of ten, filled as the API fills them."""
    rows = []
    for number in range(lists):
        at, chances = explore(PLACES + IN_LINE, PLACES, share, int(rng.integers(2**62)))
        taste = rng.uniform(0.5, 1.5)
        for place, (rank, chance) in enumerate(zip(at.tolist(), chances.tolist(), strict=True)):
            depth = rank - PLACES if rank >= PLACES else -1
            played = rng.random() < taste * (OWN if depth < 0 else DOWN[depth])
            rows.append((number // 3, number, place, depth, IN_LINE, share, chance, played))
    return Places.of(np.array(rows, np.float64).T)


def truth(policy: Exploring) -> float:
    """Return the expected hits per place of a policy.

    A track that was drawn leaves the line, but the expected mean of the others does not change.
    """
    return (1 - policy.share) * OWN + policy.share * float(DOWN[: policy.line].mean())


@pytest.mark.parametrize(
    "wanted", [Exploring(0.0), Exploring(0.1), Exploring(0.5), Exploring(0.3, 20)]
)
def test_bounds_cover_the_truth_as_often_as_they_say(wanted: Exploring) -> None:
    rng, runs = np.random.default_rng(1), 40
    covered = dict.fromkeys(NAMES, 0)
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    for run in range(runs):
        judged = judge(log(rng, 600, 0.2), wanted, seed=run)
        assert judged.refusal == ""
        for name, value in judged.estimates.items():
            assert value.low is not None
            assert value.high is not None
            covered[name] += value.low < truth(wanted) < value.high
            values[name].append(value.value)
    for name in ("IPS", "SNIPS", "DR"):
        assert covered[name] >= runs * (0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)), name
        spread = float(np.std(values[name])) / math.sqrt(runs)
        assert np.mean(values[name]) == pytest.approx(truth(wanted), abs=4 * spread), name
    assert np.std(values["DR"]) <= 1.1 * np.std(values["IPS"]), "the model does no harm"


def test_the_policy_of_the_log_is_the_log() -> None:
    places = log(np.random.default_rng(2), 200, 0.2)
    judged = judge(places, Exploring(0.2))
    assert judged.effective == pytest.approx(judged.places, rel=1e-6)
    assert judged.largest == pytest.approx(1.0, rel=1e-4)
    assert judged.estimates["IPS"].value == pytest.approx(judged.shown, rel=1e-4)


def test_chances_of_a_shorter_line_are_those_of_its_draws() -> None:
    """The expected weight is 1 at every place where nothing above it left the line."""
    places = log(np.random.default_rng(4), 4_000, 0.3)
    policy = Exploring(0.3, 10)
    weights = policy.chances(places) / places.propensity
    assert set(weights[places.depth >= 10]) == {0.0}
    for place in range(PLACES):
        own = weights[places.place == place]
        assert own.mean() == pytest.approx(1.0, abs=4 * own.std() / math.sqrt(len(own)))
    ones = policy.expected(places, np.ones(len(places.hit)), np.ones(IN_LINE))
    assert ones == pytest.approx(1.0)


def test_bounds_are_those_of_scipy() -> None:
    """``scipy.stats.bootstrap`` with the method BCa, of a skewed mean."""
    values = np.random.default_rng(5).exponential(size=80) ** 2
    rng = np.random.default_rng(6)
    drawn = values[rng.integers(0, 80, (20_000, 80))].mean(axis=1)
    without_one = (values.sum() - values) / 79
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=7
    ).confidence_interval
    plain = np.quantile(drawn, (0.025, 0.975))
    made = bounds(drawn, float(values.mean()), without_one)
    assert made == pytest.approx(tuple(expected), rel=0.03)
    assert made[1] > 1.02 * plain[1], "the skewness counts"


def test_a_capped_estimate_has_no_bounds_where_it_is_biased() -> None:
    judged = judge(log(np.random.default_rng(8), 600, 0.02), Exploring(0.5))
    assert judged.capped > 0.0
    assert judged.estimates[CAPPED].low is None
    assert judged.estimates["IPS"].low is not None


def test_too_little_chance_is_refused() -> None:
    """A policy that shows only what the log hardly ever showed."""
    judged = judge(log(np.random.default_rng(3), 60, 0.02), Exploring(1.0))
    assert judged.effective < FEWEST
    assert judged.estimates == {}
    assert "Explore more" in judged.refusal


def test_nothing_shown_is_refused() -> None:
    judged = judge(Places.of(np.zeros((8, 0))), Exploring(0.0))
    assert (judged.places, judged.shown) == (0, 0.0)
    assert judged.refusal


@pytest.mark.parametrize("found", [12, 40, 60])
def test_a_list_is_made_again_from_its_log(found: int) -> None:
    for number in range(50):
        impression = str(UUID(int=(number << 100) + number))
        at, chances = explore(found, PLACES, 0.3, seed_of(impression))
        if chances.max() == 1.0:
            continue  # nothing was left in line: the warehouse does not ask for such a list
        made = made_again(impression, chances.astype(np.float64))
        assert made is not None
        assert made[0].tolist() == [p - PLACES if p >= PLACES else -1 for p in at.tolist()]
        assert made[1] == found - PLACES or (at < PLACES).all()
        assert (
            made_again(impression, np.roll(chances, 1).astype(np.float64)) is None
            or (np.roll(chances, 1) == chances).all()
        )


def test_a_policy_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        Exploring(1.5)
    with pytest.raises(ConfigurationError, match="holds 50 tracks in line"):
        Exploring(0.5, 51)
