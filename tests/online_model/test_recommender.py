"""The public interface: learning, redelivery, lists, documents, River's checks."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from river.checks import common, reco

from contracts.errors import ConfigurationError
from online_model import ModelConfig, Recommender, TooManyOffsets
from online_model.recommender import ratio_code

from .plays import SMALL, made_up


def _same_bytes(a: Recommender, b: Recommender) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a.state, b.state, strict=True))


@pytest.fixture
def learned() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(2_000))
    return model


# ``river.checks.yield_checks`` imports scikit-learn for data sets no ranker is tested on, so the
# checks that apply to a ranker are named here.
RIVER_CHECKS = [
    common.check_repr,
    common.check_str,
    common.check_tags,
    common.check_clone_same_class,
    common.check_clone_is_idempotent,
    common.check_init_has_default_params_for_tests,
    common.check_init_default_params_are_not_mutable,
    common.check_doc,
    common.check_clone_changes_memory_addresses,
    common.check_mutate_can_be_idempotent,
    common.check_pickling_supports_roundtrip,
    common.check_repr_roundtrips_clone,
    common.check_clone_with_new_params_applies,
    common.check_get_params_matches_signature,
    reco.check_reco_routine,
]


@pytest.mark.parametrize("check", [pytest.param(c, id=c.__name__) for c in RIVER_CHECKS])
def test_river_estimator_checks(check: Callable[[Recommender], None]) -> None:
    check(Recommender(SMALL))


def test_batches_and_single_plays_give_the_same_bytes() -> None:
    plays = made_up(500)
    whole, single = Recommender(SMALL), Recommender(SMALL)
    whole.learn_plays(*plays)
    for k in range(500):
        single.learn_plays(*plays.part(k, k + 1))
    assert _same_bytes(whole, single)


def test_serving_changes_nothing(learned: Recommender) -> None:
    before = learned.freeze()
    plays = made_up(20)
    learned.recommend(plays.tracks, plays.seconds, plays.ratios, now=int(plays.seconds[-1]))
    learned.predict_one("nobody", "nothing")
    learned.rank("nobody", {"a", "b"})
    assert learned.freeze() == before


def test_redelivered_plays_change_only_the_count_of_duplicates(learned: Recommender) -> None:
    again = made_up(2_000)
    before = [a.copy() for a in learned.state]
    stats = learned.learn_plays(*again)
    assert stats.learned == 0
    assert stats.duplicates == 2_000
    for name, old, new in zip(learned.state._fields, before, learned.state, strict=True):
        if name != "counters":
            assert old.tobytes() == new.tobytes(), name


def test_late_play_takes_its_place_and_teaches_nothing() -> None:
    model = Recommender(SMALL)
    u, ratio = np.array([7] * 3, np.uint64), np.array([255] * 3, np.uint8)
    stats = model.learn_plays(u, np.array([1, 2, 3], np.uint64), np.array([100, 300, 200]), ratio)
    assert stats == (2, 0, 1, 3)
    tracks, seconds, _ = model.window(7)
    assert seconds.tolist() == [100, 200, 300]
    assert tracks.tolist() == model.lookup([1, 3, 2]).tolist()
    assert not model.state.next_ids[model.lookup([3])[0]].any()


def test_window_keeps_the_newest_and_ignores_what_is_older() -> None:
    model = Recommender(ModelConfig(tracks=50, listeners=5, history=4))

    def play(track: int, second: int) -> tuple[int, int, int]:
        return model.learn_plays(
            np.array([7], np.uint64),
            np.array([track], np.uint64),
            np.array([second]),
            np.array([255], np.uint8),
        )[:3]

    for k in range(6):
        assert play(k + 1, 100 * (k + 1)) == (1, 0, 0)
    assert model.window(7)[1].tolist() == [300, 400, 500, 600]
    assert play(9, 150) == (0, 0, 1)
    assert play(9, 450) == (0, 0, 1)
    assert model.window(7)[1].tolist() == [400, 450, 500, 600]


def test_next_track_of_a_ring_is_found(learned: Recommender) -> None:
    now = learned.clock
    hits = 0
    for track in range(1000, 1040):
        ranking = learned.recommend([track], [now], [255], now=now + 30, k=3)
        hits += int(learned.lookup([track + 1])[0]) in ranking.indices.tolist()
    assert hits >= 36


def test_list_is_in_order_and_leaves_out_what_it_must(learned: Recommender) -> None:
    now = learned.clock
    window = [1000, 1001, 1002]
    seconds = [now - 200, now - 100, now]
    everything = learned.recommend(window, seconds, [255] * 3, now=now + 1, k=50)
    assert np.all(np.diff(everything.scores) <= 0)
    assert len(set(everything.indices.tolist())) == 50
    assert learned.lookup([1002])[0] not in everything.indices
    hidden = learned.recommend(window, seconds, [255] * 3, now=now + 1, k=50, hidden=[1003])
    assert learned.lookup([1003])[0] in everything.indices
    assert learned.lookup([1003])[0] not in hidden.indices
    fresh = learned.recommend(window, seconds, [255] * 3, now=now + 1, k=60, discover=True)
    assert not set(learned.lookup(window).tolist()) & set(fresh.indices.tolist())
    assert everything.features.shape == (50, learned.state.linear.shape[2])


def test_stranger_gets_popular_tracks(learned: Recommender) -> None:
    ranking = learned.recommend([], [], [], now=learned.clock, k=5)
    assert ranking.stranger
    assert len(ranking) == 5
    unknown = learned.recommend([424242], [5], [255], now=learned.clock, k=5)
    assert unknown.stranger
    assert unknown.indices.tolist() == ranking.indices.tolist()


def test_seed_track_leads_the_list(learned: Recommender) -> None:
    ranking = learned.recommend([], [], [], now=learned.clock, k=3, seed=1010)
    assert learned.lookup([1011])[0] in ranking.indices


def test_empty_model_serves_an_empty_list() -> None:
    model = Recommender(SMALL)
    ranking = model.recommend([1], [1], [255], now=5)
    assert len(ranking) == 0
    assert ranking.stranger
    assert model.trending(5) == []
    assert model.similar(1) == []


def test_documents_and_aliases() -> None:
    model = Recommender(SMALL)
    row = model.register_track(11, id_key=22, artist_key=33, document=b'{"title":"x"}')
    assert model.register_track(11, id_key=22, artist_key=33, document=b"other") == row
    assert model.lookup([11, 22, 44]).tolist() == [row, row, -1]
    assert model.document(row) == b'{"title":"x"}'
    assert model.document(-1) == model.document(10**6) == b""
    assert model.register_track(55, id_key=22) == row  # another spelling, the same id


def test_artist_cap(learned: Recommender) -> None:
    for track in range(1000, 1060):
        learned.register_track(track, artist_key=1 + (track >= 1030))
    now = learned.clock
    ranking = learned.recommend([1000], [now], [255], now=now, k=10, artist_cap=2)
    artists = learned.state.artist[ranking.indices].tolist()
    assert len(ranking) == 4
    assert sorted(artists) == [1, 1, 2, 2]


def test_offsets_live_in_the_arrays(learned: Recommender) -> None:
    learned.set_offset("log-a", 3, 41)
    learned.set_offset("log-a", 3, 42)
    learned.set_offset("log-b", 3, 7)
    assert learned.offsets == {("log-a", 3): 42, ("log-b", 3): 7}


def test_offsets_of_logs_long_gone_make_room_for_those_of_today(learned: Recommender) -> None:
    """An in-memory broker begins another log at every start."""
    for life in range(20):
        for partition in range(64):  # the table holds 1,024
            learned.set_offset(f"log {life}", partition, life)
    logs = {log_id for log_id, _ in learned.offsets}
    assert ("log 0" in logs, "log 18" in logs, "log 19" in logs) == (False, True, True)
    assert all(offset == int(log_id.split()[1]) for (log_id, _), offset in learned.offsets.items())
    for partition in range(1024):
        learned.set_offset("too wide", partition, 1)
    with pytest.raises(TooManyOffsets):
        learned.set_offset("too wide", 1024, 1)


@pytest.mark.parametrize("name", ["tracks", "pair_slots", "taste_tracks", "ranker_every"])
def test_a_model_of_no_size_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be at least 1, not 0"):
        ModelConfig(**{name: 0})


def test_pickle_keeps_everything(learned: Recommender) -> None:
    learned.set_offset("log", 0, 9)
    twin = pickle.loads(pickle.dumps(learned))
    assert _same_bytes(learned, twin)
    plays = made_up(300, seed=5)
    later = plays._replace(seconds=plays.seconds + 10**6)
    learned.learn_plays(*later)
    twin.learn_plays(*later)
    assert _same_bytes(learned, twin)


def test_clone_is_empty(learned: Recommender) -> None:
    assert learned.clone().plays_learned == 0
    assert learned.clone().settings == learned.settings


def test_a_play_from_the_far_future_does_not_wipe_the_memory(learned: Recommender) -> None:
    clock = learned.clock
    learned.learn_plays(
        np.array([3], np.uint64),
        np.array([1001], np.uint64),
        np.array([clock + 10**9]),
        np.array([255], np.uint8),
    )
    assert learned.clock <= clock + 7 * 86_400
    ranking = learned.recommend([1005], [clock], [255], now=clock + 5, k=3)
    assert learned.lookup([1006])[0] in ranking.indices


def test_nonsense_times_are_survived() -> None:
    model = Recommender(SMALL)
    seconds = np.array([-5, 0, 2**62, -(2**62)])
    model.learn_plays(
        np.arange(1, 5, dtype=np.uint64),
        np.arange(1, 5, dtype=np.uint64),
        seconds,
        np.full(4, 255, np.uint8),
    )
    assert model.plays_learned == 4
    model.recommend([1, 2], [2**62, -(2**62)], [255, 255], now=-(2**62))


def test_ratio_code() -> None:
    assert [ratio_code(x) for x in (-1.0, 0.0, 0.333, 1.0, 99.0)] == [0, 0, 33, 100, 254]


def test_erased_listener_is_gone_and_comes_back_a_stranger(learned: Recommender) -> None:
    assert len(learned.window(3)[0]) > 0
    assert learned.erase_listener(3)
    assert not learned.erase_listener(3)
    assert len(learned.window(3)[0]) == 0
    assert not (learned.state.listener_key == 3).any()
    listeners = int((learned.state.listener_key != 0).sum())
    learned.learn_plays(
        np.array([3], np.uint64),
        np.array([1001], np.uint64),
        np.array([learned.clock + 10]),
        np.array([255], np.uint8),
    )
    assert len(learned.window(3)[0]) == 1
    assert int((learned.state.listener_key != 0).sum()) == listeners + 1


def test_ranker_learns_from_all_plays_at_first_and_from_fewer_later() -> None:
    model = Recommender(ModelConfig(tracks=200, listeners=50, warm_up=100, ranker_every=4))
    plays = made_up(1_000)._replace(ratios=np.full(1_000, 255, np.uint8))
    trials = []
    for k in range(0, 1_000, 100):
        model.learn_plays(*plays.part(k, k + 100))
        trials.append(model.health()["counters"]["trials"])
    assert np.diff([0, *trials]).tolist() == [100, 50, 33, 25, 25, 25, 25, 25, 25, 25]
