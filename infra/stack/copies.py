"""Checks whether the topics survive the loss of a broker and accept plays without it."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka.admin import TopicDescription  # type: ignore[attr-defined]

from contracts.kafka import COPIES, IN_SYNC, asking, config_of, copies_of, describe, set_config
from contracts.settings import Settings

_SETTING = "min.insync.replicas"


def require_in_sync(settings: Settings, topics: list[str]) -> list[str]:
    """Set ``min.insync.replicas`` to 2 for topics of three or more copies; return those changed.

    Raises
    ------
    BrokerUnavailable
        No broker answers.
    ConfigurationError
        The brokers do not let us.
    """
    with asking(settings) as client:
        copies = {topic: copies_of(describe(client, topic)) for topic in topics}
        found = config_of(client, _SETTING, [t for t, n in copies.items() if n >= COPIES])
    low = {topic: str(IN_SYNC) for topic, value in found.items() if int(value) < IN_SYNC}
    return set_config(settings, _SETTING, low) if low else []


def faults(settings: Settings, topics: list[str]) -> list[tuple[str, str]]:
    """Return what is wrong with topics, and what to do about it; empty: all is well.

    Raises
    ------
    BrokerUnavailable
        No broker answers.
    ConfigurationError
        The brokers refuse us.
    """
    found: list[tuple[str, str]] = []
    with asking(settings) as client:
        cluster = client.list_topics(timeout=10)
        there = [topic for topic in topics if topic in cluster.topics]
        if absent := sorted(set(topics) - set(there)):
            found.append((f"missing: {', '.join(absent)}", "run: segue init"))
        required = config_of(client, _SETTING, there)
        for topic in there:
            description = describe(client, topic)
            least = int(required.get(topic, "1"))
            found += _of(settings, topic, description, len(cluster.brokers), least)
    return found


def _of(
    settings: Settings, topic: str, description: TopicDescription, brokers: int, least: int
) -> Iterator[tuple[str, str]]:
    copies = copies_of(description)
    wanted = settings.kafka_replication or min(COPIES, brokers)
    if copies < wanted:
        yield (
            f"{topic} is under-replicated: {copies} of {wanted} copies on {brokers} brokers",
            "add copies with kafka-reassign-partitions, or set SEGUE_KAFKA_REPLICATION",
        )
    away = [p.id for p in description.partitions if len(p.isr) < len(p.replicas)]
    if away:
        yield (
            f"{topic}: copies of partitions {', '.join(map(str, away))} are not in sync",
            "see which broker is down or slow",
        )
    if copies >= COPIES and least < IN_SYNC:
        yield (
            f"{topic}: min.insync.replicas is {least}, so a play can be lost with one broker",
            "run: segue init",
        )
    if 1 < copies <= least:
        yield (
            f"{topic}: min.insync.replicas is {least} of {copies} copies, so that nothing can be "
            "written while one broker is away",
            f"set it to {copies - 1}",
        )
