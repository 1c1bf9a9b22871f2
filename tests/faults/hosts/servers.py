"""The servers of a deployment on several hosts: brokers, Valkey, object storage, PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import Process
from infra.stack.server import Server
from tests.faults.hosts.network import Host
from tests.integration.seaweed import Seaweed
from tests.integration.valkey_cluster import ValkeyCluster

S = TypeVar("S", bound=Server)
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"


def placed(server: S, host: Host) -> S:
    """Have a server run on a host."""
    build = server._build

    def on_host() -> Process:
        process = build()
        process.command = host.inside(process.command)
        return process

    server.host = host.address
    server._build = on_host  # type: ignore[method-assign]
    return server


class Broker(ApacheKafka):
    """One of several brokers, each of which is a controller too.

    Parameters
    ----------
    number
        Its node id, from 1.
    """

    def __init__(self, home: Path, number: int, port: int, controller_port: int) -> None:
        super().__init__(home, port, controller_port)
        self.number = number
        self.voters = ""

    def _identity(self) -> list[str]:
        return [f"--cluster-id={_CLUSTER}"]

    def _settings(self) -> dict[str, object]:
        return {
            **super()._settings(),
            "node.id": self.number,
            "broker.rack": f"zone-{self.number}",
            "controller.quorum.voters": self.voters,
            "offsets.topic.replication.factor": 3,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
            "replica.lag.time.max.ms": REPLICA_LAG_MS,
        }


#: A copy that did not fetch for so long is no longer waited for. Kafka's default is 30 s.
REPLICA_LAG_MS = 10_000


class Database(Postgres):
    """PostgreSQL that other hosts may log in to."""

    def _init(self) -> None:
        super()._init()
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 scram-sha-256\n")


class Servers:
    """Three brokers and a Cluster of six over three hosts; the other servers on the third one."""

    def __init__(self, folder: Path, hosts: list[Host]) -> None:
        self.brokers = [
            placed(Broker(folder / f"kafka-{n}", n, *free_ports(2)), host)
            for n, host in enumerate(hosts, 1)
        ]
        for broker in self.brokers:
            broker.voters = ",".join(
                f"{each.number}@{each.host}:{each.controller_port}" for each in self.brokers
            )
        self.ring = ValkeyCluster(folder / "valkey")
        for number, node in enumerate(self.ring.nodes):  # no replica beside its primary
            placed(node, hosts[(number + number // 3) % 3])
        self.storage = placed(Seaweed(folder / "s3"), hosts[2])
        self.postgres = placed(Database(folder / "postgres", free_ports(1)[0]), hosts[2])

    @property
    def all(self) -> list[Server]:
        """Every server."""
        return [*self.brokers, *self.ring.nodes, self.storage, self.postgres]

    @property
    def kafka(self) -> str:
        """Addresses of the brokers."""
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start everything and wait until it answers."""
        several: list[Server] = [*self.brokers, self.storage, self.postgres]
        with ThreadPoolExecutor(len(several)) as pool:
            list(pool.map(lambda server: server.prepare(), several))
            for server in several:  # from this thread: see Process.start
                server.launch()
            self.ring.start()
            list(pool.map(lambda server: server.wait_healthy(), several))

    def stop(self) -> None:
        """End everything; nothing of it is needed again."""
        for server in self.all:
            server.kill()
