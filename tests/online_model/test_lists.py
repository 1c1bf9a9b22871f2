"""What a list carries besides tracks: reasons, propensities, health; and bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import ModelConfig, Ranking, Recommender
from online_model.diversity import likeness
from online_model.exploration import explore
from online_model.health import figures

from .plays import SMALL, made_up


@pytest.fixture(scope="module")
def learned() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(3_000))
    return model


def test_diversity_spreads_a_list_and_zero_changes_nothing(learned: Recommender) -> None:
    now = learned.clock

    def ask(diversity: float, explore: float = 0.0) -> Ranking:
        return learned.recommend(
            [1005], [now], [255], now=now + 5, k=8, diversity=diversity, explore=explore, draw=3
        )

    plain, varied, wild = ask(0.0), ask(0.4), ask(1.0)
    assert (
        plain.indices.tolist()
        == learned.recommend([1005], [now], [255], now=now + 5, k=8).indices.tolist()
    )
    assert varied.indices[0] == wild.indices[0] == plain.indices[0]
    alike = [_alike(learned, r) for r in (plain, varied, wild)]
    assert alike[0] > alike[1] > alike[2]
    assert len(set(wild.indices.tolist())) == 8
    # Places keep what belongs to them, and draws stay on top of the order.
    assert set(varied.indices.tolist()) != set(plain.indices.tolist())
    at = {int(i): s for i, s in zip(plain.indices, plain.scores, strict=True)}
    for index, score in zip(varied.indices.tolist(), varied.scores.tolist(), strict=True):
        assert at.get(index, score) == score
    drawn = ask(0.4, explore=0.5)
    assert drawn.propensities.min() < 0.5


def _alike(model: Recommender, ranking: Ranking) -> float:
    like = likeness(model.state, ranking.indices)
    return float(like[np.triu_indices(len(like), 1)].mean())


def test_diversity_counts_an_artist_as_likeness(learned: Recommender) -> None:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(1_000))
    for track in range(1000, 1060):
        model.register_track(track, artist_key=1 + (track >= 1010))
    now = model.clock
    ranking = model.recommend([1004], [now], [255], now=now, k=4, diversity=0.9)
    assert len(set(model.state.artist[ranking.indices[:2]].tolist())) == 2


def test_one_evening_of_one_listener_makes_no_tracks_alike() -> None:
    model = Recommender(SMALL)
    for track in range(1000, 1009):
        model.register_track(track, artist_key=1 + track % 3)
    plays = np.arange(27)
    model.learn_plays(
        np.ones(27, np.uint64),
        (1000 + plays % 9).astype(np.uint64),
        1_700_000_000 + 60 * plays,
        np.full(27, 255, np.uint8),
    )
    ranking = model.recommend(
        [1000], [model.clock], [255], now=model.clock + 60, k=9, diversity=1.0
    )
    assert len(set(model.state.artist[ranking.indices[:3]].tolist())) == 3


def test_reasons_name_the_play_that_led_here(learned: Recommender) -> None:
    now = learned.clock
    ranking = learned.recommend(
        [1004, 1005], [now - 60, now], [255, 255], now=now + 5, explain=True
    )
    row = int(learned.lookup([1006])[0])
    reasons = ranking.reasons[ranking.indices.tolist().index(row)]
    strongest = reasons[0]
    assert strongest.source == "next"
    assert strongest.contribution > 0.5
    assert strongest.plays[0].track == int(learned.lookup([1005])[0])
    # Four plays in five follow the ring: about 3000 / 60 * .8 of them took this step.
    assert 20 < strongest.plays[0].support < 60


def test_no_reasons_unless_asked(learned: Recommender) -> None:
    assert learned.recommend([1005], [learned.clock], [255], now=learned.clock).reasons == ()


def test_exploration_is_reproducible_and_its_chances_are_true(learned: Recommender) -> None:
    now = learned.clock
    plain = learned.recommend([1005], [now], [255], now=now, k=5)
    counts = {int(i): 0 for i in plain.indices}
    draws = 400
    for draw in range(draws):
        one = learned.recommend([1005], [now], [255], now=now, k=5, explore=0.3, draw=draw)
        two = learned.recommend([1005], [now], [255], now=now, k=5, explore=0.3, draw=draw)
        assert one.indices.tolist() == two.indices.tolist()
        assert len(set(one.indices.tolist())) == 5
        for index, chance in zip(one.indices.tolist(), one.propensities.tolist(), strict=True):
            if index in counts:
                counts[index] += 1
                assert chance == pytest.approx(0.7)
            else:
                assert chance < 0.3
    shares = [count / draws for count in counts.values()]
    assert np.mean(shares) == pytest.approx(0.7, abs=0.05)


def test_exploration_with_nothing_in_line() -> None:
    positions, chances = explore(3, 5, 0.9, 1)
    assert positions.tolist() == [0, 1, 2]
    assert chances.tolist() == [1.0, 1.0, 1.0]


def test_once_nothing_is_in_line_a_place_is_certain() -> None:
    """Six tracks in line, eight places: places after the sixth draw show what they show surely."""
    ran_out = 0
    for draw in range(300):
        positions, chances = explore(14, 8, 0.9, draw)
        assert len(set(positions.tolist())) == 8
        in_line = 6
        for place, (position, chance) in enumerate(zip(positions, chances, strict=True)):
            if in_line == 0:
                assert (position, chance) == (place, 1.0)
                ran_out += 1
            elif position == place:
                assert chance == pytest.approx(0.1)
            else:
                assert position >= 8
                assert chance == pytest.approx(0.9 / in_line)
                in_line -= 1
    assert ran_out > 0


def test_health_knows_the_quality_and_the_baseline(learned: Recommender) -> None:
    report = learned.health()
    assert report["all"]["events"] == report["counters"]["trials"]
    assert report["all"]["hr@10"] > report["popularity"]["hr@10"] + 0.2
    assert report["situations"]["in session"]["events"] > 0
    assert set(report["drift"]) == {"found", "trials_ago"}
    assert 0.9 < report["coverage@10"] <= 1.0  # sixty tracks, a thousand lists
    assert report["novelty@10"] == pytest.approx(np.log2(60), abs=1.0)
    gauges = figures(report)
    assert gauges["all_hr@10"] == report["all"]["hr@10"]
    assert gauges["situations_in_session_hr@10"] > 0
    assert gauges["drift_found"] in (0.0, 1.0)
    assert Recommender(SMALL).health()["all"]["events"] == 0


def test_health_flags_a_stream_that_changes() -> None:
    model = Recommender(ModelConfig(tracks=300, listeners=50, ranker_every=1))
    model.learn_plays(*made_up(3_000))
    g = np.random.default_rng(0)
    noise = made_up(3_000, seed=1)
    noise = noise._replace(
        tracks=g.integers(1000, 1060, 3_000).astype(np.uint64),
        seconds=noise.seconds + (model.clock - int(noise.seconds[0]) + 60),
    )
    model.learn_plays(*noise)
    assert model.health()["drift"]["found"]


def test_memory_stays_flat_over_an_endless_stream() -> None:
    config = ModelConfig(tracks=64, listeners=32, document_bytes=64)
    model = Recommender(config)
    sizes = []
    for part in range(20):
        g = np.random.default_rng(part)
        n = 400
        users = g.integers(40 * part + 1, 40 * part + 60, n).astype(np.uint64)
        tracks = g.integers(70 * part + 1, 70 * part + 120, n).astype(np.uint64)
        seconds = 1_700_000_000 + np.arange(part * n, (part + 1) * n) * 30
        for track in np.unique(tracks)[:10].tolist():
            model.register_track(track, id_key=track + 10**6, document=b'{"title":"%d"}' % track)
        model.learn_plays(users, tracks, seconds, np.full(n, 255, np.uint8))
        sizes.append(sum(map(len, model.freeze())))
        ranking = model.recommend(tracks[-5:], seconds[-5:], [255] * 5, now=int(seconds[-1]), k=10)
        assert len(ranking) > 0
    assert max(sizes[3:]) <= sizes[3] * 1.05
    health = model.health()["counters"]
    assert health["evicted_tracks"] > 0
    assert health["evicted_listeners"] > 0


def test_forgotten_tracks_leave_no_trace() -> None:
    config = ModelConfig(tracks=32, listeners=32)
    model = Recommender(config)
    plays = made_up(600, tracks=30)
    model.learn_plays(*plays)
    for key in range(5000, 5040):  # more new tracks than there is room for
        model.register_track(key)
    state = model.state
    live = set(model.lookup(np.arange(1000, 1030).astype(np.uint64)).tolist()) - {-1}
    live |= set(model.lookup(np.arange(5000, 5040).astype(np.uint64)).tolist()) - {-1}
    for ids in (state.next_ids, state.pair_ids):
        for row in range(32):
            assert {i - 1 for i in ids[row].tolist() if i} <= live
    for row in range(int(state.counters[4])):
        key = int(state.track_key[row])
        if key:
            assert model.lookup([key]).tolist() == [row]
