"""What must hold before a log is copied; each error names what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from contracts import dead_letters
from contracts.errors import ConfigurationError
from contracts.kafka import asking
from contracts.settings import Settings
from contracts.topics import Topic, Topics
from infra.operations.repartition.origins import Origin

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_names(source: Settings, target: Settings) -> None:
    """Check the namespace and the number of partitions that were asked for.

    Raises
    ------
    ConfigurationError
        One of them is wrong.
    """
    if not _NAME.fullmatch(target.namespace):
        raise ConfigurationError(
            f"--namespace {target.namespace}: give small letters, digits and _, a letter first"
        )
    if target.namespace == source.namespace:
        raise ConfigurationError(
            f"--namespace {target.namespace} is the namespace of this deployment: give a new one"
        )
    present = source.partitions
    if target.partitions <= present or target.partitions % present:
        raise ConfigurationError(
            f"--partitions {target.partitions}: the log has {present}; give a multiple, such as "
            f"{2 * present}, so that each new partition continues one old partition"
        )


def check_topics(source: Settings, target: Settings) -> None:
    """Check that the source has its topics, and that existing ones of the target fit.

    Raises
    ------
    ConfigurationError
        A topic is missing or has another number of partitions.
    BrokerUnavailable
        The broker does not answer.
    """
    with asking(source) as client:
        found = {
            name: len(topic.partitions)
            for name, topic in client.list_topics(timeout=10).topics.items()
        }
    if missing := [topic for topic in Topics(source.namespace).configs() if topic not in found]:
        raise ConfigurationError(
            f"no topic {', '.join(missing)} at {source.kafka}: SEGUE_NAMESPACE and SEGUE_KAFKA "
            "must name the log that is copied"
        )
    for settings, name in ((source, "SEGUE_PARTITIONS"), (target, "--partitions")):
        for topic in Topics(settings.namespace).configs():
            if found.get(topic, settings.partitions) != settings.partitions:
                raise ConfigurationError(
                    f"topic {topic} has {found[topic]} partitions, {name} is {settings.partitions}"
                )


def check_letters(settings: Settings) -> None:
    """Check that no dead letter waits: the new namespace has none of them.

    Raises
    ------
    ConfigurationError
        Some wait.
    BrokerUnavailable
        The broker does not answer.
    """
    if letters := dead_letters.read(settings, keep=lambda _: False):
        raise ConfigurationError(
            f"{len(letters)} dead letters of {settings.namespace} wait: replay them (segue dlq "
            "list, segue dlq replay --all), or leave them behind with --leave-dead-letters"
        )


def check_origins(
    target: Settings,
    found: Mapping[Topic, Mapping[int, Origin]],
    ends: Mapping[Topic, list[int]],
    logs: Mapping[Topic, str],
) -> None:
    """Check that what the target holds was copied from the source.

    Parameters
    ----------
    found, ends
        Topic -> origin of the last copy by partition, and end offset of each partition.
    logs
        Topic -> log id of the source.

    Raises
    ------
    ConfigurationError
        It holds copies of another log, or messages without any copy.
    """
    for topic, origins in found.items():
        if any(origin.log_id != logs[topic] for origin in origins.values()):
            raise ConfigurationError(
                f"{topic} holds copies of another log (was the source made again?): give a new "
                "--namespace"
            )
    if not any(found.values()) and any(end for each in ends.values() for end in each):
        raise ConfigurationError(
            f"namespace {target.namespace} holds messages that no `segue repartition` has copied: "
            "give a new --namespace"
        )
