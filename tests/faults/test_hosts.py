"""Three hosts with three brokers, a Cluster of Valkey and two of each worker, all under load.

``python -m tests.faults.hosts --every`` kills each process of a kind, one after the other.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from tests.conftest import ROOT
from tests.faults.hosts.__main__ import command
from tests.faults.hosts.network import trouble
from tests.rendered_chart import NEEDS_CHART

pytestmark = [
    pytest.mark.starts_first,
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.slow,
    NEEDS_CHART,
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the report of one run; the seed that chooses what is killed is in its output."""
    if not (shutil.which("java") and shutil.which("mvn")):
        pytest.skip("needs Java 17 and Maven for Apache Kafka")
    if why := trouble():
        pytest.skip(f"no network namespaces on this machine: {why}")
    folder = tmp_path_factory.mktemp("hosts")
    seed = str(random.randrange(1000))
    done = subprocess.run(
        command(folder, "--seed", seed),
        cwd=ROOT, capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    found: dict[str, Any] = msgspec.json.decode((folder / "report.json").read_bytes())
    return found


@pytest.mark.timeout(1600)
def test_every_accepted_play_is_in_every_store_once(report: dict[str, Any]) -> None:
    assert report["lost"] == []
    outcome = report["outcome"]
    assert outcome["differences"] == []
    assert outcome["accepted"] == outcome["distinct"] > 0
    assert report["replayed"]["reconciled"]


@pytest.mark.timeout(1600)
def test_every_request_for_a_list_is_answered(report: dict[str, Any]) -> None:
    assert sum(phase["lists"] for phase in report["phases"]) > 0
    failed = [
        f"{phase['name']}: {phase['failed']}" for phase in report["phases"] if phase["failed"]
    ]
    assert not failed, f"{failed}, of all requests: {report['reasons']}"  # whole, unlike a list


@pytest.mark.timeout(1600)
def test_processes_end_in_order_and_never_by_an_error_of_ours(report: dict[str, Any]) -> None:
    assert report["unclean"] == []
    codes = {code for ended in report["restarts"].values() for code in ended}
    assert 1 not in codes, report["restarts"]
