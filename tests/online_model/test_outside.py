"""Tables filled by others: what they put into lists, what is left out, what survives."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from online_model import ModelConfig, ModelDirectory, ReadOnlyModel, Recommender

from .plays import SMALL, made_up
from .views import view

UNHEARD = 77_777


@pytest.fixture
def learned() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(2_000))
    return model


def test_batch_table_proposes_and_is_named_as_the_source(learned: Recommender) -> None:
    now = learned.clock
    for k in range(40):  # one more track that nothing but the batch view connects with the ring
        learned.register_track(9_000 + k)
    assert learned.set_batch_table(view({1005: {9_000: 0.9, 1006: 0.1}}, generation=4)) == 1
    assert learned.views == {"batch": 4, "content": 0}
    ranking = learned.recommend([1005], [now], [255], now=now + 5, k=60, explain=True)
    at = ranking.indices.tolist().index(int(learned.lookup([9_000])[0]))
    (reason,) = (r for r in ranking.reasons[at] if r.source == "batch")
    assert reason.contribution > 0.0
    assert [p.track for p in reason.plays] == learned.lookup([1005]).tolist()
    elsewhere = learned.recommend([1030], [now], [255], now=now + 5, k=60)
    assert learned.lookup([9_000])[0] not in elsewhere.indices


def test_a_track_nobody_has_played_is_shown_to_who_hears_its_like(learned: Recommender) -> None:
    before = learned.tracks
    content = view({1005: {UNHEARD: 0.8}, UNHEARD: {1005: 0.8}}, generation=2, described=(UNHEARD,))
    assert learned.set_content_table(content) == 2
    assert learned.tracks == before + 1
    row = int(learned.lookup([UNHEARD])[0])
    assert learned.lookup([UNHEARD + 10**9])[0] == row  # its public id finds it too
    assert learned.document(row) == b'{"track_id":"%d"}' % UNHEARD
    now = learned.clock
    ranking = learned.recommend([1005], [now], [255], now=now + 5, k=60, discover=True)
    assert row in ranking.indices
    explained = learned.recommend([1005], [now], [255], now=now + 5, k=60, explain=True)
    reasons = explained.reasons[explained.indices.tolist().index(row)]
    assert "content" in {reason.source for reason in reasons}
    # Its first play finds the row that is there.
    learned.learn_plays(
        np.array([1], np.uint64),
        np.array([UNHEARD], np.uint64),
        np.array([now + 9]),
        np.array([255], np.uint8),
    )
    assert learned.tracks == before + 1


def test_unknown_tracks_without_a_document_are_left_out(learned: Recommender) -> None:
    before = learned.tracks
    stranger = view({1005: {UNHEARD: 0.8, 1007: 0.2, 1005: 5.0}, UNHEARD: {1005: 1.0}})
    assert learned.set_content_table(stranger) == 1
    assert learned.set_batch_table(stranger) == 1
    assert learned.tracks == before
    row = int(learned.lookup([1005])[0])
    assert learned.state.content_ids[row].tolist()[:2] == [learned.lookup([1007])[0] + 1, 0]


def test_a_table_is_replaced_whole_and_bounded(learned: Recommender) -> None:
    slots = learned.settings.outside_slots
    many = {1000: {1001 + k: 1.0 + k for k in range(slots + 5)}}
    assert learned.set_batch_table(view(many, slots=slots + 5)) == 1
    row = int(learned.lookup([1000])[0])
    assert learned.state.batch_weights[row].tolist() == [slots + 5.0 - k for k in range(slots)]
    assert learned.set_batch_table(view({1010: {1011: 0.5}}, generation=2)) == 1
    assert not learned.state.batch_ids[row].any()
    assert learned.set_batch_table(view({}, generation=3)) == 0
    assert not learned.state.batch_ids.any()


def test_bad_weights_are_left_out(learned: Recommender) -> None:
    bad = {1000: {1001: float("nan"), 1002: float("inf"), 1003: -1.0}}
    assert learned.set_batch_table(view(bad)) == 0


def test_unheard_tracks_never_push_out_played_ones() -> None:
    model = Recommender(ModelConfig(tracks=20, listeners=10))
    plays = made_up(300, tracks=12)
    model.learn_plays(*plays)
    new = tuple(range(5_000, 5_050))
    model.set_content_table(view({1000: dict.fromkeys(new, 1.0)}, slots=50, described=new))
    assert model.tracks == 18
    assert (model.lookup(np.unique(plays.tracks)) >= 0).all()


def test_views_survive_snapshots_and_pickles(tmp_path: Path, learned: Recommender) -> None:
    directory = ModelDirectory(tmp_path)
    model = directory.create(SMALL)
    model.learn_plays(*made_up(500))
    model.set_batch_table(view({1005: {1009: 0.9}}, generation=7))
    model.set_content_table(view({1005: {1008: 0.9}}, generation=3))
    directory.snapshot(model)
    again = ModelDirectory(tmp_path).resume()
    assert again.views == {"batch": 7, "content": 3}
    assert np.array_equal(again.state.batch_ids, model.state.batch_ids)
    assert pickle.loads(pickle.dumps(model)).views == again.views
    directory.publish(model)
    with pytest.raises(ReadOnlyModel):
        directory.open_reader().set_batch_table(view({}))
