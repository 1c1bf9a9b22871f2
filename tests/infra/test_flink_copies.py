"""Which copy of state the jobs resume from, and which copies are deleted."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

from contracts.settings import Settings
from infra.flink import copies
from infra.flink.process import arguments
from infra.flink.rest import reason
from tests.integration.traces import files


def copy(path: Path, at: float) -> Path:
    """Make a complete checkpoint or savepoint; the folder around it is as old."""
    path.mkdir(parents=True)
    (path / "_metadata").write_text("x")
    for each in (path / "_metadata", path, path.parent):
        os.utime(each, (at, at))
    return path


def test_the_jobs_resume_from_the_newest_complete_copy(tmp_path: Path) -> None:
    assert copies.newest(tmp_path) is None
    copy(tmp_path / "checkpoints" / "run1" / "chk-3", 100)
    (tmp_path / "checkpoints" / "run1" / "chk-4").mkdir()  # began, never complete
    newest = copy(tmp_path / "checkpoints" / "run2" / "chk-1", 200)
    assert copies.newest(tmp_path) == newest
    savepoint = copy(tmp_path / "savepoints" / "savepoint-run2-a", 300)
    assert copies.newest(tmp_path) == savepoint


def test_a_start_deletes_older_runs_and_savepoints_of_a_month_ago(tmp_path: Path) -> None:
    old = copy(tmp_path / "checkpoints" / "run1" / "chk-3", 100)
    keep = copy(tmp_path / "checkpoints" / "run2" / "chk-1", 200)
    month_old = copy(tmp_path / "savepoints" / "old", 0)
    recent = copy(tmp_path / "savepoints" / "recent", 40 * 86_400)
    copies.age_out(tmp_path, keep, now=41 * 86_400)
    assert not old.exists()
    assert not month_old.exists()
    assert keep.exists()
    assert recent.exists()


def test_an_erasure_leaves_only_the_copy_that_the_jobs_resume_from(tmp_path: Path) -> None:
    settings = replace(Settings(), home=tmp_path)
    state = tmp_path / "flink"
    assert copies.forget(settings) == {"copies": 0}
    now = time.time()
    copy(state / "checkpoints" / "before" / "chk-9", now - 800)
    keep = copy(state / "checkpoints" / "run1" / "chk-1", now - 20)
    copy(state / "savepoints" / "savepoint-run0-a", now - 900)
    # Made while the jobs run: they resume from their next checkpoint, not from here.
    copy(state / "savepoints" / "savepoint-run1-b", now - 10)
    (state / "backfill-killed").mkdir()
    beginning = state / "checkpoints" / "run2" / "chk-1"
    beginning.mkdir(parents=True)
    assert copies.forget(settings) == {"copies": 4}
    assert [path.parent for path in state.rglob("_metadata")] == [keep]
    assert beginning.exists()
    # An ordered stop deletes the checkpoints of its own run alone.
    stopped = copy(state / "savepoints" / "savepoint-run2-c", time.time())
    assert copies.forget(settings) == {"copies": 2}
    assert [path.parent for path in state.rglob("_metadata")] == [stopped]


def test_checkpoints_that_vanish_while_we_look_are_no_error(tmp_path: Path) -> None:
    """Flink deletes a checkpoint as soon as it has the next."""
    settings = replace(Settings(), home=tmp_path)
    runs = tmp_path / "flink" / "checkpoints" / "run"

    def churn() -> None:
        number, ends = 0, time.monotonic() + 1.0
        while time.monotonic() < ends:
            (runs / f"chk-{number}").mkdir(parents=True)
            (runs / f"chk-{number}" / "_metadata").write_text("x")
            number += 1
            shutil.rmtree(runs / f"chk-{number - 3}", ignore_errors=True)

    flink = threading.Thread(target=churn)
    flink.start()
    while flink.is_alive():
        copies.newest(tmp_path / "flink")
        copies.forget(settings)
        files(tmp_path / "flink", "a listener")
    flink.join()
    assert copies.newest(tmp_path / "flink")


def test_a_checkpoint_is_claimed_and_a_savepoint_is_not(tmp_path: Path) -> None:
    settings = replace(Settings(), home=tmp_path)
    assert not any("state-recovery" in word for word in arguments(settings, rest=1))
    copy(tmp_path / "flink" / "checkpoints" / "run" / "chk-1", 100)
    assert "execution.state-recovery.claim-mode=CLAIM" in arguments(settings, rest=1)
    copy(tmp_path / "flink" / "savepoints" / "s", 200)
    assert "execution.state-recovery.claim-mode=NO_CLAIM" in arguments(settings, rest=1)


def test_a_start_empties_the_folder_of_temporary_files(tmp_path: Path) -> None:
    settings = replace(Settings(), home=tmp_path, flink_state="rocksdb")
    killed = tmp_path / "flink" / "tmp" / "rocksdb"
    killed.mkdir(parents=True)
    words = arguments(settings, rest=1)
    assert not killed.exists()
    assert "state.backend.type=rocksdb" in words


def test_the_reason_of_a_failure_is_the_error_of_python() -> None:
    java = "java.util.concurrent.ExecutionException: x\n\tat A\nCaused by: java.io.IOException: y"
    assert reason(java + "\n\tat B") == "java.io.IOException: y"
    python = (
        "Traceback (most recent call last):\n  File 'a'\nValueError: z\n\nThe above exception was "
        "the direct cause of the following exception:\n\nTraceback (most recent call last):\n"
        "  File 'b'\ncontracts.errors.SegueError: message plays:0:7: ValueError: z\n\n\tat C\n"
    )
    last = "contracts.errors.SegueError: message plays:0:7: ValueError: z"
    assert reason(f"{java}\nCaused by: java.lang.RuntimeException: E: {python}\tat D\n") == last
    assert reason("") == ""
