"""The nightly as a process: record, rerun, kill -9, gates, lock, command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from batch import warehouse
from batch.runs import Run, Runs
from contracts import batch_view
from contracts.settings import Settings
from tests.batch.lakes import append, delivery

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


def _segue(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=ROOT,
        env=os.environ | settings.environ(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _nightly(settings: Settings) -> tuple[int, dict[str, Any]]:
    done = _segue(settings, "nightly", "--json", "--date", "2025-03-04")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("nightly") / "home")
    append(settings, [delivery("ada", f"T{i % 9}", i * 7, artist=f"A{i % 4}") for i in range(90)])
    append(settings, [delivery("ada", "T0", 0, artist="A0")])
    return settings


@pytest.fixture(scope="module")
def killed(settings: Settings) -> str:
    """Kill -9 the first nightly while it builds; return the id of its run."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.cli", "nightly", "--date", "2025-03-04"],
        cwd=ROOT,
        env=os.environ | settings.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    runs = Runs(settings.home / "runs")
    run: Run | None = None
    deadline = time.monotonic() + 120
    while run is None or run.step("build").status != "running":
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
        run = runs.last("duckdb")
    time.sleep(3)  # into dbt
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = runs.last("duckdb")
    assert left
    assert left.status == "running", "it ended before it could be killed"
    return left.id


@pytest.fixture(scope="module")
def first(settings: Settings, killed: str) -> dict[str, Any]:
    code, run = _nightly(settings)
    assert code == 0, run
    assert run["id"] == killed, "the killed run is taken up, not begun again"
    return run


def test_the_record_tells_what_happened(settings: Settings, first: dict[str, Any]) -> None:
    assert first["status"] == "ok"
    assert first["error"] is None
    assert first["date"] == "2025-03-04"
    assert first["lake_version"] == 1
    assert first["lake_rows"] == 91
    steps = {step["name"]: step for step in first["steps"]}
    assert list(steps) == ["land", "quality", "build", "retrain", "reports"]
    assert {step["status"] for step in steps.values()} == {"ok"}
    assert all(step["seconds"] >= 0 for step in steps.values())
    assert steps["build"]["rows"]["raw.plays"] == 91
    assert steps["build"]["rows"]["fct_plays"] == 90
    path = settings.home / "runs" / f"{first['id']}.json"
    assert json.loads(path.read_text()) == first


def test_reports_hold_what_was_played(settings: Settings, first: dict[str, Any]) -> None:
    done = _segue(settings, "report", "top-artists", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lake_version"] == first["lake_version"]
    assert report["facts"] == {"Plays": 90, "Artists": 4, "Listeners": 1}
    plays = {row["artist"]: row["plays"] for row in report["tables"]["artists"]}
    assert plays == {"A0": 23, "A1": 23, "A2": 22, "A3": 22}
    activity = json.loads((settings.reports_dir / "listening-activity/latest.json").read_text())
    assert activity["facts"]["Plays"] == 90
    assert sum(row["plays"] for row in activity["tables"]["days"]) == 90


def test_a_report_can_be_written_to_a_file(
    settings: Settings, first: dict[str, Any], tmp_path: Path
) -> None:
    target = tmp_path / "top.html"
    done = _segue(settings, "report", "top-artists", "--format", "html", "--output", str(target))
    assert done.returncode == 0, done.stderr
    assert target.read_text().startswith("<!doctype html>")
    listing = _segue(settings, "report")
    assert "top-artists" in listing.stdout
    assert "listening-activity" in listing.stdout
    assert _segue(settings, "report", "nothing").returncode == 1


def test_a_second_nightly_changes_nothing(settings: Settings, first: dict[str, Any]) -> None:
    code, again = _nightly(settings)
    assert code == 0
    assert again["id"] != first["id"]
    rows = [
        {s["name"]: s["rows"] for s in run["steps"] if s["name"] != "retrain"}
        for run in (first, again)
    ]
    assert rows[0] == rows[1]
    assert batch_view.generations(settings.home / "batch_view") == [1], "the same plays, one model"


def test_two_nightlies_do_not_overlap(settings: Settings, first: dict[str, Any]) -> None:
    with Runs(settings.home / "runs").lock():
        done = _segue(settings, "nightly")
    assert done.returncode != 0
    assert f"process {os.getpid()}" in done.stderr.replace("\n", " ")


def test_a_broken_gate_stops_the_run_and_keeps_the_reports(
    settings: Settings, first: dict[str, Any]
) -> None:
    page = (settings.reports_dir / "top-artists" / "latest.html").read_text()
    plays = warehouse.count(settings, "fct_plays")
    twice = delivery("bob", "x", 500)
    append(settings, [twice, twice])
    code, run = _nightly(settings)
    assert code == 1
    assert run["status"] == "failed"
    assert "exactly-once" in run["error"]
    assert [step["status"] for step in run["steps"]] == ["ok", "failed", *3 * ["skipped"]]
    assert (settings.reports_dir / "top-artists" / "latest.html").read_text() == page
    assert warehouse.count(settings, "fct_plays") == plays


def test_an_empty_lake_is_no_error(tmp_path: Path) -> None:
    code, run = _nightly(Settings(home=tmp_path / "new"))
    assert code == 0
    assert run["status"] == "empty"
    assert "no plays yet" in run["steps"][0]["detail"]


def test_an_unknown_target_is_named(tmp_path: Path) -> None:
    done = _segue(Settings(home=tmp_path), "nightly", "--target", "oracle")
    assert done.returncode == 1
    assert "oracle" in done.stderr
