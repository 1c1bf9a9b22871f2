"""A deployment on three hosts under load: all is killed, cut off, replaced, added and removed."""

from __future__ import annotations

import os
import random
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import KafkaException

from contracts.database_roles import PARTS
from contracts.deliveries import NO_OFFSET
from contracts.errors import SegueError
from contracts.redis_client import UNAVAILABLE
from contracts.settings import Settings
from contracts.topics import Topics
from infra.operations import hosts as processes
from infra.operations.replay import reconcile
from infra.operations.replay.run import Outcome, count
from infra.stack import copies
from infra.stack.process import python
from infra.stack.progress import wait_applied
from infra.stack.server import Server
from tests.faults.hosts.kubernetes import Kubernetes
from tests.faults.hosts.load import Load
from tests.faults.hosts.network import Host, Network, resolve
from tests.faults.hosts.pods import Container, Pod
from tests.faults.hosts.servers import Servers
from tests.integration.seaweed import BUCKET, KEY, SECRET
from tests.plays import interactions
from tests.rendered_chart import objects

_RELEASE = "demo"
_COLLECTION = "hosts"
#: Longest wait for anything, seconds: a busy machine is no failure.
_LONG = 240.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes
    ----------
    every
        Kill every process, broker and primary, one after the other; otherwise one of each kind,
        the processes at once.
    cut_seconds
        How long two hosts do not reach each other.
    plays_per_s, lists_per_s
        The load.
    seed
        Chooses what is killed where not everything is.
    """

    every: bool = False
    cut_seconds: float = 30.0
    plays_per_s: float = 60.0
    lists_per_s: float = 10.0
    partitions: int = 12
    seed: int = 0


@dataclass
class Report:
    """What came of it.

    Attributes
    ----------
    phases
        Name, seconds until all was well again and :class:`tests.faults.hosts.load.Figures` of each.
    reasons
        Why requests failed, and how often.
    restarts
        Exit codes of the processes that ended by themselves, by pod and worker.
    unclean
        Processes that did not end with code 0 after SIGTERM.
    outcome
        Of the plays of the load; those of ``segue replay`` afterwards are in ``replayed``.
    lost
        Accepted plays that are not in the log: when and by which API each was accepted.
    without_offset
        Lines in the logs of processes, one for each message that librdkafka reported as delivered
        without an offset.
    """

    phases: list[dict[str, Any]] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, list[int]] = field(default_factory=dict)
    unclean: list[str] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    without_offset: list[str] = field(default_factory=list)
    replayed: dict[str, Any] = field(default_factory=dict)


class Scenario:
    """The deployment and what happens to it; :meth:`run` does all of it.

    Parameters
    ----------
    folder
        For data and logs.
    say
        Takes one line after each phase.
    """

    def __init__(self, folder: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._plan = plan
        self._say = say
        self._draw = random.Random(plan.seed)
        self._pool = ThreadPoolExecutor(2)
        self._closing = ExitStack()
        self.report = Report()
        self.network = Network(folder / "network")
        self.hosts = [self.network.add(name) for name in ("a", "b", "c")]
        self.servers = Servers(folder, self.hosts)

    def run(self) -> Report:
        """Do everything, then count every store.

        Raises
        ------
        AssertionError
            Something did not recover in time.
        """
        with self._closing:
            self._start()
            start = reconcile.mark(self.settings)
            self.load.start()
            with self._phase("nothing happens"):
                self._pause(5)
            self._kill_processes()
            self._kill_servers()
            self._cut()
            self._add_host()
            with self._phase("every pod replaced"):
                self.kubernetes.roll(_LONG)
                self._recover()
            self._remove_host()
            with self._phase("what was still to be accepted"):
                self.load.stop()
            outcome = self._count(start)
            self.report.outcome = msgspec.to_builtins(outcome)
            self.report.lost = [self.load.trail(play) for play in outcome.lost]
            self.report.reasons = dict(self.load.reasons)
            self.report.unclean = self.kubernetes.unclean
            self.report.without_offset = self._without_offset()
            self.report.replayed = self._replay()
            return self.report

    def _start(self) -> None:
        began = time.monotonic()
        self._closing.callback(self.servers.stop)
        self.servers.start()
        postgres, storage = self.servers.postgres, self.servers.storage
        token = secrets.token_hex(16)
        lake = f"s3://{BUCKET}/{_RELEASE}"
        values = {
            "kafka": {"brokers": self.servers.kafka, "partitions": self._plan.partitions},
            "lake": {"url": lake, "endpoint": storage.address},
            "lakeSink": {"replicas": 2},
            "historySink": {"replicas": 2},
            "settings": {"SEGUE_SNAPSHOT_SECONDS": "5"},
        }
        keys = {
            "redis-url": self.servers.ring.address,
            "postgres-owner-dsn": postgres.address,
            **{f"postgres-{part}-dsn": postgres.address_of(part) for part in PARTS},
            **{f"postgres-{part}-password": postgres._password_of(part) for part in PARTS},
            "admin-token": token,
            "s3-key": KEY,
            "s3-secret": SECRET,
        }
        where = self.hosts[:2]
        self.kubernetes = Kubernetes(objects(values), list(where), self._folder / "k8s", keys)
        self._closing.callback(self.kubernetes.kill)
        self.settings = Settings(
            home=self._folder / "k8s" / f"{_RELEASE}-home",
            kafka=self.servers.kafka,
            redis_url=self.servers.ring.address,
            postgres_dsn=postgres.address,
            lake=lake,
            s3_endpoint=storage.address,
            s3_key=KEY,
            s3_secret=SECRET,
            partitions=self._plan.partitions,
            host=where[0].address,
            admin_token=token,
        )
        self._resolve(where)
        self.load = Load(
            interactions(120_000, listeners=400),
            _COLLECTION,
            token,
            [_api(host) for host in where],
            self._plan.plays_per_s,
            self._plan.lists_per_s,
        )
        self.kubernetes.install()
        assert self._until(lambda: all(pod.ready for pod in self.kubernetes.pods)), self._unready()
        self._say(f"everything runs after {time.monotonic() - began:.0f} s")

    def _resolve(self, apis: list[Host]) -> None:
        resolve(self._folder, {f"{_RELEASE}-api": apis})

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Note what clients see while the block runs."""
        self.load.figures()
        self.load.phase = name
        began = time.monotonic()
        yield
        self.load.check()
        seconds = round(time.monotonic() - began, 1)
        figures = asdict(self.load.figures())
        ended = self.kubernetes.ends()
        self.report.restarts |= {f"{name}: {who}": codes for who, codes in ended.items()}
        self.report.phases.append({"name": name, "seconds": seconds, **figures})
        shown = ", ".join(f"{what} {n:g}" for what, n in figures.items() if n)
        self._say(f"{name}: {seconds} s; {shown}; ended: {ended or 'nothing'}")

    def _until(self, met: Callable[[], Any]) -> bool:
        return self.kubernetes.until(lambda: _tried(met), _LONG)

    def _pause(self, seconds: float) -> None:
        self.kubernetes.until(lambda: False, seconds)

    def _unready(self) -> list[str]:
        return [
            f"{pod.name} {each.name}: {each.process.tail(5)}"
            for pod in self.kubernetes.pods
            if not pod.ready
            for each in pod.containers
        ]

    def _recover(self) -> None:
        """Wait until every pod is ready and every store has applied the log as it is now."""
        assert self._until(lambda: all(pod.ready for pod in self.kubernetes.pods)), self._unready()
        waiting = self._pool.submit(wait_applied, self.settings, _LONG)

        def applied() -> bool:
            nonlocal waiting
            if not waiting.done():
                return False
            try:
                return waiting.result() == []
            except SegueError:
                waiting = self._pool.submit(wait_applied, self.settings, _LONG)
                return False

        assert self._until(applied), f"behind: {waiting.result() if waiting.done() else 'unknown'}"

    def _kill_processes(self) -> None:
        found: dict[str, list[tuple[Pod, Container]]] = {}
        for pod in self.kubernetes.pods:
            for each in pod.containers:
                found.setdefault(each.name, []).append((pod, each))
        if self._plan.every:
            for name, several in found.items():
                for pod, container in several:
                    with self._phase(f"{name} of {pod.name} killed"):
                        container.process.stop(signal.SIGKILL)
                        self._recover()
            return
        with self._phase("one process of each kind killed at once"):
            for several in found.values():
                _, container = self._draw.choice(several)
                container.process.stop(signal.SIGKILL)
            self._recover()

    def _kill_servers(self) -> None:
        ring = self.servers.ring
        one: Callable[[list[Any]], list[Any]] = lambda few: [self._draw.choice(few)]  # noqa: E731
        chosen = list if self._plan.every else one
        for broker in chosen(self.servers.brokers):
            with self._phase(f"broker {broker.number} killed"):
                broker.kill()
                self._pause(8)
                self._start_again(broker)
                self._until(self._in_sync)
                self._recover()
        for node in chosen([node for node in ring.nodes if ring.is_primary(node)]):
            with self._phase(f"primary {node.port} killed"):
                node.kill()
                assert self._until(lambda: sum(map(ring.is_primary, ring.nodes)) == 3)
                self._start_again(node)
                assert self._until(lambda: all(map(ring.well, ring.nodes)))
                # It leads again: a host with two of three primaries must not be lost.
                node.ask("CLUSTER", "FAILOVER")
                assert self._until(lambda node=node: ring.is_primary(node))  # type: ignore[misc]
                self._recover()
        for server in (self.servers.storage, self.servers.postgres):
            with self._phase(f"{server.name} killed"):
                server.kill()
                self._pause(3)
                self._start_again(server)
                self._recover()

    def _start_again(self, server: Server) -> None:
        server.prepare()
        server.launch()
        assert self._until(server.healthy)

    def _in_sync(self) -> bool:
        topics = list(Topics(self.settings.namespace).configs())
        return not copies.faults(self.settings, topics)

    def _cut(self) -> None:
        """Cut off the hosts of the two APIs from each other."""
        one, other = self.hosts[:2]
        with self._phase(f"hosts {one.name} and {other.name} cut off from each other"):
            self.network.cut(one, other)
            self._pause(self._plan.cut_seconds)
            self.network.mend(one, other)
        with self._phase("after the cut"):
            assert self._until(self._in_sync)
            self._recover()

    def _add_host(self) -> None:
        """Add a host whose learner starts from another one's model."""
        with self._phase("host d added"):
            self.new = self.network.add("d")
            self.hosts.append(self.new)
            pod = self.kubernetes.add(self.kubernetes.workloads[f"{_RELEASE}-api"], self.new)
            assert self._until(lambda: pod.ready), self._unready()
            (learner,) = [each for each in pod.containers if each.name == "learner"]
            assert "it starts from a copy in object storage" in learner.process.tail(50)
            self.kubernetes.hosts.append(self.new)
            self.load.apis.append(_api(self.new))
            self._resolve([*self.hosts[:2], self.new])
            self._recover()

    def _remove_host(self) -> None:
        """Cut the power of a host that has everything but the only copies, and forget it."""
        gone = self.hosts[1]
        with self._phase(f"host {gone.name} removed"):
            for server in self.servers.all:
                if server.host == gone.address:
                    server.kill()
            lost = self.kubernetes.lose(gone, self.new)
            self.load.apis.remove(_api(gone))
            self._resolve([self.hosts[0], self.new])
            ring = self.servers.ring
            assert self._until(lambda: sum(map(ring.is_primary, ring.nodes)) == 3), "no failover"
            self._recover()
            names = {pod.name for pod in lost}
            found = {each.host for each in processes.processes(self.settings)} & names
            assert found, "no process of the host has reported"
            for name in found:
                assert self._until(lambda name=name: processes.forget(self.settings, name))  # type: ignore[misc]

    def _count(self, start: reconcile.Mark) -> Outcome:
        self._recover()
        return count(
            self.settings,
            self.load.sent(),
            _COLLECTION,
            self.load.posted,
            start,
            warehouse=False,
            say=self._say,
        )

    def _without_offset(self) -> list[str]:
        return [
            f"{path.name}: {line}"
            for path in sorted((self._folder / "k8s" / "logs").glob("*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if NO_OFFSET in line
        ]

    def _replay(self) -> dict[str, Any]:
        """Run ``segue replay`` with other plays; return what it prints."""
        file = self._folder / "plays.csv"
        data = interactions(500, prefix="replayed-")
        rows = zip(data.users, data.items, data.seconds.tolist(), strict=True)
        lines = [f"{user},{item},{second}" for user, item, second in rows]
        file.write_text("\n".join(["user,item,timestamp", *lines]) + "\n")
        done = self._pool.submit(
            subprocess.run,
            python("infra.cli", "replay", str(file), "--no-warehouse", "--json"),
            env=os.environ | self.settings.environ(),
            capture_output=True,
            text=True,
            timeout=_LONG,
        )
        assert self._until(done.done)
        assert done.result().returncode == 0, done.result()
        found: dict[str, Any] = msgspec.json.decode(done.result().stdout)
        return found


def _api(host: Host) -> str:
    return f"http://{host.address}:8000"


def _tried(met: Callable[[], Any]) -> Any:
    """Return what a server answers; ``False`` while it does not answer."""
    try:
        return met()
    except (SegueError, KafkaException, *UNAVAILABLE):
        return False
