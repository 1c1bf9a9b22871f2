"""Apache Kafka nodes (KRaft, brokers and controllers) with a secured listener for clients.

Each node listens twice: in clear for the other nodes and for tests that act as the operator, and
with TLS and SCRAM, where the ACLs of a principal limit what it may do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import LOOPBACK, free_ports
from tests.integration.tls import issue

PASSWORD = "it's-secret"
_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Node(ApacheKafka):
    """One of the nodes of a cluster.

    Parameters
    ----------
    users
        Names that can log in, all with :data:`PASSWORD`.
    """

    def __init__(
        self, folder: Path, number: int, ports: tuple[int, int, int], keys: Path, users: list[str]
    ) -> None:
        super().__init__(folder / str(number), ports[0], ports[1])
        self.number = number
        self.secure = f"{LOOPBACK}:{ports[2]}"
        self._keys = keys
        self._users = users
        self.voters = ""
        self.copies = 1

    def _identity(self) -> list[str]:
        users = [f"SCRAM-SHA-512=[name={name},password={PASSWORD}]" for name in self._users]
        named = [word for user in users for word in ("--add-scram", user)]
        return [f"--cluster-id={_CLUSTER}", *named]

    def _settings(self) -> dict[str, object]:
        listeners = f"PLAINTEXT://{self.address},SASL_SSL://{self.secure}"
        controller = f"CONTROLLER://{LOOPBACK}:{self.controller_port}"
        return {
            **super()._settings(),
            "node.id": self.number,
            "broker.rack": f"zone-{self.number}",
            "controller.quorum.voters": self.voters,
            "listeners": f"{listeners},{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT"
            ),
            "offsets.topic.replication.factor": self.copies,
            "transaction.state.log.replication.factor": self.copies,
            "transaction.state.log.min.isr": max(1, self.copies - 1),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _SCRAM,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keys,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
            "num.network.threads": 1,
            "num.io.threads": 2,
        }


class KafkaCluster:
    """Nodes that know each other.

    Parameters
    ----------
    users
        Names that can log in, all with :data:`PASSWORD`.
    size
        How many nodes.

    Attributes
    ----------
    ca
        File of the authority that signed the certificate of the nodes.
    """

    def __init__(self, folder: Path, users: list[str], size: int = 3) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, keys = issue(folder)
        ports = iter(free_ports(3 * size))
        self.nodes = [
            Node(folder, number, (next(ports), next(ports), next(ports)), keys, users)
            for number in range(1, size + 1)
        ]
        voters = [f"{node.number}@{LOOPBACK}:{node.controller_port}" for node in self.nodes]
        for node in self.nodes:
            node.voters, node.copies = ",".join(voters), size

    @property
    def plain(self) -> str:
        """Addresses in clear; a client that uses them may do everything."""
        return ",".join(node.address for node in self.nodes)

    @property
    def secure(self) -> str:
        """Addresses with TLS and login."""
        return ",".join(node.secure for node in self.nodes)

    def start(self) -> None:
        """Start all nodes and wait until each answers."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(lambda node: node.prepare(), self.nodes))
            for node in self.nodes:  # from this thread: see Process.start
                node.launch()
            list(pool.map(lambda node: node.wait_healthy(), self.nodes))

    def stop(self) -> None:
        """End all nodes; nothing of theirs is needed again."""
        for node in self.nodes:
            node.kill()
