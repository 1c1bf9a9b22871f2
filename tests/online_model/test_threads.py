"""Several threads that learn one model: what is exact, what is close, when one thread learns."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from online_model import LearningThreads, ModelConfig, Recommender
from online_model.state import (
    CLOCK,
    EVICTED_TRACKS,
    FORTNIGHT,
    N_NEXT,
    POPULAR,
    STEP,
    TOP,
    TRIALS,
    UPDATES,
)

from .plays import SMALL, Plays, made_up

ROOT = Path(__file__).resolve().parents[2]

CROWD = """
import numpy as np
from online_model import LearningThreads, ModelConfig, Recommender
model = Recommender(ModelConfig(tracks=400, listeners=64, pair_slots=24, next_slots=8))
learner = LearningThreads(model, 4)
chance = np.random.default_rng(1)
for second in range(1_700_000_000, 1_700_060_000, 2_000):
    users, tracks = chance.integers(1, (41, 301), (600, 2)).astype(np.uint64).T
    seconds = second + 3 * np.arange(600)
    learner.learn_plays(users, tracks, seconds, np.full(600, 255, np.uint8))
learner.close()
assert model.plays_learned == 600 * 30
for ids in (model.state.next_ids, model.state.pair_ids):
    assert 0 <= ids.min() and ids.max() <= model.tracks == 300
    assert (np.diff(ids == 0, axis=1) >= 0).all()
"""


@pytest.fixture
def plays() -> Plays:
    """Plays of which some come twice and some late."""
    made = made_up(3000)
    order = np.arange(3000)
    order[500:600] = order[400:500]
    order[[700, 701, 702]] = order[[900, 901, 902]]
    return Plays(made.users[order], made.tracks[order], made.seconds[order], made.ratios[order])


def learned(model: Recommender, plays: Plays, threads: int, piece: int = 250) -> list[int]:
    """Learn in pieces; return the positions whose tracks were met."""
    met: list[int] = []
    learner = LearningThreads(model, threads)
    for at in range(0, len(plays.users), piece):
        part = plays.part(at, at + piece)

        def meet(k: int, at: int = at) -> None:
            met.append(at + k)
            key = int(plays.tracks[at + k])
            model.register_track(key, artist_key=key % 7 + 1, document=b"%d" % key)

        learner.learn_plays(*part, meet=meet)
    learner.close()
    return met


@pytest.fixture
def both(plays: Plays) -> tuple[Recommender, Recommender]:
    """One model that learned by itself, and one that learned in four threads."""
    one, many = Recommender(SMALL), Recommender(SMALL)
    learned(one, plays, 1)
    learned(many, plays, 4)
    return one, many


def test_one_thread_gives_the_model_bit_by_bit(plays: Plays) -> None:
    alone, one = Recommender(SMALL), Recommender(SMALL)
    alone.learn_plays(*plays)
    LearningThreads(one, 1).learn_plays(*plays)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(alone.state, one.state, strict=True))


def test_counts_and_windows_are_exact(plays: Plays, both: tuple[Recommender, Recommender]) -> None:
    one, many = both
    exact = [k for k in range(len(one.state.counters)) if k not in (TRIALS, TOP)]
    exact = [k for k in exact if one.state.counters[k] != many.state.counters[k]]
    assert set(exact) <= {UPDATES}, "which tracks were proposed differs a little"
    assert one.state.counters[CLOCK] == many.state.counters[CLOCK] == plays.seconds.max()
    for user in range(1, 11):
        rows, seconds, ratios = one.window(user)
        other_rows, other_seconds, other_ratios = many.window(user)
        assert one.state.track_key[rows].tolist() == many.state.track_key[other_rows].tolist()
        assert seconds.tolist() == other_seconds.tolist()
        assert ratios.tolist() == other_ratios.tolist()
    assert np.allclose(one.state.totals, many.state.totals)


def test_a_track_is_met_once(plays: Plays) -> None:
    model = Recommender(SMALL)
    met = learned(model, plays, 4)
    keys = [int(plays.tracks[k]) for k in met]
    assert Counter(keys) == dict.fromkeys(plays.tracks.tolist(), 1)
    rows = model.lookup(np.array(keys, np.uint64))
    assert [model.document(row) for row in rows] == [b"%d" % key for key in keys]


def test_what_tracks_gained_is_that_of_one_thread(both: tuple[Recommender, Recommender]) -> None:
    one, many = both
    keys = one.state.track_key[: one.tracks]
    rows = many.lookup(keys)
    assert (rows >= 0).all()
    facts = many.state.facts[rows]
    assert np.allclose(one.state.facts[: one.tracks, N_NEXT:STEP], facts[:, N_NEXT:STEP], rtol=0.02)
    for row, other in enumerate(rows.tolist()):
        ids = one.state.pair_ids[row]
        own = set(one.state.track_key[ids[ids > 0] - 1].tolist())
        ids = many.state.pair_ids[other]
        assert own == set(many.state.track_key[ids[ids > 0] - 1].tolist())
        shared = one.state.pair_session[row].sum(), many.state.pair_session[other].sum()
        assert shared[0] == pytest.approx(shared[1], rel=0.02)


def test_popular_tracks_are_in_order_and_each_once(both: tuple[Recommender, Recommender]) -> None:
    _, many = both
    top = many.state.top[: many.state.counters[TOP]]
    assert len(set(top.tolist())) == len(top) == many.tracks
    assert (np.diff(many.state.facts[top, POPULAR + FORTNIGHT]) <= 0).all()


def test_trials_of_all_threads_are_kept(both: tuple[Recommender, Recommender]) -> None:
    one, many = both
    made = int(many.state.counters[TRIALS])
    assert made == pytest.approx(int(one.state.counters[TRIALS]), abs=100)
    assert made > 2000
    assert many.state.trials[:made, 4].all(), "each trial of a known list has a novelty"
    report, other = one.health(), many.health()
    assert other["all"]["hr@10"] == pytest.approx(report["all"]["hr@10"], abs=0.05)


def test_one_thread_learns_when_rows_run_out() -> None:
    """Freeing rows sweeps all tables; then both models are the same bit by bit."""
    config = ModelConfig(tracks=64, listeners=8)
    plays = made_up(600, tracks=200, listeners=20)
    alone, shared = Recommender(config), Recommender(config)
    learned(alone, plays, 1, piece=100)
    learned(shared, plays, 2, piece=100)
    assert shared.state.counters[EVICTED_TRACKS] > 0
    assert all(a.tobytes() == b.tobytes() for a, b in zip(alone.state, shared.state, strict=True))


def test_one_thread_learns_when_an_origin_moves() -> None:
    """Two threads that both scaled all popularity would leave none."""
    one, many = Recommender(SMALL), Recommender(SMALL)
    plays = made_up(400)
    plays = plays._replace(seconds=plays.seconds + 86_400 * (np.arange(400) // 50))
    learned(one, plays, 1, piece=100)
    learned(many, plays, 4, piece=100)
    assert np.allclose(one.state.totals, many.state.totals)


@pytest.mark.slow
def test_threads_that_fill_the_same_rows_stay_inside_them() -> None:
    """In a process of its own: a write outside the arrays would end it."""
    subprocess.run([sys.executable, "-c", CROWD], cwd=ROOT, check=True, timeout=300)


def test_an_error_in_a_thread_is_raised_after_all_have_ended(plays: Plays) -> None:
    learner = LearningThreads(Recommender(SMALL), 4)

    def refuse(position: int) -> None:
        if plays.users[position] % np.uint64(4) == 3:
            raise ValueError(position)

    with pytest.raises(ValueError, match=r"^\d+$"):
        learner.learn_plays(*plays.part(0, 400), meet=refuse)
    learner.close()
