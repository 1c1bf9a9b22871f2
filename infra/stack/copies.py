"""Checks whether the topics survive the loss of a broker and accept plays without it."""

from __future__ import annotations

from collections.abc import Iterator

from confluent_kafka.admin import TopicDescription  # type: ignore[attr-defined]

from contracts.kafka import (
    COPIES,
    IN_SYNC,
    LEAST_IN_SYNC,
    UNCLEAN,
    asking,
    config_of,
    copies_of,
    describe,
    set_config,
)
from contracts.settings import Settings

_LOSES = "so a broker that lacks the newest plays may lead, and they are lost"


def make_safe(settings: Settings, topics: list[str]) -> dict[str, list[str]]:
    """Set what keeps acknowledged messages when a broker is lost.

    ``min.insync.replicas`` becomes 2 for topics of three or more copies, and
    ``unclean.leader.election.enable`` false for topics of several.

    Returns
    -------
    dict of str to list of str
        A setting with its value -> the topics that had another one.

    Raises
    ------
    BrokerUnavailable
        No broker answers.
    ConfigurationError
        The brokers do not let us.
    """
    with asking(settings) as client:
        copies = {topic: copies_of(describe(client, topic)) for topic in topics}
        least = config_of(client, LEAST_IN_SYNC, [t for t, n in copies.items() if n >= COPIES])
        unclean = config_of(client, UNCLEAN, [t for t, n in copies.items() if n > 1])
    low = {topic: str(IN_SYNC) for topic, value in least.items() if int(value) < IN_SYNC}
    risky = {topic: "false" for topic, value in unclean.items() if value == "true"}
    changed = {}
    if low:
        changed[f"{LEAST_IN_SYNC}={IN_SYNC}"] = set_config(settings, LEAST_IN_SYNC, low)
    if risky:
        changed[f"{UNCLEAN}=false"] = set_config(settings, UNCLEAN, risky)
    return changed


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
        required = config_of(client, LEAST_IN_SYNC, there)
        unclean = config_of(client, UNCLEAN, there)
        for topic in there:
            description = describe(client, topic)
            least = int(required.get(topic, "1"))
            found += _of(settings, topic, description, len(cluster.brokers), least)
            if copies_of(description) > 1 and unclean.get(topic) == "true":
                found.append((f"{topic}: {UNCLEAN} is true, {_LOSES}", "run: segue init"))
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
