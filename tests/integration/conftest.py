"""The embedded stack as fixtures: real broker, real Valkey, real PostgreSQL, on free ports.

``--broker`` (see tests/conftest.py) chooses what ``broker`` and ``stack`` run
on; the Kafka variants carry the mark ``kafka``.
"""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from contracts.settings import Settings
from contracts.workers import CORE_FOLDS
from infra.operations.erasure.run import run_pending
from infra.stack.accounts import grant
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import wait_until
from infra.stack.progress import wait_applied
from infra.stack.server import Server
from infra.stack.stack import Stack
from infra.stack.tansu import Tansu
from infra.stack.valkey import Valkey
from tests.otlp import Collector


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use a broker once for each broker asked for."""
    if "broker_kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--broker")
        if chosen == "marked":
            each = metafunc.definition.get_closest_marker("each_broker")
            only = metafunc.definition.get_closest_marker("kafka")
            chosen = "both" if each else "kafka" if only else "tansu"
        kinds = ["tansu", "kafka"] if chosen == "both" else [chosen]
        marks = {"kafka": [pytest.mark.kafka], "tansu": []}
        metafunc.parametrize(
            "broker_kind",
            [pytest.param(kind, marks=marks[kind]) for kind in kinds],
            scope="session",
        )


class RunningStack(Stack):
    """A stack under test: parts can be killed and started again by name."""

    @property
    def admin_token(self) -> str:
        """Token with every role."""
        return self.settings.admin_token

    def kill(self, name: str) -> None:
        """End a worker or server with SIGKILL."""
        if name in self.servers:
            self.servers[name].kill()
        else:
            self.workers[name].stop(signal.SIGKILL)

    def start(self, name: str) -> None:
        """Start a worker or server that was stopped or killed; wait until it takes connections."""
        if name in self.servers:
            self.servers[name].start()
            return
        self.start_worker(name)
        if name == "api":
            assert wait_until(self._answers, 90), "the API does not answer"

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api}/healthz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def stop(self, name: str | None = None) -> None:
        """Stop a worker or server in order; without a name, everything.

        The stack no longer waits for a worker that was stopped: a test file that stops its own
        worker at its end must not fail ``wait_ready`` in the next file.
        """
        if name is None:
            super().stop()
        elif name in self.servers:
            self.servers[name].stop()
        elif worker := self.workers.pop(name, None):
            worker.stop()

    def wait_applied(self, timeout: float = 60.0, workers: tuple[str, ...] = CORE_FOLDS) -> None:
        """Wait until every worker has applied what is in the log now; fail the test otherwise."""
        behind = wait_applied(self.settings, timeout, workers)
        assert not behind, f"still behind after {timeout:g} s: {behind}"

    def token_for(self, user: str, roles: Sequence[str] = ("listener",)) -> str:
        """Make a listener (if missing) and return a new token for it."""
        token = secrets.token_hex(32)
        grant(self.settings.postgres_dsn, user, roles, token, "test")
        return token

    def finish_erasures(self) -> None:
        """Finish the erasures that earlier tests on this stack requested and left pending."""
        found, finished = run_pending(self.settings, settle=0)
        assert found == finished


@pytest.fixture(scope="session")
def broker_home(tmp_path_factory: pytest.TempPathFactory, broker_kind: str) -> Path:
    """Home of the session's broker."""
    return tmp_path_factory.mktemp(f"broker-{broker_kind}")


@pytest.fixture(scope="session")
def broker(broker_kind: str, broker_home: Path) -> Iterator[Server]:
    """A running broker without topics (``.address``, ``.kill()``, ``.start()``)."""
    port, controller = free_ports(2)
    server: Server = (
        Tansu(broker_home, port)
        if broker_kind == "tansu"
        else ApacheKafka(broker_home, port, controller)
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A running, empty Valkey (``.address`` is its URL)."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), free_ports(1)[0])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A running, empty Valkey of one test, which may kill it."""
    server = Valkey(tmp_path / "own", free_ports(1)[0])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running PostgreSQL with the tables of schema ``segue`` (``.address`` is its DSN)."""
    server = Postgres(tmp_path_factory.mktemp("postgres"), free_ports(1)[0])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Takes the spans of ``stack``, which traces only requests that ask for it."""
    running = Collector()
    yield running
    running.close()


@pytest.fixture(scope="session")
def stack(
    broker_kind: str, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    """The whole stack, ready: servers, topics, tables, administrator, workers, API.

    Attributes to use: ``settings``, ``api``, ``admin_token``; methods ``kill``, ``start``,
    ``stop``, ``wait_ready``, ``wait_applied``, ``token_for``.
    """
    home = tmp_path_factory.mktemp(f"stack-{broker_kind}")
    port, web_port = free_ports(2)
    base = Settings(
        port=port,
        web_port=web_port,
        snapshot_seconds=2,
        lake_seconds=1,
        traces_url=collector.url,
    )
    running = RunningStack(home, broker_kind, base=base)
    try:
        compiling = running.start_kernels()
        running.start_servers()
        if compiling is not None:
            assert compiling.wait(600), "the kernels do not compile"
        running.start_workers()
        running.wait_ready()
        yield running
    finally:
        running.stop()
