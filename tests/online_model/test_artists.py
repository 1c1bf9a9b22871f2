"""Artists as evidence: their tracks are proposed, their rows are given back, nobody is named."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import ModelConfig, Recommender
from online_model.artists import forget_artist_tracks
from online_model.eviction import forget_tracks
from online_model.features import FEATURE_NAMES
from online_model.state import A_NEXT, A_PLAYS, A_SELF

NOW = 1_700_000_000
CONFIG = ModelConfig(tracks=64, listeners=16)


def _learn(model: Recommender, plays: list[tuple[int, int]], *, start: int = NOW) -> None:
    """Learn (listener, track) pairs, a play every 200 seconds."""
    users, tracks = (np.array(column, np.uint64) for column in zip(*plays, strict=True))
    seconds = start + 200 * np.arange(len(plays))
    model.learn_plays(users, tracks, seconds, np.full(len(plays), 100, np.uint8))


@pytest.fixture
def model() -> Recommender:
    """Artist 1 made the tracks 10 to 15, artist 2 the tracks 20 to 25; listener 1 heard them."""
    model = Recommender(CONFIG)
    for artist in (1, 2):
        for track in range(6):
            model.register_track(10 * artist + track, artist_key=artist)
    _learn(model, [(1, 11), (1, 12), (1, 12), (1, 12), (1, 21)])
    return model


def _row(model: Recommender, track: int) -> int:
    return int(model.lookup([track])[0])


def _listed(model: Recommender, window: list[int], *, discover: bool = True) -> list[int]:
    now = NOW + 90 * 86_400
    seconds = [now - 200 * (len(window) - k) for k in range(len(window))]
    ranking = model.recommend(
        window, seconds, [100] * len(window), now=now, k=30, discover=discover
    )
    return [int(model.state.track_key[row]) for row in ranking.indices]


def test_unheard_tracks_of_an_artist_just_played_are_proposed(model: Recommender) -> None:
    listed = _listed(model, [11])
    assert {10, 12, 13, 14, 15} <= set(listed)  # nobody has played 10, 13, 14 and 15
    assert 11 not in listed


def test_the_best_known_tracks_of_an_artist_stand_in_order(model: Recommender) -> None:
    artist = int(model.state.track_artist[_row(model, 11)]) - 1
    first = [int(model.state.track_key[row - 1]) for row in model.state.known_ids[artist, :2]]
    assert first == [12, 11]


def test_a_track_met_after_all_plays_is_proposed(model: Recommender) -> None:
    model.register_track(19, artist_key=1)
    assert 19 in _listed(model, [11])
    assert 19 not in _listed(model, [99])


def test_plays_of_an_artist_and_what_followed_them_are_counted(model: Recommender) -> None:
    facts = model.state.artist_facts[int(model.state.track_artist[_row(model, 11)]) - 1]
    assert facts[A_PLAYS] == pytest.approx(4, rel=1e-3)
    assert facts[A_NEXT] == pytest.approx(4, rel=1e-3)
    assert facts[A_SELF] == pytest.approx(3, rel=1e-3)


def test_an_artist_of_the_same_session_is_kin(model: Recommender) -> None:
    assert {20, 22, 23} <= set(_listed(model, [11]))
    ranking = model.recommend([11], [NOW], [100], now=NOW + 200, k=30)
    kin = ranking.features[:, FEATURE_NAMES.index("artist_kin")]
    own = ranking.features[:, FEATURE_NAMES.index("same_artist")]
    assert (kin[own == 0] > 0).any()


def test_skips_of_an_artist_are_seen(model: Recommender) -> None:
    window, seconds = [12, 11], [NOW - 400, NOW - 200]
    column = FEATURE_NAMES.index("artist_skips")
    for ratio, above in ((100, False), (5, True)):
        ranking = model.recommend(window, seconds, [ratio] * 2, now=NOW, k=30)
        row = ranking.indices.tolist().index(_row(model, 13))
        assert (ranking.features[row, column] > 0) == above


def test_a_stream_without_artists_has_no_artist_evidence() -> None:
    model = Recommender(CONFIG)
    _learn(model, [(1, 11), (1, 12), (2, 11)])
    ranking = model.recommend([11], [NOW], [100], now=NOW + 200, k=5)
    for name in ("artist_session", "artist_next", "artist_rank", "artist_share", "artist_kin"):
        assert not ranking.features[:, FEATURE_NAMES.index(name)].any(), name


def test_forgotten_tracks_leave_their_artist_and_an_empty_artist_its_row(
    model: Recommender,
) -> None:
    state = model.state
    gone = np.zeros(CONFIG.tracks, np.bool_)
    gone[model.lookup([10, 11, 12, 13, 14, 15, 21])] = True
    forget_artist_tracks(state, gone)
    forget_tracks(state, gone)
    rows = np.flatnonzero(gone) + 1
    assert not np.isin(state.known_ids, rows).any()
    assert not np.isin(state.newest_ids, rows).any()
    assert state.artist_key[:2].tolist() == [0, 2]
    assert not state.known_ids[0].any()
    assert not state.artist_facts[0].any()
    assert 1 not in state.kin_ids  # artist row 0, plus one
    model.register_track(31, artist_key=3)
    assert state.artist_key[0] == 3  # the row is used again
    assert state.artist_size[:2].tolist() == [1, 5]


def test_artists_never_need_more_rows_than_tracks() -> None:
    model = Recommender(ModelConfig(tracks=32, listeners=4))
    for k in range(200):
        model.register_track(1000 + k, artist_key=5000 + k)
        _learn(model, [(1, 1000 + k)], start=NOW + 1000 * k)
    state = model.state
    used = state.artist_key[state.artist_key != 0]
    assert len(used) == len(set(used.tolist())) == int((state.track_artist > 0).sum())


def test_a_snapshot_holds_the_artists(model: Recommender) -> None:
    import pickle

    again = pickle.loads(pickle.dumps(model))
    assert _listed(again, [11]) == _listed(model, [11])
