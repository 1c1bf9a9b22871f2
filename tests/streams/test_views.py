"""The learner's look at published views: what is loaded, when, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from contracts import batch_view
from contracts.settings import Settings
from online_model import Recommender
from streams import views as module
from streams.views import Views
from tests.online_model.plays import SMALL, made_up
from tests.online_model.views import view


@pytest.fixture
def model() -> Recommender:
    model = Recommender(SMALL)
    model.learn_plays(*made_up(300))
    return model


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Views:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    return Views(Settings(home=tmp_path))


def publish(folder: Path, generation: int, rows: dict[int, dict[int, float]]) -> None:
    batch_view.write(folder, view(rows, generation=generation))
    batch_view.promote(folder, generation)


def look(watch: Views, model: Recommender) -> dict[str, int]:
    return asyncio.run(watch.look(model))


def test_views_are_loaded_once_each_and_rolled_back(
    tmp_path: Path, watch: Views, model: Recommender
) -> None:
    assert look(watch, model) == {}
    publish(tmp_path / "batch_view", 1, {1001: {1002: 0.5}})
    publish(tmp_path / "content_view", 5, {1001: {1003: 0.5}})
    assert look(watch, model) == {"batch": 1, "content": 5}
    assert look(watch, model) == {}
    publish(tmp_path / "batch_view", 2, {1004: {1002: 0.5}})
    assert look(watch, model) == {"batch": 2}
    batch_view.promote(tmp_path / "batch_view", 1)
    assert look(watch, model) == {"batch": 1}
    assert model.views == {"batch": 1, "content": 5}
    # A restarted learner maps again: its snapshot may be older than what it had met.
    assert look(Views(Settings(home=tmp_path)), model) == {"batch": 1, "content": 5}


def test_tracks_met_later_get_their_rows(
    tmp_path: Path, watch: Views, model: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "batch_view", 1, {1001: {8_888: 0.5}})
    look(watch, model)
    assert not model.state.batch_ids.any()
    row = model.register_track(8_888)
    assert look(watch, model) == {}, "not at every play"
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    assert look(watch, model) == {"batch": 1}
    assert model.state.batch_ids[model.lookup([1001])[0], 0] == row + 1


def test_a_torn_view_is_refused_and_the_old_one_stays(
    tmp_path: Path, watch: Views, model: Recommender, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "batch_view"
    publish(folder, 1, {1001: {1002: 0.5}})
    look(watch, model)
    publish(folder, 2, {1001: {1003: 0.5}})
    (folder / "2" / "neighbours.npz").write_bytes(b"torn")
    assert look(watch, model) == {}
    assert "batch view 2 cannot be read" in caplog.text
    assert model.views["batch"] == 1
    (folder / "current").write_text("nonsense")
    assert look(watch, model) == {}
    batch_view.promote(folder, 1)
    assert model.state.batch_ids[model.lookup([1001])[0], 0] == model.lookup([1002])[0] + 1
