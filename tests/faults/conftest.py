"""A whole stack on Apache Kafka: no claim about faults rests on the embedded broker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from contracts.settings import Settings
from infra.stack.ports import free_ports
from tests.integration.conftest import RunningStack


@pytest.fixture(scope="package")
def kafka_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A running stack whose parts can be killed and started again by name."""
    if not (shutil.which("java") and shutil.which("mvn")):
        pytest.skip("needs Java 17 and Maven for Apache Kafka")
    running = RunningStack(
        tmp_path_factory.mktemp("faults"),
        "kafka",
        base=Settings(port=free_ports(1)[0], snapshot_seconds=2, lake_seconds=1, drain_seconds=4.0),
    )
    try:
        running.start_servers()
        running.start_workers()
        running.wait_ready()
        yield running
    finally:
        running.stop()
