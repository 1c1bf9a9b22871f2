"""How long after a track another one came is evidence: it comes again at the same distance."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import ModelConfig, Recommender
from online_model.features import FEATURE_NAMES
from online_model.state import STEP

NOW = 1_700_000_000
MATCH = FEATURE_NAMES.index("offset_match")


@pytest.fixture
def model() -> Recommender:
    """After track 1 came track 2 in 180 seconds, and track 3 in 400."""
    model = Recommender(ModelConfig(tracks=16, listeners=8))
    for listener, after, track in ((1, 180, 2), (2, 400, 3), (3, 180, 2)):
        start = NOW + 10_000 * listener
        model.learn_plays(
            np.array([listener] * 2, np.uint64),
            np.array([1, track], np.uint64),
            np.array([start, start + after]),
            np.full(2, 100, np.uint8),
        )
    return model


def _matches(model: Recommender, after: int) -> dict[int, float]:
    now = NOW + 10**6
    ranking = model.recommend([1], [now - after], [100], now=now, k=5)
    keys = model.state.track_key[ranking.indices].tolist()
    return dict(zip(keys, ranking.features[:, MATCH].tolist(), strict=True))


def test_the_track_that_came_at_this_distance_matches(model: Recommender) -> None:
    found = _matches(model, 400)
    assert found[3] == pytest.approx(1.0)
    assert found[2] < 0.01


def test_a_list_asked_for_while_the_track_runs_is_for_its_end(model: Recommender) -> None:
    row = int(model.lookup([1])[0])
    assert 180 <= model.state.facts[row, STEP] < 200
    assert _matches(model, 5)[2] > 0.3


def test_a_play_in_another_session_has_no_distance(model: Recommender) -> None:
    model.learn_plays(
        np.array([4, 4], np.uint64),
        np.array([1, 4], np.uint64),
        np.array([NOW + 50_000, NOW + 60_000]),
        np.full(2, 100, np.uint8),
    )
    row, four = model.lookup([1, 4]).tolist()
    at = model.state.next_ids[row].tolist().index(four + 1)
    assert model.state.next_offset[row, at] == 0
