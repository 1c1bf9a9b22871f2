"""Alerts, recording rules and the dashboard can be evaluated, and ask for what is published."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.workers import CORE_FOLDS
from infra.observe.dashboard import ROWS
from tests.conftest import ROOT

FOLDER = ROOT / "infra" / "observe"
PROMTOOL = ROOT / ".promtool" / "usr" / "bin" / "promtool"
NEEDS_PROMTOOL = pytest.mark.skipif(not PROMTOOL.exists(), reason="needs promtool: make promtool")
CHART = ROOT / ".venv-chart" / "bin" / "python"
QUERIES = [panel.query for panels in ROWS.values() for panel in panels]
#: Published by the client library itself.
FOREIGN = {"process_resident_memory_bytes", "process_cpu_seconds_total"}


def rules(file: str) -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((FOLDER / file).read_text())["groups"]:
        yield from group["rules"]


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROMTOOL), *arguments], cwd=folder, capture_output=True, text=True)


def published() -> set[str]:
    """Return the names of all series that our processes write, as the code spells them."""
    found = set(FOREIGN)
    files = (
        "api/metrics.py", "api/operation/exported.py", "api/freshness.py",
        "streams/health_server.py",
    )  # fmt: skip
    for file in files:
        text = (ROOT / file).read_text()
        counters = set(re.findall(r'CounterMetricFamily\(\s*"(segue_\w+)"', text))
        found |= {f"{name}_total" for name in counters}
        histograms = set(re.findall(r'HistogramMetricFamily\(\s*"(segue_\w+)"', text))
        found |= {f"{name}_{part}" for name in histograms for part in ("bucket", "count")}
        found |= set(re.findall(r'"(segue_\w+)"', text)) - counters - histograms
    # Named in a loop, by what the library of the pools calls them.
    return found | {"segue_postgres_waiting_requests"}


def asked(query: str) -> set[str]:
    """Return the names of series in a query, of ours and of the client library's."""
    bare = re.sub(r'"[^"]*"', "", query)
    return set(re.findall(r"\b(?:segue|process)[a-z0-9_:]*[a-z0-9]", bare))


@NEEDS_PROMTOOL
def test_rules_are_valid_and_behave_as_their_tests_say() -> None:
    done = promtool("check", "rules", "alerts.rules.yml", "recording.rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    done = promtool("test", "rules", "alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMTOOL
def test_the_configuration_and_every_query_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus", str(FOLDER))
    (tmp_path / "prometheus.yml").write_text(text)
    done = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    drawn = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(QUERIES)]
    (tmp_path / "panels.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "p", "rules": drawn}]})
    )
    done = promtool("check", "rules", str(tmp_path / "panels.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    tested = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tested
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules("alerts.rules.yml")}


def test_they_ask_for_series_that_are_published() -> None:
    recorded = {rule["record"] for rule in rules("recording.rules.yml")}
    known = published() | recorded
    both = [*rules("alerts.rules.yml"), *rules("recording.rules.yml")]
    for query in [*QUERIES, *(rule["expr"] for rule in both)]:
        assert asked(query), query
        assert asked(query) <= known, query


def test_every_alert_has_its_section_of_the_runbook() -> None:
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    alerts = [rule["alert"] for rule in rules("alerts.rules.yml")]
    assert sections == alerts
    for rule in rules("alerts.rules.yml"):
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.skipif(not CHART.exists(), reason="needs Helm: make chart")
def test_the_dashboard_is_what_its_code_draws() -> None:
    done = subprocess.run(
        [str(CHART), str(FOLDER / "dashboard.py")], capture_output=True, text=True, check=True
    )
    kept = json.loads((FOLDER / "grafana" / "segue.json").read_text())
    assert json.loads(done.stdout) == kept, "run make dashboard"
    assert sorted(t["expr"] for p in kept["panels"] for t in p.get("targets", [])) == sorted(
        QUERIES
    )


def test_compose_mounts_what_is_there_and_scrapes_its_services() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    observing = {n: s for n, s in services.items() if s.get("profiles") == ["observe"]}
    assert set(observing) == {"prometheus", "alertmanager", "grafana", "jaeger"}
    mounted = [v for s in observing.values() for v in s.get("volumes", []) if v.startswith("./")]
    assert all((ROOT / volume.partition(":")[0]).is_file() for volume in mounted)
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    targets = {t for job in jobs for each in job["static_configs"] for t in each["targets"]}
    port = services["learner"]["environment"]["SEGUE_WORKER_PORT"]
    assert targets == {"api:8000", *(f"{name}:{port}" for name in CORE_FOLDS)}
