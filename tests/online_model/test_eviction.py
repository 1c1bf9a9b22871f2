"""Forgetting: a listener leaves no byte, tracks leave everywhere, and the idlest go first."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import FEATURE_NAMES, ModelConfig, Recommender
from online_model.artists import forget_artist_tracks
from online_model.eviction import forget_listeners, forget_tracks, make_room
from online_model.state import (
    ALIASES,
    EVICTED_LISTENERS,
    EVICTED_TRACKS,
    FREE_LISTENERS,
    FREE_TRACKS,
    POPULAR,
    TOP,
    State,
)

from .plays import SMALL, made_up

#: Bytes that no count, weight or other key has by chance.
EVE = 0xE7E8_E9EA_EBEC_EDEE
LISTENER_ROWS = (
    "listener_key",
    "listener_seen",
    "window_size",
    "window_tracks",
    "window_seconds",
    "window_ratios",
)


def model_of(plays: int = 200, **changes: int) -> Recommender:
    model = Recommender(ModelConfig(**({"tracks": 64, "listeners": 16} | changes)))
    model.learn_plays(*made_up(plays, tracks=30))
    return model


def with_eve() -> Recommender:
    """Return a model in which one listener more has played."""
    model = model_of()
    seconds = model.clock + 60 * np.arange(1, 21)
    tracks = np.arange(1000, 1020).astype(np.uint64)
    model.learn_plays(np.full(20, EVE, np.uint64), tracks, seconds, np.full(20, 90, np.uint8))
    return model


def held(model: Recommender, key: int) -> bool:
    whole = b"".join(array.tobytes() for array in model.state)
    saved = b"".join(model.freeze())
    code = key.to_bytes(8, "little")
    return code in whole or code in saved


def test_an_erased_listener_leaves_no_byte() -> None:
    model = with_eve()
    assert held(model, EVE)
    row = int(np.flatnonzero(model.state.listener_key == EVE)[0])
    assert all(getattr(model.state, name)[row].any() for name in LISTENER_ROWS)
    assert model.erase_listener(EVE)
    assert not held(model, EVE)
    for name in LISTENER_ROWS:
        assert not getattr(model.state, name)[row].any(), name
    assert not np.isin(row, model.state.listener_rows[model.state.listener_keys != 0])


def test_erasing_one_listener_touches_no_other() -> None:
    model, others = with_eve(), range(1, 11)
    before = {user: [a.tobytes() for a in model.window(user)] for user in others}
    shared = [getattr(model.state, n).tobytes() for n in ("next_direct", "pair_taste", "facts")]
    model.erase_listener(EVE)
    assert {user: [a.tobytes() for a in model.window(user)] for user in others} == before
    assert shared == [
        getattr(model.state, n).tobytes() for n in ("next_direct", "pair_taste", "facts")
    ]
    assert model.state.counters[EVICTED_LISTENERS] == 1


def test_the_row_of_a_forgotten_listener_is_given_to_the_next() -> None:
    model = with_eve()
    row = int(np.flatnonzero(model.state.listener_key == EVE)[0])
    model.erase_listener(EVE)
    assert model.state.counters[FREE_LISTENERS] == 1
    model.learn_plays(
        np.array([77], np.uint64),
        np.array([1001], np.uint64),
        np.array([model.clock + 9]),
        np.array([255], np.uint8),
    )
    assert model.state.listener_key[row] == 77
    assert len(model.window(77)[0]) == 1
    assert model.state.counters[FREE_LISTENERS] == 0


def test_the_listeners_idle_longest_go_first() -> None:
    model = Recommender(ModelConfig(tracks=64, listeners=32))
    seconds = np.arange(32) * 1000 + 1_700_000_000
    g = np.random.default_rng(0)
    order = g.permutation(32) + 1
    tracks = np.full(32, 5, np.uint64)
    model.learn_plays(order.astype(np.uint64), tracks, seconds, np.full(32, 255, np.uint8))
    make_room(model.state)
    gone = [user for user in order.tolist() if not len(model.window(user)[0])]
    assert gone == order[:2].tolist()  # a sixteenth


def test_there_is_no_sweep_while_rows_are_free() -> None:
    model = model_of()
    make_room(model.state)
    assert model.state.counters[[EVICTED_TRACKS, EVICTED_LISTENERS]].tolist() == [0, 0]


def test_the_tracks_idle_longest_go_first() -> None:
    model = Recommender(ModelConfig(tracks=32, listeners=8))
    g = np.random.default_rng(1)
    order = (g.permutation(32) + 1).astype(np.uint64)
    seconds = np.arange(32) * 1000 + 1_700_000_000
    model.learn_plays(np.ones(32, np.uint64), order, seconds, np.full(32, 255, np.uint8))
    make_room(model.state)
    assert order[model.lookup(order) < 0].tolist() == order[:2].tolist()


@pytest.fixture
def forgotten() -> tuple[Recommender, int]:
    """A model with names, artists, documents and outside tables, and one track forgotten."""
    model = model_of()
    for key in range(1000, 1030):
        model.register_track(key, id_key=key + 5000, artist_key=7, document=b'{"t":%d}' % key)
    row = int(model.lookup([1004])[0])
    for ids, weights in (
        (model.state.batch_ids, model.state.batch_weights),
        (model.state.content_ids, model.state.content_weights),
    ):
        ids[:30, :3] = [row + 1, 9, row + 1]
        weights[:30, :3] = 0.5
    gone = np.zeros(64, np.bool_)
    gone[row] = True
    before = model.state.facts[row, POPULAR : POPULAR + 3].copy(), model.state.totals.copy()
    forget_artist_tracks(model.state, gone)
    forget_tracks(model.state, gone)
    assert model.state.totals == pytest.approx(before[1] - before[0])
    return model, row


def test_a_forgotten_track_is_in_no_array(forgotten: tuple[Recommender, int]) -> None:
    model, row = forgotten
    state: State = model.state
    for ids in (
        state.next_ids,
        state.pair_ids,
        state.batch_ids,
        state.content_ids,
        state.known_ids,
        state.newest_ids,
    ):
        assert (ids != row + 1).all()
    assert (state.window_tracks[: int((state.window_size > 0).sum())] != row).any()
    for listener in range(16):
        assert row not in state.window_tracks[listener, : state.window_size[listener]]
    assert row not in state.top[: state.counters[TOP]]
    assert model.lookup([1004, 6004]).tolist() == [-1, -1]
    assert model.document(row) == b""
    for name in (
        "track_key",
        "track_id_key",
        "artist",
        "document_size",
        "last_play",
        "facts",
        "track_artist",
        "shown_at",
        "next_ids",
        "next_direct",
        "next_window",
        "next_offset",
        "pair_ids",
        "pair_session",
        "pair_taste",
    ):
        assert not getattr(state, name)[row].any(), name


def test_the_rows_of_its_neighbours_close_their_gaps(forgotten: tuple[Recommender, int]) -> None:
    model, row = forgotten
    for ids, weights in (
        (model.state.next_ids, (model.state.next_direct, model.state.next_window)),
        (model.state.pair_ids, (model.state.pair_session, model.state.pair_taste)),
        (model.state.batch_ids, (model.state.batch_weights,)),
    ):
        used = (ids != 0).sum(axis=1)
        for r in range(30):
            assert (ids[r, : used[r]] != 0).all()
            for weight in weights:
                assert not weight[r, used[r] :].any()
    kept = [r for r in range(30) if r != row]
    assert model.state.batch_ids[kept, :2].tolist() == [[9, 0]] * 29
    assert model.state.counters[FREE_TRACKS] == model.state.counters[EVICTED_TRACKS] == 1
    names = int((model.state.alias_keys != 0).sum())
    assert model.state.counters[ALIASES] == names == 58  # two of each of 29


def test_a_forgotten_listener_can_be_any_row() -> None:
    model = model_of()
    keys = model.state.listener_key.copy()
    rows = np.array([int(np.flatnonzero(keys == user)[0]) for user in (3, 7)])
    forget_listeners(model.state, rows)
    for user in range(1, 11):
        assert bool(len(model.window(user)[0])) == (user not in (3, 7))


def test_same_artist_is_said_of_the_tracks_of_the_last_plays_artist() -> None:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(1_000))
    artist = {key: 1 + key % 5 for key in range(1000, 1050)}  # the last ten have none
    for key, of in artist.items():
        model.register_track(key, artist_key=of)
    now = model.clock
    for last in (1004, 1033, 1055):
        ranking = model.recommend([1000, last], [now - 99, now], [255, 255], now=now + 9, k=50)
        said = ranking.features[:, FEATURE_NAMES.index("same_artist")] == 1.0
        rows = {int(model.lookup([key])[0]): of for key, of in artist.items()}
        expected = [
            last in artist and rows.get(row) == artist[last] for row in ranking.indices.tolist()
        ]
        assert said.tolist() == expected
        assert any(expected) == (last in artist)


def test_an_artist_that_was_named_first_stays() -> None:
    model = Recommender(SMALL)
    row = model.register_track(11)
    assert model.state.artist[row] == 0
    model.register_track(11, artist_key=33)
    model.register_track(11, artist_key=44)
    assert model.state.artist[row] == 33
