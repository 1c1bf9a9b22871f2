"""The simulation of sharded learners (`segue bench shards`): what it must agree with."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import ModelConfig, Recommender, evaluation
from online_model.interactions import Interactions
from online_model.state import N_NEXT, STEP
from tests.benchmarks.increments import empty, fresh, pour, register
from tests.benchmarks.shards import Plan, exchange, simulate, weights
from tests.online_model.plays import SMALL, made_up


@pytest.fixture(scope="module")
def data() -> Interactions:
    plays = made_up(300)
    return Interactions(
        users=plays.users.astype(np.int64),
        items=(plays.tracks - 1000).astype(np.int64),
        seconds=plays.seconds,
        ratios=plays.ratios,
        columns=("", "", ""),
    )


def test_one_shard_ranks_as_the_evaluation_does(data: Interactions) -> None:
    expected, _ = evaluation.run_model(data, evaluation._roomy(SMALL, data), lambda *_: None)
    found = simulate(data, Plan(1), SMALL)
    assert found.all.tolist() == expected.all.tolist()
    assert found.new.tolist() == expected.new.tolist()


def test_a_shard_that_hears_of_others_late_ranks_otherwise(data: Interactions) -> None:
    at_once, late, never = (simulate(data, Plan(2, plays), SMALL).all for plays in (0, 50, 300))
    hits = [(ranks <= 10).sum() for ranks in (at_once, late, never)]
    assert hits[0] > hits[1] > hits[2]


def test_increments_of_two_intervals_give_the_tables_of_all_plays(data: Interactions) -> None:
    users, items = evaluation._keys(data.users), evaluation._keys(data.items)
    whole, adding, taking = (fresh(data, trials=False) for _ in range(3))
    whole.learn_plays(users, items, data.seconds, data.ratios)
    # Weights count from the first play, so all begin with it.
    taking.learn_plays(users[:1], items[:1], data.seconds[:1], data.ratios[:1])
    empty(taking.state)
    for part in (slice(0, 150), slice(150, 300)):
        empty(adding.state)
        adding.learn_plays(users[part], items[part], data.seconds[part], data.ratios[part])
        changed = np.flatnonzero(adding.state.facts.any(axis=1))
        register(taking, adding.state, changed)
        pour(adding.state, taking.state, changed)
    rows = taking.lookup(whole.state.track_key[: whole.tracks])
    facts = taking.state.facts[rows, N_NEXT:STEP]
    assert np.allclose(whole.state.facts[: whole.tracks, N_NEXT:STEP], facts, rtol=1e-4)
    for table in ("pair", "next"):
        for row, other in enumerate(rows.tolist()):
            assert neighbours(whole, table, row) == pytest.approx(neighbours(taking, table, other))


def neighbours(model: Recommender, table: str, row: int) -> dict[int, float]:
    """Return the key and the sum of both weights of each neighbour of a row."""
    first, second = {"pair": ("session", "taste"), "next": ("direct", "window")}[table]
    ids = getattr(model.state, f"{table}_ids")[row]
    both = (getattr(model.state, f"{table}_{name}")[row] for name in (first, second))
    sums = sum(both)
    return {
        int(model.state.track_key[held - 1]): float(value)
        for held, value in zip(ids, sums, strict=True)
        if held
    }


@pytest.mark.parametrize(("how", "factor"), [("mean", 0.5), ("sum", 1.0)])
def test_shards_exchange_the_mean_or_the_sum_of_what_changed(how: str, factor: float) -> None:
    models = [Recommender(ModelConfig(tracks=64, listeners=8)) for _ in range(2)]
    base = weights(models[0])
    start = base[0].copy()
    models[0].state.linear[:] += 1.0
    exchange(models, base, how)
    assert np.allclose(models[0].state.linear, start + factor)
    assert np.allclose(models[1].state.linear, start + factor)
