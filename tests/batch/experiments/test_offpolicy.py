"""Estimates of lists that were not shown: unbiased, with honest bounds, or refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from batch.experiments.offpolicy import FEWEST, NAMES, Places, exploring, judge
from contracts.errors import ConfigurationError
from online_model.exploration import IN_LINE, explore

#: Chance that a track shown is played: the ranker's own, and one from further down.
OWN, DOWN = 0.2, 0.05


def log(rng: np.random.Generator, lists: int, share: float) -> Places:
    """Return the places of lists of ten, filled as the API fills them."""
    listener, propensity, hit = [], [], []
    for number in range(lists):
        at, chances = explore(10 + IN_LINE, 10, share, int(rng.integers(2**62)))
        taste = rng.uniform(0.5, 1.5)
        listener += [number // 3] * 10
        propensity += chances.tolist()
        hit += [float(rng.random() < taste * (OWN if p < 10 else DOWN)) for p in at.tolist()]
    return Places(
        np.array(listener, np.int64), np.full(len(hit), share), np.array(propensity), np.array(hit)
    )


def truth(share: float) -> float:
    return (1 - share) * OWN + share * DOWN


@pytest.mark.parametrize("wanted", [0.0, 0.1, 0.5])
def test_bounds_cover_the_truth_as_often_as_they_say(wanted: float) -> None:
    rng, runs = np.random.default_rng(1), 60
    covered = dict.fromkeys(NAMES, 0)
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    for run in range(runs):
        judged = judge(log(rng, 600, 0.2), exploring(wanted), seed=run)
        assert judged.refusal == ""
        for name, value in judged.estimates.items():
            covered[name] += value.low < truth(wanted) < value.high
            values[name].append(value.value)
    for name in ("IPS", "SNIPS", "DR"):
        assert covered[name] >= runs * (0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)), name
        spread = float(np.std(values[name])) / math.sqrt(runs)
        assert np.mean(values[name]) == pytest.approx(truth(wanted), abs=4 * spread), name


def test_the_policy_of_the_log_is_the_log() -> None:
    places = log(np.random.default_rng(2), 200, 0.2)
    judged = judge(places, exploring(0.2))
    assert judged.effective == pytest.approx(judged.places, rel=1e-6)
    assert judged.largest == pytest.approx(1.0, rel=1e-4)
    assert judged.estimates["IPS"].value == pytest.approx(judged.shown, rel=1e-4)


def test_too_little_chance_is_refused() -> None:
    """A policy that shows only what the log hardly ever showed."""
    judged = judge(log(np.random.default_rng(3), 60, 0.02), exploring(1.0))
    assert judged.effective < FEWEST
    assert judged.estimates == {}
    assert "Explore more" in judged.refusal


def test_nothing_shown_is_refused() -> None:
    none = np.zeros(0)
    judged = judge(Places(none.astype(np.int64), none, none, none), exploring(0.0))
    assert (judged.places, judged.shown) == (0, 0.0)
    assert judged.refusal


def test_explored_places_are_known() -> None:
    at, chances = explore(60, 10, 0.3, 5)
    places = Places(np.zeros(10, np.int64), np.full(10, 0.3), chances.astype(float), np.zeros(10))
    assert places.explored.tolist() == (at >= 10).tolist()


def test_a_share_outside_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        exploring(1.5)
