"""Where the jobs resume, and what ages out."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from contracts.settings import Settings
from infra.flink import process


def complete(path: Path, at: float) -> Path:
    path.mkdir(parents=True)
    (path / "_metadata").write_text("x")
    os.utime(path / "_metadata", (at, at))
    os.utime(path, (at, at))
    return path


def test_the_newest_complete_checkpoint_or_savepoint_is_gone_on_from(tmp_path: Path) -> None:
    assert process.newest(tmp_path) is None
    complete(tmp_path / "checkpoints" / "run1" / "chk-3", 100)
    (tmp_path / "checkpoints" / "run1" / "chk-4").mkdir()  # began, never complete
    newest = complete(tmp_path / "checkpoints" / "run2" / "chk-1", 200)
    assert process.newest(tmp_path) == newest
    savepoint = complete(tmp_path / "savepoints" / "savepoint-a", 300)
    assert process.newest(tmp_path) == savepoint


def test_older_runs_go_at_once_and_savepoints_after_a_month(tmp_path: Path) -> None:
    old = complete(tmp_path / "checkpoints" / "run1" / "chk-3", 100)
    keep = complete(tmp_path / "checkpoints" / "run2" / "chk-1", 200)
    month_old = complete(tmp_path / "savepoints" / "old", 0)
    recent = complete(tmp_path / "savepoints" / "recent", 40 * 86_400)
    process.age_out(tmp_path, keep, now=41 * 86_400)
    assert not old.exists()
    assert not month_old.exists()
    assert keep.exists()
    assert recent.exists()


def test_an_erasure_leaves_only_the_state_the_jobs_go_on_from(tmp_path: Path) -> None:
    settings = replace(Settings(), home=tmp_path)
    assert process.forget(settings) == {"copies": 0}
    state = tmp_path / "flink"
    complete(state / "savepoints" / "older", time.time() - 900)
    complete(state / "checkpoints" / "before" / "chk-9", time.time() - 800)
    keep = complete(state / "checkpoints" / "run" / "chk-1", time.time())
    assert process.forget(settings) == {"copies": 2}
    assert [path.parent for path in state.rglob("_metadata")] == [keep]
    stopped = complete(state / "savepoints" / "of the stop", time.time() + 1)
    assert process.forget(settings) == {"copies": 1}
    assert [path.parent for path in state.rglob("_metadata")] == [stopped]


def test_a_checkpoint_is_claimed_and_a_savepoint_is_not(tmp_path: Path) -> None:
    settings = replace(Settings(), home=tmp_path)
    assert not any("state-recovery" in word for word in process.arguments(settings, rest=1))
    complete(tmp_path / "flink" / "checkpoints" / "run" / "chk-1", 100)
    assert "execution.state-recovery.claim-mode=CLAIM" in process.arguments(settings, rest=1)
    complete(tmp_path / "flink" / "savepoints" / "s", 200)
    assert "execution.state-recovery.claim-mode=NO_CLAIM" in process.arguments(settings, rest=1)
