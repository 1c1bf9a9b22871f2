"""What each worker may do in Kafka: its principal reads and writes its own topics, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from contracts.kafka import asking
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from contracts.workers import (
    API,
    ERASER,
    FLINK,
    LAKE_SINK,
    LEARNER,
    RESULTS_SINK,
    WORKERS,
    WorkerSpec,
)

_RESULTS = (Kind.TRENDING, Kind.SESSIONS, Kind.UNIQUES, Kind.SUSPECTS, Kind.LATE)
_LOGS = (Kind.PLAYS, Kind.FEEDBACK, Kind.IMPRESSIONS, Kind.DEAD_LETTERS)
#: What a worker reads besides the topics it folds (`WorkerSpec.reads`): it looks where a topic
#: ends, or what lies in it.
_ALSO_READS: dict[str, tuple[Kind, ...]] = {
    API.name: (*_LOGS, Kind.ERASURES, *_RESULTS),
    ERASER.name: (*_LOGS, Kind.ERASURES),
    FLINK.name: (Kind.PLAYS, Kind.ERASURES),
    LAKE_SINK.name: _RESULTS,
    LEARNER.name: (Kind.SUSPECTS,),
    RESULTS_SINK.name: (Kind.TRENDING, Kind.ERASURES),
}
#: What a worker writes; every worker that folds the log writes dead letters.
_WRITES: dict[str, tuple[Kind, ...]] = {
    API.name: (*_LOGS, Kind.SUSPECTS),
    ERASER.name: (Kind.ERASURES,),
    FLINK.name: (*_RESULTS, Kind.DEAD_LETTERS),
    RESULTS_SINK.name: (Kind.DEAD_LETTERS,),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """One thing a principal may do.

    Attributes
    ----------
    resource
        ``topic`` or ``group``.
    name
        Of the topic or group; where `prefixed`, the beginning of many names.
    """

    principal: str
    operation: str
    resource: str
    name: str
    prefixed: bool = False

    @property
    def command(self) -> str:
        """Arguments of Kafka's ``kafka-acls.sh``."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        return (
            f"--add --allow-principal '{self.principal}' --operation {self.operation}"
            f" --{self.resource} '{self.name}'{pattern}"
        )

    @property
    def binding(self) -> AclBinding:
        """The same for the admin client."""
        return AclBinding(
            ResourceType[self.resource.upper()],
            self.name,
            ResourcePatternType.PREFIXED if self.prefixed else ResourcePatternType.LITERAL,
            self.principal,
            "*",
            AclOperation[self.operation.upper()],
            AclPermissionType.ALLOW,
        )


def user(settings: Settings, worker: str) -> str:
    """Return the name a worker logs in with: the deployment's namespace and the worker."""
    return f"{settings.namespace}-{worker}"


def reads(spec: WorkerSpec) -> tuple[Kind, ...]:
    """Return the kinds of topics that a worker reads; a fold follows the erasures too."""
    own = (*spec.reads, Kind.ERASURES) if spec.folds else ()
    return tuple(dict.fromkeys((*own, *_ALSO_READS.get(spec.name, ()))))


def writes(spec: WorkerSpec) -> tuple[Kind, ...]:
    """Return the kinds of topics that a worker writes."""
    return _WRITES.get(spec.name, (Kind.DEAD_LETTERS,) if spec.folds else ())


def grants(settings: Settings) -> Iterator[Grant]:
    """Yield what every worker of a deployment needs; one that uses no topic gets nothing.

    Each may see every topic of the namespace, to notice a recreated log, and use the
    consumer groups of the namespace: no worker trusts what is committed there (docs/adr/0004).
    """
    topics, prefix = Topics(settings.namespace), f"{settings.namespace}."
    for spec in WORKERS:
        principal = f"User:{user(settings, spec.name)}"
        if not (reads(spec) or writes(spec)):
            continue
        yield Grant(principal, "Describe", "topic", prefix, prefixed=True)
        yield Grant(principal, "Read", "group", prefix, prefixed=True)
        for kind in reads(spec):
            yield Grant(principal, "Read", "topic", str(topics.of(kind)))
        for kind in writes(spec):
            yield Grant(principal, "Write", "topic", str(topics.of(kind)))


def apply(settings: Settings) -> int:
    """Make the grants in the brokers and return how many; harmless when repeated.

    Raises
    ------
    BrokerUnavailable
        No broker answers.
    ConfigurationError
        The brokers do not let us, or keep no ACLs.
    """
    bindings = [grant.binding for grant in grants(settings)]
    with asking(settings, "ACLs") as client:
        for future in client.create_acls(bindings).values():
            future.result(30)
    return len(bindings)
