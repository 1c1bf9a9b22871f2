"""Files: live map, snapshots, restart, publication, damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import IncompatibleState, StoreUnavailable
from online_model import (
    ModelDirectory,
    NoModel,
    NoRoom,
    ReadOnlyModel,
    Recommender,
    layout,
    live_file,
    snapshots,
)
from online_model.state import GENERATION

from .plays import SMALL, made_up


def _bytes(model: Recommender) -> list[bytes]:
    state = model.state._replace(counters=model.state.counters.copy())
    state.counters[GENERATION] = 0
    return [a.tobytes() for a in state]


def test_reader_sees_what_the_writer_learns(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    with pytest.raises(NoModel):
        directory.open_reader()
    writer = directory.create(SMALL)
    directory.publish(writer)
    reader = ModelDirectory(tmp_path).open_reader()
    writer.learn_plays(*made_up(500))
    assert reader.plays_learned == 500
    now = writer.clock
    a = reader.recommend([1001], [now], [255], now=now, k=10)
    b = writer.recommend([1001], [now], [255], now=now, k=10)
    assert a.indices.tolist() == b.indices.tolist()
    assert reader.read_only
    with pytest.raises(ReadOnlyModel):
        reader.learn_plays(*made_up(5))


def test_snapshot_and_replay_equal_an_uninterrupted_run(tmp_path: Path) -> None:
    plays = made_up(3_000)
    straight = Recommender(SMALL)
    straight.learn_plays(*plays)
    straight.set_offset("log", 0, 3_000)

    directory = ModelDirectory(tmp_path)
    first = directory.create(SMALL)
    first.learn_plays(*plays.part(0, 1_800))
    first.set_offset("log", 0, 1_800)
    directory.snapshot(first)
    first.learn_plays(*plays.part(1_800, 2_500))  # lost with the process

    second = ModelDirectory(tmp_path).resume()
    offset = second.offsets["log", 0]
    assert offset == 1_800
    second.learn_plays(*plays.part(offset, 3_000))
    second.set_offset("log", 0, 3_000)
    assert _bytes(second) == _bytes(straight)


def test_the_same_plays_give_the_same_model_wherever_its_arrays_lie() -> None:
    """Compiled loops choose between two codes by addresses, and these round differently."""
    plays = made_up(1_500)
    random = np.random.default_rng(7)
    kept: list[object] = []  # so that each model finds other free memory than the one before
    models = []
    for _ in range(6):
        kept += [np.empty(int(size), np.uint8) for size in random.integers(1, 3_000, 20)]
        model = Recommender(SMALL)
        model.learn_plays(*plays)
        models.append(model)
    assert all(_bytes(model) == _bytes(models[0]) for model in models)


def test_readers_keep_the_old_file_until_the_new_one_is_published(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    plays = made_up(600)
    old = directory.create(SMALL)
    old.learn_plays(*plays.part(0, 300))
    directory.publish(old)
    directory.snapshot(old)
    reader = directory.open_reader()
    new = directory.resume()
    assert new.generation > old.generation
    assert not directory.refresh(reader)
    new.learn_plays(*plays.part(300, 600))
    assert reader.plays_learned == 300
    directory.publish(new)
    assert directory.refresh(reader)
    assert reader.plays_learned == new.plays_learned == 600
    assert not directory.refresh(reader)


def test_two_snapshots_are_kept_and_the_newest_is_used(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    model = directory.create(SMALL)
    plays = made_up(400)
    for k in range(4):
        model.learn_plays(*plays.part(100 * k, 100 * k + 100))
        directory.snapshot_later(model).result()
    directory.close()
    assert len(directory.snapshots()) == 2
    assert directory.resume().plays_learned == 400


@pytest.mark.parametrize("damage", range(40))
def test_damaged_snapshot_is_refused_and_the_previous_one_used(tmp_path: Path, damage: int) -> None:
    directory = ModelDirectory(tmp_path)
    model = directory.create(SMALL)
    plays = made_up(200)
    model.learn_plays(*plays.part(0, 100))
    directory.snapshot(model)
    model.learn_plays(*plays.part(100, 200))
    newest = directory.snapshot(model)
    data = bytearray(newest.read_bytes())
    at = int(np.linspace(0, len(data) - 1, 20)[damage % 20])
    if damage < 20:
        data[at] ^= 1 << (damage % 8)
    else:
        del data[at:]
    newest.write_bytes(data)
    assert directory.resume().plays_learned == 100
    assert [error.path for error in directory.refused] == [newest]


def test_another_layout_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade that moved the arrays the model is rebuilt from the log, not misread."""
    directory = ModelDirectory(tmp_path)
    model = directory.create(SMALL)
    model.learn_plays(*made_up(100))
    name = directory.snapshot(model).name
    directory.publish(model)
    newer = layout.LAYOUT_VERSION + 1
    for module in (live_file, snapshots):
        monkeypatch.setattr(module, "LAYOUT_VERSION", newer)
    said = f"layout {newer - 1}, this model reads {newer}"
    with pytest.raises(IncompatibleState, match=said):
        directory.open_reader()
    fresh = directory.resume(SMALL)
    assert fresh.plays_learned == 0
    assert [str(error) for error in directory.refused] == [f"{name}: {said}"]
    directory.publish(fresh)
    assert directory.open_reader().plays_learned == 0


def test_a_snapshot_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try has another name: on a full disk they would add up."""
    directory = ModelDirectory(tmp_path)
    model = directory.create(SMALL)
    before = sorted(tmp_path.iterdir())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        directory.snapshot(model)
    assert sorted(tmp_path.iterdir()) == before


def test_what_killed_learners_left_is_removed(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    served = directory.create(SMALL)
    directory.publish(served)
    directory.snapshot(served)
    directory.resume()  # killed before it was published
    torn = tmp_path / ".snapshot-0000000001-000000000000005.bin.4711"
    torn.write_bytes(b"SEGUESNP")
    directory.resume()
    assert not torn.exists()
    assert len(list(tmp_path.glob("live-*.bin"))) == 2  # the one served, and this one
    assert directory.open_reader().generation == served.generation


def test_no_good_snapshot_means_an_empty_model(tmp_path: Path) -> None:
    directory = ModelDirectory(tmp_path)
    (tmp_path / "snapshot-0000000001-000000000000005.bin").write_bytes(b"")
    (tmp_path / "snapshot-0000000002-000000000000005.bin").write_bytes(b"SEGUESNP")
    model = directory.resume(SMALL)
    assert model.plays_learned == 0
    assert model.generation == 3


def test_the_live_file_has_its_room_from_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a disk that fills up later ends the learner with SIGBUS in the midst of a play."""
    directory = ModelDirectory(tmp_path)
    directory.create(SMALL)
    (live,) = tmp_path.glob("live-*.bin")
    assert live.stat().st_blocks * 512 >= live.stat().st_size > 0

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NoRoom, match=r"no room for the model: .* needs [\d.]+ MB") as caught:
        directory.resume(SMALL)
    assert isinstance(caught.value, StoreUnavailable)
    assert len(list(tmp_path.glob("live-*.bin"))) == 1, "the half-made file is gone"
