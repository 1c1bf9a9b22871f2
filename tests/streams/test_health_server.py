"""A worker answers probes and Prometheus at a port of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.heartbeat import STUCK_AFTER
from streams.health_server import HealthServer
from streams.heartbeat import Status

Clock = list[float]


@pytest.fixture
def clock() -> Clock:
    return [0.0]


@pytest.fixture
def status(clock: Clock) -> Status:
    return Status(lambda: clock[0])


@pytest.fixture
def url(status: Status) -> Iterator[str]:
    server = HealthServer("127.0.0.1", 0, "lake-sink", status)
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def test_only_a_stuck_worker_is_ill(status: Status, clock: Clock, url: str) -> None:
    assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200  # it starts
    status.set_state("running")
    status.waits("plays", "no broker")
    answer = httpx.get(f"{url}/healthz", timeout=60)
    assert (answer.status_code, answer.text) == (200, "waiting no broker")
    status.goes_on("plays")
    status.turns("plays")
    clock[0] += STUCK_AFTER + 1
    answer = httpx.get(f"{url}/healthz", timeout=60)
    assert (answer.status_code, answer.text.split()[0]) == (503, "stuck")


def test_prometheus_reads_offsets_counts_and_values(status: Status, url: str) -> None:
    status.set_state("running")
    status.offsets["segue.plays:3"] = 17
    status.add(rows=5)
    status.counters["quality_all_hr@10"] = 0.25
    text = httpx.get(f"{url}/metrics", timeout=60).text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["segue_worker_running", "lake-sink"] == 1
    assert samples["segue_worker_offset_total", "lake-sink", "segue.plays:3"] == 17
    assert samples["segue_worker_events_total", "lake-sink", "rows"] == 5
    assert samples["segue_worker_value", "lake-sink", "quality_all_hr@10"] == 0.25
    assert any(name.startswith("process_resident_memory") for name, *_ in samples)
    assert httpx.get(f"{url}/other", timeout=60).status_code == 404


def test_a_taken_port_is_refused(status: Status, url: str) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        HealthServer("127.0.0.1", port, "lake-sink", status)
