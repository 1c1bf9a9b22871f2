"""The entry point of Flink's image: where a job manager resumes, what it deletes, what it hides."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.infra.test_flink_copies import copy

ENTRYPOINT = ROOT / "infra" / "flink" / "entrypoint.sh"
MONTH = 30 * 86_400


def run(folder: Path, *words: str) -> str:
    """Run the entry point; Flink's own script prints its arguments instead of starting."""
    script = folder / "bin" / "standalone-job.sh"
    script.parent.mkdir(exist_ok=True)
    script.write_text('#!/bin/sh\necho "$@"\n')
    script.chmod(0o755)
    env = {
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "FLINK_STATE": str(folder / "state"),
        "SEGUE_KAFKA_PASSWORD": "secret",
    }
    done = subprocess.run(
        ["bash", str(ENTRYPOINT), *words], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_job_manager_resumes_from_the_newest_copy_and_deletes_older_ones(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert "state-recovery" not in run(tmp_path, "jobmanager")
    now = state.stat().st_mtime
    copy(state / "checkpoints" / "0" / "chk-1", now - 20)
    newest = copy(state / "checkpoints" / "0" / "chk-2", now - 10)
    recent = copy(state / "savepoints" / "recent", now - MONTH + 3600)
    copy(state / "savepoints" / "old", now - MONTH - 120)
    words = run(tmp_path, "jobmanager", "--bound", "900")
    assert f"-Dexecution.state-recovery.path=file://{newest}" in words
    assert "claim-mode=CLAIM" in words
    assert words.rstrip().endswith("-pym streams.flink --bound 900")
    assert sorted(path.parent for path in state.rglob("_metadata")) == [newest, recent]

    stopped = copy(state / "savepoints" / "of the stop", now)
    assert "claim-mode=NO_CLAIM" in run(tmp_path, "jobmanager")
    assert sorted(path.parent for path in state.rglob("_metadata")) == [stopped, recent]


def test_a_task_manager_does_not_know_the_password(tmp_path: Path) -> None:
    """If its Python dies, it logs its environment."""
    show = 'echo "${SEGUE_KAFKA_PASSWORD-none}"'
    assert run(tmp_path, "bash", "-c", show) == "secret\n"
    assert run(tmp_path, "bash", "-c", show, "kubernetes-taskmanager.sh") == "none\n"
