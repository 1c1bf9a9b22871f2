"""The referee itself: protocol, ties, cold starts, no leaks; and a floor for the quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from online_model.baselines import BASELINES
from online_model.evaluation import evaluate, first_time, judge_dense, run_baseline
from online_model.interactions import Interactions, read_interactions
from online_model.seeds import evaluate_seeds

from .plays import made_up


def _stream(n: int, **options: int) -> Interactions:
    plays = made_up(n, **options)
    return Interactions(
        users=plays.users.astype(np.int64) - 1,
        items=np.unique(plays.tracks, return_inverse=True)[1].astype(np.int64),
        seconds=plays.seconds,
        ratios=plays.ratios,
        columns=("user", "item", "ts"),
    )


def _silent(done: int, total: int, name: str) -> None:
    del done, total, name


def _named(plays: list[tuple[int, int, int]]) -> Interactions:
    """Return a stream of (listener, track, artist), a play every 200 seconds."""
    users, items, artists = (np.array(column, np.int64) for column in zip(*plays, strict=True))
    return Interactions(
        users=users,
        items=items,
        seconds=1_700_000_000 + 200 * np.arange(len(plays)),
        ratios=np.full(len(plays), 255, np.uint8),
        columns=("u", "i", "t"),
        artists=artists,
    )


def _by_artists() -> Interactions:
    """Return invented sittings, each of some tracks of one artist, in any order."""
    g = np.random.default_rng(4)
    plays = []
    for listener in g.integers(0, 40, 1_500).tolist():
        artist = int(g.integers(0, 60))
        plays += [(listener, 12 * artist + int(k), artist) for k in g.permutation(12)[:5]]
    return _named(plays)


def test_rules_by_artist_by_hand() -> None:
    data = _named([(0, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 1), (1, 0, 0), (1, 2, 1)])
    miss = 2**31 - 1
    ranks = run_baseline("last artist", data, _silent)
    assert ranks.new.tolist() == [miss, miss, 2, miss, 1, 1]
    assert ranks.all.tolist() == [miss, miss, 2, miss, 2, 3]
    newest = run_baseline("last artist, newest", data, _silent, whole_artists=True)
    assert newest.all[1] <= 2  # known from the artist's first play on


def test_tracks_that_nobody_played_are_found_by_their_artist() -> None:
    """Listeners go through one artist's tracks after another, which nobody has heard before."""
    plays = []
    for turn in range(60):
        plays += [(turn % 7, 6 * turn + k, turn) for k in range(6)]
    data = _named(plays)
    result = evaluate(data, whole_artists=True, baselines=("popularity",))
    assert result["unplayed"]["events"] == 300
    assert result["unplayed"]["hr@10"] > 0.8
    assert result["baselines"]["popularity"]["unplayed"]["hr@10"] < 0.2
    assert evaluate(data)["new"]["hr@10"] == 0.0  # without the catalogue they are unknown


def test_ties_count_against_the_model() -> None:
    ranks, shown = np.zeros(2, np.int64), np.zeros((2, 10), np.int32)
    had = np.array([5, 0, 0, 0])
    judge_dense(np.ones(4), np.ones(4, np.bool_), 2, had, 5, ranks, shown)
    assert ranks.tolist() == [4, 3]  # item 0 is no alternative among the new ones
    judge_dense(np.ones(4), np.arange(4) < 2, 2, had, 5, ranks, shown)
    assert ranks.tolist() == [2**31 - 1] * 2  # nobody has played item 2 yet


def test_popularity_baseline_by_hand() -> None:
    data = Interactions(
        users=np.array([0, 0, 1, 1]),
        items=np.array([0, 1, 0, 1]),
        seconds=np.array([1, 2, 3, 4]),
        ratios=np.full(4, 255, np.uint8),
        columns=("u", "i", "t"),
    )
    ranks = run_baseline("popularity", data, _silent)
    miss = 2**31 - 1
    assert ranks.all.tolist() == [miss, miss, 2, 2]
    assert ranks.new.tolist() == [miss, miss, 2, 1]
    assert first_time(data).all()


def test_report_has_every_promised_field_and_beats_the_baselines() -> None:
    seen: list[tuple[int, int, str]] = []
    result = evaluate(
        _stream(3_000),
        baselines=tuple(BASELINES),
        progress=lambda done, total, name: seen.append((done, total, name)),
    )
    assert result["events"] == 3_000
    for part in ("all", "new"):
        assert set(result[part]) == {"hr@1", "hr@10", "ndcg@10", "mrr@10", "coverage@10"}
    assert set(result["rank_us"]) == set(result["learn_us"]) == {"p50", "p99"}
    assert result["replay_events_per_s"] > 0
    assert result["state_bytes"] > 0
    low, high = result["ci95"]["all"]["hr@10"]
    assert low <= result["all"]["hr@10"] <= high
    assert result["all"]["hr@1"] > 0.6  # four plays in five follow the ring
    for name in ("popularity", "decayed popularity", "item neighbours"):
        assert result["all"]["hr@10"] > result["baselines"][name]["all"]["hr@10"]
    assert seen[-1][0] == seen[-1][1] == 3_000


def test_chance_plays_teach_nothing() -> None:
    """Leak control: where tracks are drawn evenly, no list of ten does better than chance."""
    walk, tracks = _stream(2_000), 60
    drawn = np.random.default_rng(3).integers(0, tracks, len(walk))
    _, first, codes = np.unique(drawn, return_index=True, return_inverse=True)
    numbered = np.argsort(np.argsort(first))[codes]  # by first appearance
    data = Interactions(walk.users, numbered, walk.seconds, walk.ratios, walk.columns)
    chance = 10 / tracks
    deviation = np.sqrt(chance * (1 - chance) / len(walk))
    assert evaluate(data)["all"]["hr@10"] <= chance + 3 * deviation


def test_evaluation_is_deterministic() -> None:
    timing = {"rank_us", "learn_us", "replay_events_per_s"}
    first, second = (
        {k: v for k, v in evaluate(_stream(800)).items() if k not in timing} for _ in range(2)
    )
    assert first == second


def test_empty_and_single_streams() -> None:
    assert evaluate(_stream(1))["all"]["hr@10"] == 0.0


@pytest.mark.slow
def test_shuffled_items_are_no_better_than_popularity(shared_data: Path) -> None:
    """Leak control: with items shuffled against listeners nothing but popularity can be learned."""
    data = read_interactions(shared_data / "ml100k_ratings.parquet", limit=20_000)
    items = np.random.default_rng(0).permutation(data.items)
    items = np.unique(items, return_inverse=True)[1]
    order = np.argsort(np.unique(items, return_index=True)[1])
    numbered = np.argsort(order)[items]  # by first appearance
    shuffled = Interactions(data.users, numbered, data.seconds, data.ratios, data.columns)
    result = evaluate(shuffled, baselines=("popularity",))
    base = result["baselines"]["popularity"]["all"]["hr@10"]
    assert result["all"]["hr@10"] <= base + 0.004


@pytest.mark.slow
def test_artists_are_evidence_on_real_plays(shared_data: Path, real_data: bool) -> None:
    """First plays by name: better than without names, by more than the spread over starts."""
    with_names = _by_artists()
    if real_data:
        path = shared_data / "named_dev.parquet"
        with_names = read_interactions(
            path, user="listener", item="track", time="ended_at", artist="artist", limit=30_000
        )
    without = Interactions(
        with_names.users, with_names.items, with_names.seconds, with_names.ratios, ("", "", "")
    )
    named, bare = evaluate_seeds(with_names, 2), evaluate_seeds(without, 2)
    gain = 1.3 if real_data else 1.05  # invented listeners repeat more, so names add less
    assert named["new"]["hr@10"] > gain * bare["new"]["hr@10"]


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["30music_dev", "ml100k_ratings"])
def test_quality_gate(shared_data: Path, real_data: bool, stream: str) -> None:
    """Floors just below the mean over four starts on these prefixes; raise them with the model.

    One start alone is luck: 30music ALL moves by .004 between them.
    """
    limit, floors = (QUALITY_FLOORS if real_data else SYNTHETIC_FLOORS)[stream]
    data = read_interactions(shared_data / f"{stream}.parquet", limit=limit)
    result = evaluate_seeds(data, 4 if real_data else 2, baselines=("popularity",))
    reached = {(task, metric): result[task][metric] for task, metric in floors}
    assert all(reached[key] >= floor for key, floor in floors.items()), reached
    popularity = result["baselines"]["popularity"]
    assert all(reached[task, metric] > popularity[task][metric] for task, metric in floors)


SYNTHETIC_FLOORS = {
    "30music_dev": (
        8_000,
        {
            ("all", "hr@10"): 0.62,
            ("all", "ndcg@10"): 0.50,
            ("new", "hr@10"): 0.55,
            ("new", "ndcg@10"): 0.45,
        },
    ),
    "ml100k_ratings": (8_000, {("new", "hr@10"): 0.170, ("new", "ndcg@10"): 0.086}),
}
QUALITY_FLOORS = {
    "30music_dev": (
        40_000,
        {
            ("all", "hr@10"): 0.3130,
            ("all", "ndcg@10"): 0.2530,
            ("new", "hr@10"): 0.2350,
            ("new", "ndcg@10"): 0.1890,
        },
    ),
    "ml100k_ratings": (20_000, {("new", "hr@10"): 0.1765, ("new", "ndcg@10"): 0.0910}),
}


def test_seeds_are_starts_of_the_ranker_and_the_report_is_their_mean() -> None:
    data = _stream(800)
    one, again = evaluate_seeds(data, 1), evaluate_seeds(data, 3)
    assert one["seeds"]["count"] == 1
    assert set(one["seeds"]["spread"]["all"].values()) == {0.0}
    each = again["seeds"]["each"]["all"]["ndcg@10"]
    assert each[0] == one["all"]["ndcg@10"]
    assert len(set(each)) > 1  # another start ranks otherwise
    assert again["all"]["ndcg@10"] == pytest.approx(np.mean(each), abs=1e-4)
    assert again["seeds"]["spread"]["all"]["ndcg@10"] == pytest.approx(
        np.std(each, ddof=1), abs=1e-4
    )
