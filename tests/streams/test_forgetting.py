"""The learner forgets a listener once, whichever step fails, and never one who came back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.erasures import Erasure, listener_key
from contracts.heartbeat import in_model
from contracts.topics import Topics
from streams.erasures import Noted
from streams.forgetting import Forgetting
from streams.heartbeat import Status

TOPIC = Topics("segue").erasures
ADA, BOB = (int(listener_key(name), 16) for name in ("ada", "bob"))


class Model:
    """Listeners it knows, and offsets that are written with them."""

    def __init__(self, listeners: set[int], offsets: dict[tuple[str, int], int]) -> None:
        self.listeners = set(listeners)
        self.offsets = dict(offsets)

    def erase_listener(self, listener: int) -> None:
        self.listeners.discard(listener)

    def set_offset(self, log_id: str, partition: int, offset: int) -> None:
        self.offsets[log_id, partition] = offset


class Learner:
    """A learner's process; the folder of snapshots outlives it."""

    def __init__(self, folder: Path, model: Model, noted: list[Noted]) -> None:
        self.folder = folder
        self.model = model
        self.status = Status()
        topics = SimpleNamespace(erasures=TOPIC)
        erasures = SimpleNamespace(noted=noted)
        worker: Any = SimpleNamespace(erasures=erasures, status=self.status, topics=topics)
        directory: Any = SimpleNamespace(snapshots=lambda: sorted(folder.iterdir()))
        as_model: Any = model
        self.forgetting = Forgetting(worker, as_model, directory, "log")
        self.forgetting.serve()

    def reported(self, partition: int = 0) -> int | None:
        return self.status.offsets.get(in_model(TOPIC.place(partition)))

    def snapshot(self, name: str) -> Path:
        path = self.folder / name
        path.touch()
        return path


def erasure(name: str, offset: int, *, event_id: str = "", partition: int = 0) -> Noted:
    key = listener_key(name)
    return Noted(partition, offset, Erasure(listener=key, before=9, event_id=event_id))


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    made = Learner(tmp_path, Model({ADA, BOB}, {}), [erasure("ada", 4)])
    made.snapshot("old")
    return made


def test_it_is_reported_once_no_array_and_no_snapshot_has_the_listener(learner: Learner) -> None:
    assert learner.forgetting.apply(), "a snapshot is due"
    assert learner.model.listeners == {BOB}
    assert learner.reported() is None
    learner.forgetting.snapshot_begins()
    assert not learner.forgetting.apply()
    assert learner.reported() is None, "the snapshot is not on disk"
    learner.forgetting.snapshot_is_written(learner.snapshot("new"))
    assert [path.name for path in learner.folder.iterdir()] == ["new"]
    assert learner.reported() == 5


def test_killed_before_the_snapshot_the_next_process_forgets_again(learner: Learner) -> None:
    learner.forgetting.apply()
    after = Learner(learner.folder, Model({ADA, BOB}, {}), [erasure("ada", 4)])
    assert after.forgetting.apply()
    assert after.model.listeners == {BOB}


def test_killed_after_the_snapshot_the_next_process_reports_and_touches_nobody(
    learner: Learner,
) -> None:
    """The listener may have come back since; older snapshots are pruned by the next one."""
    learner.forgetting.apply()
    after = Learner(learner.folder, Model({ADA, BOB}, learner.model.offsets), [erasure("ada", 4)])
    assert not after.forgetting.apply()
    assert after.model.listeners == {ADA, BOB}
    assert after.reported() == 5


def test_a_snapshot_that_fails_is_due_again(learner: Learner) -> None:
    learner.forgetting.apply()
    learner.forgetting.snapshot_begins()
    learner.forgetting.snapshot_failed()
    assert learner.forgetting.apply()
    assert learner.reported() is None
    learner.forgetting.snapshot_begins()
    learner.forgetting.snapshot_is_written(learner.snapshot("new"))
    assert learner.reported() == 5


def test_an_erasure_during_a_snapshot_waits_for_the_next_one(tmp_path: Path) -> None:
    noted = [erasure("ada", 4)]
    learner = Learner(tmp_path, Model({ADA, BOB}, {}), noted)
    learner.forgetting.apply()
    learner.forgetting.snapshot_begins()
    noted.append(erasure("bob", 0, partition=1))
    assert learner.forgetting.apply()
    learner.forgetting.snapshot_is_written(learner.snapshot("one"))
    assert (learner.reported(), learner.reported(1)) == (5, None)
    learner.forgetting.snapshot_begins()
    learner.forgetting.snapshot_is_written(learner.snapshot("two"))
    assert (learner.model.listeners, learner.reported(1)) == (set(), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_one_play_takes_no_listener_out_and_needs_no_snapshot(tmp_path: Path) -> None:
    learner = Learner(tmp_path, Model({ADA}, {}), [erasure("ada", 7, event_id="x")])
    assert not learner.forgetting.apply()
    assert (learner.model.listeners, learner.reported()) == ({ADA}, 8)
    assert learner.model.offsets == {("log", 0): 7}


def test_nothing_is_reported_while_readers_hold_the_file_of_an_earlier_process(
    learner: Learner,
) -> None:
    learner.forgetting._served = False
    assert learner.forgetting.apply()
    learner.forgetting.snapshot_begins()
    learner.forgetting.snapshot_is_written(learner.snapshot("new"))
    assert (learner.model.listeners, learner.reported()) == ({BOB}, None)
    learner.forgetting.serve()
    assert learner.reported() == 5
