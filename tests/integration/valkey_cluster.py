"""Valkey on several processes: a Cluster of three primaries and three replicas, and a Sentinel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis

from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.process import Process, wait_until
from infra.stack.valkey import Valkey

PASSWORD = "of-all-nodes"
SLOTS = 16_384


class Node(Valkey):
    """One server of several; all have one password.

    Parameters
    ----------
    own
        Settings besides those of every Valkey.
    """

    def __init__(self, home: Path, port: int, **own: str) -> None:
        super().__init__(home, port)
        self._own = {name.replace("_", "-"): value for name, value in own.items()}

    @property
    def password(self) -> str:
        return PASSWORD

    def _secrets(self) -> list[str]:
        return [*super()._secrets(), f"masterauth {PASSWORD}"]

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), "hz": "10", **self._own}

    def ask(self, *words: str | int | bytes) -> Any:
        """Run a command that redis-py's client would send elsewhere, or reads its own way."""
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    @property
    def client(self) -> redis.Redis:
        """A client of this server alone."""
        return redis.Redis.from_url(self.address, socket_timeout=5.0)


class Sentinel(Node):
    """Watches a primary, and makes its replica the primary when it is gone."""

    name = "sentinel"

    def __init__(self, home: Path, port: int, primary: Node) -> None:
        super().__init__(home, port)
        self._primary = primary

    def _secrets(self) -> list[str]:
        return [
            f"port {self.port}",
            f"dir {self.folder}",
            f"bind {LOOPBACK}",
            f"sentinel monitor main {LOOPBACK} {self._primary.port} 1",
            f"sentinel auth-pass main {PASSWORD}",
            "sentinel down-after-milliseconds main 1000",
            "sentinel failover-timeout main 3000",
            f"requirepass {PASSWORD}",
        ]

    def _settings(self) -> dict[str, str]:
        return {}

    def _build(self) -> Process:
        process = super()._build()
        process.command = [*process.command, "--sentinel"]
        return process


class ValkeyCluster:
    """Three primaries, each with a replica."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(12)  # each node's port and that of its cluster bus
        self._buses = dict(zip(ports[:6], ports[6:], strict=True))
        self.nodes = [
            Node(
                folder / str(port), port,
                cluster_enabled="yes", cluster_port=str(bus), cluster_config_file="nodes.conf",
                cluster_node_timeout="2000", cluster_require_full_coverage="no",
                # A slow machine must not make a replica too old to take over.
                cluster_replica_validity_factor="0",
            )
            for port, bus in self._buses.items()
        ]  # fmt: skip

    @property
    def address(self) -> str:
        """What clients are given: some of the nodes, replicas too."""
        hosts = ",".join(f"{node.host}:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{PASSWORD}@{hosts}"

    def start(self) -> None:
        """Start the nodes and make them one Cluster."""
        for node in self.nodes:
            node.prepare()
            node.launch()
        for node in self.nodes:
            node.wait_healthy()
        first, *others = self.nodes
        for node in others:
            first.ask("CLUSTER", "MEET", node.host, node.port, self._buses[node.port])
        primaries, replicas = self.nodes[:3], self.nodes[3:]
        share = SLOTS // 3
        for number, node in enumerate(primaries):
            last = SLOTS - 1 if number == 2 else (number + 1) * share - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        known = (lambda node=node: self._info(node)["cluster_known_nodes"] == "6"
                 for node in self.nodes)  # fmt: skip
        assert all(wait_until(each, 90) for each in known)
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", self.id_of(primary))
        assert all(wait_until(lambda node=node: self.well(node), 90) for node in self.nodes)  # type: ignore[misc]

    def stop(self) -> None:
        """End all nodes; nothing of theirs is needed again."""
        for node in self.nodes:
            node.kill()

    @staticmethod
    def id_of(node: Node) -> str:
        """Return the name a node has in the Cluster."""
        found = node.ask("CLUSTER", "MYID")
        return str(found.decode() if isinstance(found, bytes) else found)

    @staticmethod
    def is_primary(node: Node) -> bool:
        """Whether a node that runs is a primary."""
        return node.pid is not None and node.client.info("replication")["role"] == "master"

    def well(self, node: Node) -> bool:
        """Whether a node finds every slot covered, and follows its primary if it is a replica."""
        info = node.client.info("replication")
        linked = info["role"] == "master" or info.get("master_link_status") == "up"
        return linked and self._info(node)["cluster_state"] == "ok"

    def holder(self, slot: int) -> Node:
        """Return the primary that holds a slot now."""
        return next(
            node
            for node in self.nodes
            if self.is_primary(node) and _covers(node, slot, self.id_of(node))
        )

    @staticmethod
    def _info(node: Node) -> dict[str, str]:
        found = node.ask("CLUSTER", "INFO")
        if isinstance(found, dict):
            return found
        text = found.decode() if isinstance(found, bytes) else found
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def _covers(node: Node, slot: int, own: str) -> bool:
    for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS"):
        if first <= slot <= last:
            name = primary[2]
            return (name.decode() if isinstance(name, bytes) else name) == own
    return False
