"""What Prometheus reads beside requests."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from api.operation import runs
from api.operation.exported import quality_metrics
from online_model.health import figures
from tests.api.conftest import World


async def test_every_name_has_one_unit_and_known_labels_begin_at_zero(
    world: World, client: httpx.AsyncClient
) -> None:
    folder = world.services.settings.paths.runs
    folder.mkdir(parents=True, exist_ok=True)
    finished = "2026-01-02T03:04:05+00:00"
    for number, status in enumerate(("ok", "failed")):
        record = {
            "id": f"2026010{number + 1}T030000-{number:06x}",
            "status": status,
            "started_at": f"2026-01-0{number + 1}T03:00:00+00:00",
            "finished_at": finished,
            "steps": [{"name": "land", "seconds": 1.5}, {"name": "build", "seconds": None}],
            "points": {"plays": 90.0 + number},
        }
        Path(folder, f"{record['id']}.json").write_text(json.dumps(record))
    families = list(text_string_to_metric_families((await client.get("/metrics")).text))
    types = {family.name: family.type for family in families}
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }
    assert types["segue_impressions_lost"] == types["segue_producer_refused"] == "counter"
    fresh = Metrics().render().decode()  # other tests have counted in the world's
    for missing in ("features", "model", "stale"):
        assert f'segue_degraded_answers_total{{missing="{missing}"}} 0.0' in fresh
        assert ("segue_degraded_answers_total", missing) in values
    assert values["segue_dependency_up", "postgres"] == 0  # nothing listens there
    assert "segue_http_request_duration_seconds" in types
    assert "process_cpu_seconds" in types
    assert ("segue_build_info", version("segue")) in values
    assert values[("segue_nightly_last_success_timestamp_seconds",)] == 1_767_323_045
    # Of the newest nightly, whether it succeeded or not.
    assert values["segue_nightly_step_seconds", "land"] == 1.5
    assert ("segue_nightly_step_seconds", "build") not in values
    assert values["segue_quality_points", "plays"] == 91.0
    for dependency in ("kafka", "redis"):
        assert f'segue_dependency_failed_calls_total{{dependency="{dependency}"}} 0.0' in fresh
        assert ("segue_dependency_call_duration_seconds_count", dependency) in values
    for pool in ("reading", "accounts"):
        assert ("segue_postgres_requests_total", pool) in values
        assert ("segue_postgres_waiting_requests", pool) in values
    # Nobody knows the lag while the broker is away: it is left out, not zero.
    assert not any(name == "segue_worker_lag_messages" for name, *_ in values)


def test_calls_are_counted_by_how_long_they_took_and_whether_they_failed() -> None:
    metrics = Metrics()
    metrics.called("redis", 0.004, False)
    metrics.called("redis", 0.3, True)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }
    seconds = "segue_dependency_call_duration_seconds"
    assert samples[f"{seconds}_bucket", "redis", "0.005"] == 1
    assert samples[f"{seconds}_bucket", "redis", "+Inf"] == 2
    assert samples[f"{seconds}_count", "kafka"] == 0
    assert samples[f"{seconds}_sum", "redis"] == pytest.approx(0.304)
    assert samples["segue_dependency_failed_calls_total", "redis"] == 1


def test_a_record_is_read_again_only_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    known = runs._load
    away = {"one"}

    def reads(path: Path) -> dict[str, Any] | None:
        if path.stem in away:
            away.discard(path.stem)
            raise OSError("away")
        read.append(path.stem)
        return known(path)

    monkeypatch.setattr(runs, "_load", reads)
    for name, record in (
        ("one", '{"id": "one", "status": "failed", "started_at": "2026-01-01"}'),
        ("two", '{"id": "two", "status": "ok", "started_at": "2026-01-02"}'),
        ("torn", '{"id": "torn", "sta'),
    ):
        (tmp_path / f"{name}.json").write_text(record)
    # What could not be read is not remembered as a record without content.
    assert [run.id for run in runs.latest_runs(tmp_path)] == ["two"]
    for _ in range(2):
        assert [run.id for run in runs.latest_runs(tmp_path)] == ["two", "one"]
    assert sorted(read) == ["one", "torn", "two"]
    (tmp_path / "one.json").write_text('{"id": "one", "status": "ok", "started_at": "2026-01-01"}')
    assert [run.status for run in runs.latest_runs(tmp_path)] == ["ok", "ok"]
    assert read[3:] == ["one"]


def test_the_figures_of_the_model_are_sorted_by_their_units() -> None:
    report = {
        "all": {"events": 900, "hr@10": 0.31, "ndcg@10": 0.2},
        "popularity": {"events": 900, "hr@10": 0.05, "ndcg@10": 0.02},
        "situations": {"new session": {"events": 7, "hr@10": 0.5, "ndcg@10": 0.4}},
        "proposed": 0.8,
        "coverage@10": 0.6,
        "counters": {"clock": 1_700_000_000, "evicted_tracks": 3},
        "drift": {"found": True, "trials_ago": 12},
    }
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in quality_metrics(figures(report))
        for sample in family.samples
    }
    assert samples == {
        ("segue_model_hit_ratio", "all", "10"): 0.31,
        ("segue_model_hit_ratio", "popularity", "10"): 0.05,
        ("segue_model_hit_ratio", "new_session", "10"): 0.5,
        ("segue_model_ndcg_ratio", "all", "10"): 0.2,
        ("segue_model_ndcg_ratio", "popularity", "10"): 0.02,
        ("segue_model_ndcg_ratio", "new_session", "10"): 0.4,
        ("segue_model_judged_plays", "all"): 900,
        ("segue_model_judged_plays", "popularity"): 900,
        ("segue_model_judged_plays", "new_session"): 7,
        ("segue_model_proposed_ratio",): 0.8,
        ("segue_model_coverage_ratio",): 0.6,
        ("segue_model_last_play_timestamp_seconds",): 1_700_000_000,
        ("segue_model_drift_detected",): 1.0,
        ("segue_model_events_total", "evicted_tracks"): 3,
    }
