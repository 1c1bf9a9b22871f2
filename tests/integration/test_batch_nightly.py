"""The nightly as a process: record, rerun, kill -9, gates, lock, command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest

from batch import quality, warehouse
from batch.nightly import STEPS, nightly
from batch.reports import KINDS
from batch.runs import NightlyRun, Runs
from contracts import batch_view
from contracts.figures import DEFINITIONS, Figures
from contracts.ids import track_key, user_key
from contracts.settings import Settings
from contracts.warehouse import Warehouse, upstream
from infra.stack.process import python
from tests.batch.lakes import append, delivery

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


def _segue(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("infra.cli", *arguments),
        cwd=ROOT,
        env=os.environ | settings.environ() | {"SEGUE_CPU_HOUR_PRICE": "0.5"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def _nightly(settings: Settings) -> tuple[int, dict[str, Any]]:
    done = _segue(settings, "nightly", "--json", "--date", "2025-03-04")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("nightly") / "home")
    append(
        settings,
        [delivery(f"user {i // 30}", f"T{i % 9}", i * 7, artist=f"A{i % 4}") for i in range(90)],
    )
    append(settings, [delivery("user 0", "T0", 0, artist="A0")])
    return settings


#: Arrays of the online model in which plays are counted.
_COUNTED = (
    *("track_key", "last_play", "facts", "next_ids", "next_direct", "next_window"),
    *("pair_session", "pair_taste", "window_size", "window_tracks", "window_seconds"),
)

#: Where the nightly is killed, one run after the other, and the step it was in: before a step,
#: inside dbt (behind the snapshot, whose versions must not double), between a generation and its
#: promotion, between two reports, before the last step.
POINTS = {
    "land:running": "land",
    "quality:running": "quality",
    "build:snap_listeners": "build",
    "build:fct_plays": "build",
    "promote": "retrain",
    "reports:top-artists": "reports",
    "catalogue:running": "catalogue",
}


@pytest.fixture(scope="module")
def killed(settings: Settings) -> list[NightlyRun]:
    """Kill -9 the nightly at every point, and resume it each time; return what was left."""
    left = []
    for point in POINTS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.batch.kill_at", point],
            cwd=ROOT,
            env=os.environ | settings.environ(),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, f"{point}: {done.stderr}"
        run = Runs(settings.home / "runs").last("duckdb")
        assert run
        left.append(run)
    return left


@pytest.fixture(scope="module")
def first(settings: Settings, killed: list[NightlyRun]) -> dict[str, Any]:
    code, run = _nightly(settings)
    assert code == 0, run
    return run


def test_a_killed_run_is_taken_up_at_the_step_it_was_in(
    settings: Settings, killed: list[NightlyRun], first: dict[str, Any]
) -> None:
    assert {run.id for run in killed} == {first["id"]}, "resumed, never started again"
    steps = list(STEPS)
    assert set(POINTS.values()) == set(steps), "a step that nothing is killed in"
    for (point, step), run in zip(POINTS.items(), killed, strict=True):
        assert run.status == "running", point
        done = steps.index(step)
        assert [s.status for s in run.steps[: done + 1]] == [*["ok"] * done, "running"], point
    for step in steps[:-1]:
        starts = {run.step(step).started_at for run in killed if run.step(step).status == "ok"}
        assert len(starts) == 1, f"{step} had finished and was done again"


def test_after_every_kill_each_count_reconciles(settings: Settings, first: dict[str, Any]) -> None:
    distinct, landed = 90, 91
    assert warehouse.count(settings, "raw.plays") == landed
    for table in ("stg_segue__plays", "fct_plays"):
        assert warehouse.count(settings, table) == distinct
    assert warehouse.query(settings, "select sum(plays) from marts.fct_sessions").rows[0][0] == 90
    assert warehouse.count(settings, "snap_listeners") == 3, "a version of each listener"
    folder = settings.home / "batch_view"
    assert batch_view.generations(folder) == [1], "what was written before the kill was not lost"
    assert batch_view.current(folder) == 1
    assert batch_view.read(folder, 1).manifest.run == first["id"]
    assert first["points"]
    assert min(first["points"].values()) >= quality.GATE


def test_the_lineage_of_a_run_is_kept_with_it(settings: Settings, first: dict[str, Any]) -> None:
    path = settings.home / "runs" / f"{first['id']}.lineage.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [e["eventTime"] for e in events] == sorted(e["eventTime"] for e in events)
    by_job: dict[str, list[str]] = {}
    for event in events:
        UUID(event["run"]["runId"])
        assert event["schemaURL"].startswith("https://openlineage.io/spec/")
        assert event["producer"]
        by_job.setdefault(event["job"]["name"], []).append(event["eventType"])
    assert all(sorted(kinds) == ["COMPLETE", "START"] for kinds in by_job.values()), by_job
    # Every mart goes back to what landed, and that to a version of the lake.
    parents = {
        o["name"]: [i["name"] for i in event["inputs"]]
        for event in events
        if event["job"]["name"].startswith("dbt.")
        for o in event["outputs"]
    }
    marts = {name for name in parents if name.startswith("marts.")}
    assert {"marts.fct_plays", "marts.fct_recommendation_outcomes"} <= marts
    for mart in marts:
        seen, waiting = set(), [mart]
        while waiting:
            table = waiting.pop()
            seen.add(table)
            waiting += [p for p in parents.get(table, []) if p not in seen]
        assert any(table.startswith("raw.") for table in seen), f"{mart} comes from nowhere"
    land = next(e for e in events if e["job"]["name"] == "nightly.land")
    assert land["inputs"][0]["facets"]["version"]["datasetVersion"] == str(first["lake_version"])
    fct = next(e for e in events if e["job"]["name"] == "dbt.fct_plays")["outputs"][0]
    assert fct["outputFacets"]["outputStatistics"]["rowCount"] == 90
    assert {"name": "event_id", "type": "varchar"} in fct["facets"]["schema"]["fields"]


def test_every_column_of_a_mart_goes_back_to_what_landed(first: dict[str, Any]) -> None:
    """By the SQL that ran: a star, a union or a count loses no column."""
    made_of = {model["table"]: model["made_of"] for model in first["models"]}
    inputs = {model["table"]: model["inputs"] for model in first["models"]}
    declared = {model["table"]: set(model["columns"]) for model in first["models"]}
    # Sources that this stack has not landed: PostgreSQL is away.
    not_landed = ("staging.stg_segue__experiment_arms.", "staging.base_segue__merges.")

    def sources(table: str, column: str) -> set[str]:
        seen: set[str] = set()
        waiting = [f"{table}.{column}"]
        while waiting:
            name = waiting.pop()
            seen.add(name)
            table, _, column = name.rpartition(".")
            if column == "*":  # rows, not one column
                further = [f"{parent}.*" for parent in inputs.get(table, [])]
            else:
                further = made_of.get(table, {}).get(column, [])
            waiting += [each for each in further if each not in seen]
        return {name for name in seen if name.startswith(("raw.", *not_landed))}

    written_in_the_sql = {("marts.metrics_experiments", "metric")}
    marts = [table for table in made_of if table.startswith("marts.")]
    assert "marts.fct_plays" in marts
    for table in marts:
        assert declared[table] <= set(made_of[table]), table
        for column in made_of[table]:
            if (table, column) in written_in_the_sql:
                continue
            assert sources(table, column), f"{table}.{column} comes from nowhere"
    assert sources("marts.fct_plays", "song_key") == {"raw.plays.artist", "raw.plays.title"}
    assert sources("marts.dim_tracks", "plays") >= {"raw.plays.*"}


def test_the_lineage_of_a_failed_run_says_where_it_failed(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    append(settings, [delivery("ada")] * 2)
    run = nightly(settings, day=date(2025, 3, 4))
    assert run.status == "failed"
    path = Runs(settings.paths.runs).lineage(run)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = {(e["job"]["name"], e["eventType"]) for e in events}
    assert kinds == {
        ("nightly", "START"),
        ("nightly", "FAIL"),
        ("nightly.land", "START"),
        ("nightly.land", "COMPLETE"),
        ("nightly.quality", "START"),
        ("nightly.quality", "FAIL"),
    }
    for event in events:
        if event["eventType"] == "FAIL":
            message = event["run"]["facets"]["errorMessage"]["message"]
            assert "raw.plays exactly-once: 1 places" in message


def test_batch_and_speed_layer_meet_without_gap_or_overlap(
    settings: Settings, first: dict[str, Any]
) -> None:
    """The batch table holds the plays up to its lake version; the online model counts every play
    of the log once, whether the table is there or not."""
    from online_model import ModelConfig, Recommender

    plays = warehouse.query(
        settings,
        "select user_id, epoch(played_at)::bigint, artist, title from raw.plays "
        "order by kafka_offset",
    ).rows
    view = batch_view.read(settings.home / "batch_view", 1)
    assert view.manifest.lake_version == first["lake_version"]
    assert set(view.keys.tolist()) == {track_key(a, t) for _, _, a, t in plays}
    assert view.manifest.plays_until == max(second for _, second, _, _ in plays) * 1000
    # What lands after the pinned version is the speed layer's alone, and a play of the boundary
    # that is delivered again is nobody's.
    user, newest, artist, title = plays[-2]
    after = [(user, newest + 60 * i, "A0", f"T{i % 9}") for i in range(1, 6)]
    log = [*plays, (user, newest, artist, title), *after]

    def learned(hand_over: int) -> Recommender:
        model = Recommender(ModelConfig(tracks=2_000, listeners=100))
        for number, (user, second, artist, title) in enumerate(log):
            if number == hand_over:
                assert model.set_batch_table(view) > 0, "the table is empty"
            model.learn_plays(
                np.array([user_key(user)], np.uint64),
                np.array([track_key(artist, title)], np.uint64),
                np.array([second]),
                np.array([255], np.uint8),
            )
        return model

    alone, early, late = (learned(n) for n in (-1, 40, len(plays)))
    for model in (early, late):
        assert model.plays_learned == alone.plays_learned == len(set(log))
        assert model.views["batch"] == 1
        for name in _COUNTED:
            same, other = getattr(model.state, name), getattr(alone.state, name)
            np.testing.assert_array_equal(same, other, err_msg=name)


def test_the_record_tells_what_happened(settings: Settings, first: dict[str, Any]) -> None:
    assert first["status"] == "ok"
    assert first["error"] is None
    assert first["date"] == "2025-03-04"
    assert first["lake_version"] == 1
    assert first["lake_rows"] == 91
    steps = {step["name"]: step for step in first["steps"]}
    assert list(steps) == ["land", "quality", "build", "retrain", "reports", "catalogue"]
    assert {step["status"] for step in steps.values()} == {"ok"}
    assert all(step["seconds"] >= 0 for step in steps.values())
    assert all(step["cpu_seconds"] >= 0 and step["peak_mb"] > 0 for step in steps.values())
    assert first["cost"] == pytest.approx(first["cpu_seconds"] / 3600 * 0.5, abs=1e-6)
    assert steps["build"]["rows"]["raw.plays"] == 91
    assert steps["build"]["rows"]["fct_plays"] == 90
    path = settings.home / "runs" / f"{first['id']}.json"
    assert json.loads(path.read_text()) == first


def test_reports_hold_what_was_played(settings: Settings, first: dict[str, Any]) -> None:
    done = _segue(settings, "report", "top-artists", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["lake_version"] == first["lake_version"]
    assert report["facts"] == {"Plays": 90, "Artists": 4, "Listeners": 3}
    plays = {row["artist"]: row["plays"] for row in report["tables"]["artists"]}
    assert plays == {"A0": 23, "A1": 23, "A2": 22, "A3": 22}
    activity = json.loads((settings.paths.reports / "listening-activity/latest.json").read_text())
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
        {
            (step["name"], table): count
            for step in run["steps"]
            if step["name"] != "retrain"
            for table, count in step["rows"].items()
            if table != "pipeline-health"  # it lists the nights before, and now there is one
        }
        for run in (first, again)
    ]
    assert rows[0] == rows[1]
    assert batch_view.generations(settings.home / "batch_view") == [1], "the same plays, one model"


def test_two_nightlies_do_not_overlap(settings: Settings, first: dict[str, Any]) -> None:
    with Runs(settings.home / "runs").lock():
        done = _segue(settings, "nightly")
    assert done.returncode != 0
    assert f"process {os.getpid()}" in done.stderr.replace("\n", " ")


def test_figures_and_lineage_are_published_with_the_reports(
    settings: Settings, first: dict[str, Any]
) -> None:
    found = msgspec.json.decode(settings.paths.figures_file.read_bytes(), type=Figures)
    days = warehouse.query(settings, "select count(*), sum(plays) from marts.metrics_daily").rows
    assert [(len(found.days["plays"]), sum(d.numerator for d in found.days["plays"]))] == days
    assert list(found.days) == list(DEFINITIONS)
    built = msgspec.json.decode(settings.paths.warehouse_document.read_bytes(), type=Warehouse)
    nodes = built.by_name()
    # A test before this one may have run another night.
    published = [r for r in Runs(settings.paths.runs).all() if r.step("reports").status == "ok"]
    assert built.run == found.run == published[-1].id
    daily = nodes["marts.metrics_daily"]
    assert daily.status == "ok"
    assert {test.status for test in daily.tests} == {"pass"}
    assert {column.name for column in daily.columns} >= {"plays", "discoveries"}
    # Each figure and each report goes down to what landed.
    ends = [node.name for node in nodes.values() if node.kind in ("figure", "report")]
    assert len(ends) == len(DEFINITIONS) + len(KINDS)
    for name in ends:
        if name != "report:pipeline-health":  # it is drawn from the records of the runs too
            assert "raw.plays" in upstream(nodes, [name]), name


def test_a_broken_gate_stops_the_run_and_keeps_the_reports(
    settings: Settings, first: dict[str, Any], tmp_path: Path
) -> None:
    # In a copy: every later night of this home would stop at the gate as well.
    settings = Settings(home=shutil.copytree(settings.home, tmp_path / "home"))
    page = (settings.paths.reports / "top-artists" / "latest.html").read_text()
    plays = warehouse.count(settings, "fct_plays")
    twice = delivery("bob", "x", 500)
    append(settings, [twice, twice])
    code, run = _nightly(settings)
    assert code == 1
    assert run["status"] == "failed"
    assert "exactly-once" in run["error"]
    assert [step["status"] for step in run["steps"]] == ["ok", "failed", *4 * ["skipped"]]
    assert (settings.paths.reports / "top-artists" / "latest.html").read_text() == page
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
