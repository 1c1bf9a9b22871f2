"""Apache Kafka 4: one KRaft node (broker and controller) on the installed Java."""

from __future__ import annotations

import base64
import json
import subprocess
import uuid
from pathlib import Path

from contracts.errors import ConfigurationError
from contracts.settings import Settings
from infra.stack.kafka_client import broker_answers
from infra.stack.kafka_jars import classpath, java
from infra.stack.process import Process
from infra.stack.server import Server

# One broker with a few clients on the cores it shares with them: the quick compiler alone and the
# plain collector. A young broker then pays 70 us for a batch instead of 465, and holds 300 MB
# instead of 500 (docs/adr/0001-embedded-broker.md).
_JVM = (
    "-Xmx256m",
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # By default an idle JVM samples counters for jstat 20 times a second and stops all threads (a
    # safepoint) once a second.
    "-XX:-UsePerfData",
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:GuaranteedSafepointInterval=0",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

_CAUSE = "Caused by: "


def _escaped(value: object) -> str:
    r"""Write a value as Java reads properties files: in ASCII, with the escapes JSON has too.

    Examples
    --------
    >>> print(_escaped("/home/jürgen"))
    /home/j\u00fcrgen
    """
    return json.dumps(str(value))[1:-1]


def _failure(text: str) -> str:
    r"""Return why a Java program failed: the last two causes of a stack trace, else its last line.

    Examples
    --------
    >>> print(_failure("ERROR Exiting\nA: no\n\tat B\nCaused by: C: taken\n\t... 9 more\nbye"))
    C: taken
    """
    lines = [line for line in text.strip().splitlines() if not line.startswith("\t")]
    causes = [line for line in lines if line.startswith(_CAUSE)]
    return "; ".join(line.removeprefix(_CAUSE) for line in causes[-2:] or lines[-1:])


class ApacheKafka(Server):
    """Apache Kafka as a child process; it keeps its log on disk and resumes with it.

    Parameters
    ----------
    controller_port
        Second port, for the controller; only the broker connects to it.
    """

    name = "kafka"
    patience = 60.0

    def __init__(self, home: Path, port: int, controller_port: int) -> None:
        super().__init__(home, port)
        self.controller_port = controller_port
        self._classpath = ""

    @property
    def address(self) -> str:
        """Kafka bootstrap address."""
        return f"{self.host}:{self.port}"

    def healthy(self) -> bool:
        """Whether the broker answers a metadata request."""
        return broker_answers(Settings(kafka=self.address))

    def _reason(self, process: Process) -> str:
        return _failure(process.tail(200))

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def prepare(self) -> None:
        """Resolve the jars, write the settings and format the storage on the first start."""
        super().prepare()
        self._classpath = classpath()
        self._properties.write_text(
            "".join(f"{key}={_escaped(value)}\n" for key, value in self._settings().items())
        )
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()

    def _settings(self) -> dict[str, object]:
        controller = f"{self.host}:{self.controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            # One node holds one copy.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Topics are made on purpose (contracts.topics), never by a typing error.
            "auto.create.topics.enable": "false",
            # A killed broker may come back only when its old session is over: not in 9 s, in 3.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 1000,
            # No empty records for followers that do not exist (twice a second by default).
            "metadata.max.idle.interval.ms": 0,
            # Enough for two cores and a few clients. Each of these threads wakes three times a
            # second; the controller has network and io threads of its own, as many again.
            "num.network.threads": 2,
            "num.io.threads": 2,
            "group.coordinator.threads": 1,
        }

    def _java(self, *options: str) -> list[str]:
        return [java(), *options, "-cp", self._classpath]

    def _identity(self) -> list[str]:
        """Return what formatting gives the storage for life."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One argument: an id may begin with a dash, and two would read it as an option.
        return [f"--cluster-id={cluster}"]

    def _format(self) -> None:
        done = subprocess.run(
            [
                *self._java(), "kafka.tools.StorageTool", "format", "--ignore-formatted",
                *self._identity(), "--config", str(self._properties),
            ],
            capture_output=True, text=True, timeout=120, check=False, env=self.clean_env(),
        )  # fmt: skip
        if done.returncode:
            said = _failure(done.stderr + done.stdout) or "no output"
            raise ConfigurationError(f"Apache Kafka cannot format {self.folder}: {said}")

    def _build(self) -> Process:
        command = [*self._java(*_JVM), "kafka.Kafka", str(self._properties)]
        return Process(self.name, command, self.log, env=self.clean_env())
