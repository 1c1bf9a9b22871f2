"""The whole stack of one home: servers, topics, tables, accounts, workers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from contracts.database_roles import ADMIN, SINK
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.heartbeat import Heartbeat
from contracts.kafka import ensure_topics, set_retention
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.workers import BY_NAME, CORE_FOLDS, wanted
from infra.stack import kernels
from infra.stack.accounts import ensure_admin
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.brokers import BROKERS
from infra.stack.ports import api_address, free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import Process, python
from infra.stack.progress import heartbeats, readyz
from infra.stack.server import Server
from infra.stack.tansu import Tansu
from infra.stack.valkey import Valkey

#: Ports a stack needs besides the API's.
PORT_NAMES = ("broker", "controller", "valkey", "postgres")


def worker_command(name: str) -> list[str]:
    """Return the command line of a worker."""
    return python("infra.cli.commands.worker", name)


def _broker(kind: str, home: Path, ports: dict[str, int]) -> Server | None:
    if kind == "tansu":
        return Tansu(home, ports["broker"])
    if kind == "kafka":
        return ApacheKafka(home, ports["broker"], ports["controller"])
    if kind == "external":
        return None
    raise ConfigurationError(f"unknown broker {kind!r}; choose from {', '.join(BROKERS)}")


class Stack:
    """Starts and stops single parts; who restarts what and when is the supervisor's business.

    Parameters
    ----------
    home
        Folder of everything.
    broker
        ``tansu``, ``kafka`` or ``external`` (the address is ``base.kafka``).
    ports
        By :data:`PORT_NAMES`; ``None`` takes free ones.
    base
        Settings to start from (namespace, partitions, port of the API); addresses are filled in.
    """

    def __init__(
        self,
        home: Path,
        broker: str = "tansu",
        ports: dict[str, int] | None = None,
        base: Settings | None = None,
    ) -> None:
        self.home = home.absolute()
        self.ports = ports or dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES)), strict=True))
        settings = base or Settings(port=free_ports(1)[0])
        self.broker = _broker(broker, self.home, self.ports)
        self.valkey = Valkey(self.home, self.ports["valkey"])
        self.postgres = Postgres(self.home, self.ports["postgres"], settings.schema)
        present = [s for s in (self.broker, self.valkey, self.postgres) if s is not None]
        self.servers: dict[str, Server] = {server.name: server for server in present}
        self.workers: dict[str, Process] = {}
        self.settings = replace(
            settings,
            home=self.home,
            kafka=settings.kafka if self.broker is None else self.broker.address,
            redis_url=self.valkey.address,
            broker_holds_fetches=broker != Tansu.name and settings.broker_holds_fetches,
        )
        self.log_ids: dict[str, str] = {}

    @property
    def api(self) -> str:
        """Base URL of the HTTP API."""
        return api_address(self.settings.host, self.settings.port)

    @property
    def web(self) -> str:
        """Base URL of the web pages."""
        return api_address(self.settings.host, self.settings.web_port)

    def start_kernels(self) -> Process | None:
        """Start a process that compiles the model's kernels, and do not wait for it.

        Returns ``None`` if they are compiled already.
        """
        if not kernels.needed():
            return None
        process = Process(
            "kernels",
            python("infra.stack.kernels"),
            self.settings.paths.log("kernels"),
        )
        process.start()
        return process

    def start_servers(self, launched: Callable[[str], None] = lambda _: None) -> None:
        """Start all servers at once, create topics, tables and the administrator.

        Parameters
        ----------
        launched
            Called with the name of each server whose process exists.

        Raises
        ------
        SegueError
            The first thing that failed; what was started keeps running (call :meth:`stop`).
        """
        servers = list(self.servers.values())
        pool = ThreadPoolExecutor(len(servers))
        try:
            list(pool.map(lambda server: server.prepare(), servers))
            for server in servers:  # from this thread: see Process.start
                server.launch()
                launched(server.name)
            list(pool.map(lambda server: server.wait_healthy(), servers))
        finally:
            # Not waited for: on Ctrl-C the servers must be stopped first, then the threads end.
            pool.shutdown(wait=False, cancel_futures=True)
        dsn = self.postgres.address_of(ADMIN)
        self.settings = replace(self.settings, postgres_dsn=dsn)
        self.create_topics()
        token = ensure_admin(dsn, self.home)
        self.settings = replace(self.settings, admin_token=token)

    def create_topics(self) -> None:
        """Create the topics that are missing, see to their retention and note their logs' ids."""
        settings = self.settings
        configs = Topics(settings.namespace).configs(
            settings.plays_retention_days, flink=bool(settings.flink)
        )
        self.log_ids = ensure_topics(settings, configs)
        if settings.plays_retention_days:  # otherwise a topic keeps its present retention
            set_retention(settings, configs)

    def start_worker(self, name: str, **environ: str) -> Process:
        """Start one worker with these settings (and more variables); return at once.

        It logs in to PostgreSQL as its own role.
        """
        spec = BY_NAME.get(name)
        dsn = self.postgres.address_of(spec.database if spec else SINK)
        settings = replace(self.settings, postgres_dsn=dsn)
        process = Process(
            name,
            worker_command(name),
            self.settings.paths.log(name),
            env={**os.environ, "PYTHONUNBUFFERED": "1", **settings.environ(), **environ},
        )
        process.start()
        self.workers[name] = process
        return process

    def start_workers(self) -> None:
        """Start every worker."""
        for spec in wanted(os.environ):
            if not spec.after_ready:
                self.start_worker(spec.name)

    def heartbeats(self) -> dict[str, Heartbeat]:
        """Return the last report of each worker by name; raises StoreUnavailable."""
        return heartbeats(self.settings)

    def unready(self) -> str:
        """Return what is not ready yet; empty when the API and every folder of the log are."""
        try:
            status, said = readyz(self.settings)
            beats = heartbeats(self.settings)
        except StoreUnavailable as error:
            return str(error)
        if status != 200:
            return f"{self.api}/readyz answers {said}"
        for name, worker in self.workers.items():
            beat = beats.get(name)
            if name in CORE_FOLDS and not (
                beat and beat.pid == worker.pid and beat.state == "running"
            ):
                return f"{name} does not report that it runs"
        return ""

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Wait until everything is ready.

        Raises
        ------
        StoreUnavailable
            A worker has ended, or the time is over.
        """
        self._check_workers()
        deadline = time.monotonic() + timeout
        while missing := self.unready():
            self._check_workers()
            if time.monotonic() >= deadline:
                raise StoreUnavailable(
                    f"not ready after {timeout:g} s: {missing} (see {self.settings.paths.logs})"
                )
            time.sleep(0.2)

    def _check_workers(self) -> None:
        for name, worker in self.workers.items():
            if worker.pid is None:
                raise StoreUnavailable(
                    f"worker {name} ended with code {worker.exit_code}: {worker.tail(1)} "
                    f"(see {worker.log})"
                )

    def stop(self) -> None:
        """Stop workers, then servers, in the reverse order of starting."""
        for name in reversed(list(self.workers)):
            self.workers[name].stop()
        for server in self.servers.values():
            server.stop()
