"""Readers with other tables follow the live model."""

from __future__ import annotations

from pathlib import Path

from api.serving.asked import Asked
from api.serving.tables import OtherTables
from online_model import ModelDirectory
from tests.online_model.plays import SMALL, made_up


def test_a_new_generation_of_the_live_model_is_followed(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path / "model")
    first = directory.create(SMALL)
    first.learn_plays(*made_up(300))
    directory.publish(first)
    directory.snapshot(first)
    live = directory.open_reader()
    tables, asked = OtherTables(tmp_path / "views"), Asked(content=False)
    kept = tables.reader(live, asked)
    assert tables.reader(live, asked) is kept
    second = directory.resume()
    directory.publish(second)
    assert directory.refresh(live)
    made = tables.reader(live, asked)
    assert made.generation == live.generation != kept.generation
