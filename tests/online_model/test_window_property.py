"""Properties: the window fold against a plain model of it, and the hash table against a dict."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from online_model import ModelConfig, Recommender
from online_model.hashing import find, insert, remove

HISTORY = 5
CONFIG = ModelConfig(tracks=30, listeners=3, history=HISTORY)
plays = st.lists(st.tuples(st.integers(1, 6), st.integers(100, 112)), min_size=1, max_size=40)


def _fold(stream: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], tuple[int, int, int]]:
    """The window by its definition: (second, track) pairs, and what became of the plays."""
    window: list[tuple[int, int]] = []
    learned = duplicates = late = 0
    for track, second in stream:
        if (second, track) in window:
            duplicates += 1
            continue
        at = sum(s <= second for s, _ in window)
        if at == len(window):
            learned += 1
        else:
            late += 1
            if at == 0 and len(window) == HISTORY:
                continue
        window.insert(at, (second, track))
        if len(window) > HISTORY:
            del window[0]
    return window, (learned, duplicates, late)


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(plays)
def test_window_is_what_its_definition_says(stream: list[tuple[int, int]]) -> None:
    model = Recommender(CONFIG)
    tracks = np.array([track for track, _ in stream], np.uint64)
    seconds = np.array([second for _, second in stream])
    n = len(stream)
    stats = model.learn_plays(np.full(n, 7, np.uint64), tracks, seconds, np.full(n, 255, np.uint8))
    window, counts = _fold(stream)
    rows, held, _ = model.window(7)
    assert stats[:3] == counts
    assert held.tolist() == [second for second, _ in window]
    assert rows.tolist() == model.lookup([track for _, track in window]).tolist()


@settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
@given(plays)
def test_a_window_delivered_again_changes_nothing(stream: list[tuple[int, int]]) -> None:
    model = Recommender(CONFIG)
    one = np.ones(1, np.uint64)
    for track, second in stream:
        model.learn_plays(
            one, np.array([track], np.uint64), np.array([second]), np.array([255], np.uint8)
        )
    rows, seconds, ratios = model.window(1)
    before = [a.copy() for a in model.state]
    stats = model.learn_plays(
        np.ones(len(rows), np.uint64), model.state.track_key[rows], seconds, ratios
    )
    assert stats == (0, len(rows), 0, 0)
    for name, old, new in zip(model.state._fields, before, model.state, strict=True):
        if name != "counters":
            assert old.tobytes() == new.tobytes(), name


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 20), st.integers(0, 99)), max_size=60))
def test_hash_table_is_a_dict(steps: list[tuple[bool, int, int]]) -> None:
    keys, rows = np.zeros(32, np.uint64), np.zeros(32, np.int32)
    truth: dict[int, int] = {}
    for add, key, row in steps:
        if add:
            assert bool(insert(keys, rows, np.uint64(key), row)) == (key not in truth)
            truth[key] = row
        else:
            assert bool(remove(keys, rows, np.uint64(key))) == (key in truth)
            truth.pop(key, None)
        for k in range(1, 21):
            assert find(keys, rows, np.uint64(k)) == truth.get(k, -1)
    assert int(np.count_nonzero(keys)) == len(truth)


def test_full_hash_table_refuses_and_answers() -> None:
    keys, rows = np.zeros(16, np.uint64), np.zeros(16, np.int32)
    for key in range(1, 17):
        assert insert(keys, rows, np.uint64(key), key)
    assert not insert(keys, rows, np.uint64(99), 99)
    assert find(keys, rows, np.uint64(99)) == -1
    assert not remove(keys, rows, np.uint64(99))
    assert find(keys, rows, np.uint64(16)) == 16
