"""Properties of the play log: its identity, its partitions, its exact end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    TopicDescription,
)
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from contracts.errors import BrokerUnavailable, ConfigurationError

_TIMEOUT = 10.0
#: What a broker answers while metadata of a new topic or of a new leader is still propagating.
_NOT_YET = {"UNKNOWN_TOPIC_OR_PART", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"}
#: The client's timeouts and ours expire at about the same time: either may be first.
_TROUBLE = (KafkaException, TimeoutError)
T = TypeVar("T")


def _said(error: Exception) -> str:
    return str(error) or f"no answer within {_TIMEOUT:g} s"


def _is_not_yet(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].name() in _NOT_YET


def _once_known(ask: Callable[..., T], *about: object) -> T:
    """Retry while the broker's metadata is still propagating."""
    call = Retrying(
        retry=retry_if_exception(_is_not_yet),
        stop=stop_after_delay(_TIMEOUT),
        wait=wait_fixed(0.1),
        reraise=True,
    )
    return call(ask, *about)


def _admin(bootstrap: str) -> AdminClient:
    # log_level 3: errors only. The client logs its own closing at a lower level.
    return AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 6000, "log_level": 3})


def _describe(admin: AdminClient, topic: str) -> TopicDescription:
    described: TopicDescription = admin.describe_topics(TopicCollection([topic]))[topic].result(
        _TIMEOUT
    )
    return described


def log_id_of(description: TopicDescription) -> str:
    """Return a topic's UUID as Kafka's own tools write it; it is safe in paths and URLs."""
    return str(description.topic_id).replace("+", "-").replace("/", "_")


def ensure_topics(
    bootstrap: str, configs: dict[str, dict[str, str]], partitions: int
) -> dict[str, str]:
    """Create missing topics and return ``topic -> log id``.

    The log id is the topic's UUID. A topic that was deleted and created again, and every topic of
    an in-memory broker that was restarted, has a new one. Offsets of the old log therefore never
    hide plays of the new one.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    ConfigurationError
        A topic exists with another number of partitions.
    """
    admin = _admin(bootstrap)
    try:
        present = admin.list_topics(timeout=_TIMEOUT).topics
        missing = [t for t in configs if t not in present]
        created = (
            admin.create_topics([NewTopic(t, partitions, 1, config=configs[t]) for t in missing])
            if missing
            else {}
        )
        for future in created.values():
            try:
                future.result(_TIMEOUT)
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                    raise
        ids = {}
        for topic in configs:
            description = _once_known(_describe, admin, topic)
            found = len(description.partitions)
            if found != partitions:
                raise ConfigurationError(
                    f"topic {topic} has {found} partitions, SEGUE_PARTITIONS is {partitions}: "
                    "the number is fixed for the life of a log"
                )
            ids[topic] = log_id_of(description)
        return ids
    except _TROUBLE as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap}: {_said(error)}") from None


def log_id(bootstrap: str, topic: str) -> str:
    """Return the UUID of an existing topic.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer or the topic does not exist.
    """
    admin = _admin(bootstrap)
    try:
        return log_id_of(_describe(admin, topic))
    except _TROUBLE as error:
        raise BrokerUnavailable(f"topic {topic} at {bootstrap}: {_said(error)}") from None


def begin_offsets(bootstrap: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return the first offset of each partition (the next offset, if it is empty).

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    admin = _admin(bootstrap)
    oldest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, p): oldest for p in partitions}

    def ask() -> dict[int, int]:
        answers = admin.list_offsets(asked, request_timeout=_TIMEOUT)
        return {
            place.partition: future.result(_TIMEOUT).offset for place, future in answers.items()
        }

    try:
        return _once_known(ask)
    except _TROUBLE as error:
        raise BrokerUnavailable(f"topic {topic} at {bootstrap}: {_said(error)}") from None


def set_retention(bootstrap: str, configs: dict[str, dict[str, str]]) -> list[str]:
    """Set the retention of existing topics; return those that had another one.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer, or refuses the change.
    """
    admin = _admin(bootstrap)
    # librdkafka accepts plain strings only, not Topic.
    wanted = {str(topic): config["retention.ms"] for topic, config in configs.items()}
    try:
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in wanted]
        found = admin.describe_configs(asked, request_timeout=_TIMEOUT)
        changed = []
        for resource, future in found.items():
            entry = future.result(_TIMEOUT).get("retention.ms")
            if entry is not None and entry.value != wanted[resource.name]:
                changed.append(resource.name)
        changes = [
            ConfigResource(
                ConfigResource.Type.TOPIC,
                topic,
                incremental_configs=[
                    ConfigEntry(
                        "retention.ms",
                        wanted[topic],
                        incremental_operation=AlterConfigOpType.SET,
                    )
                ],
            )
            for topic in changed
        ]
        if changes:
            for future in admin.incremental_alter_configs(changes).values():
                future.result(_TIMEOUT)
        return changed
    except _TROUBLE as error:
        raise BrokerUnavailable(f"retention at {bootstrap}: {_said(error)}") from None


def end_offsets(bootstrap: str, topic: str, partitions: int) -> list[int]:
    """Return the offset after the last message of each partition.

    Some Kafka-compatible brokers (Tansu 0.6) answer "latest" with the *base* offset of the last
    batch plus one, so the last batch is read to find its true end.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "segue-end-offsets",
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    try:
        ends = []
        for partition in range(partitions):
            place = TopicPartition(topic, partition)
            low, high = _once_known(consumer.get_watermark_offsets, place, _TIMEOUT)
            ends.append(high)
            if high <= low:
                continue
            consumer.assign([TopicPartition(topic, partition, high - 1)])
            ends[partition] = max(high, _read_to_the_end(consumer))
        return ends
    except _TROUBLE as error:
        raise BrokerUnavailable(f"Kafka at {bootstrap}: {_said(error)}") from None
    finally:
        consumer.close()


def messages(bootstrap: str, topic: str, partitions: int) -> list[Message]:
    """Return every message of a topic. Use it for small topics only.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer, or the topic cannot be read to its end.
    """
    ends = dict(enumerate(end_offsets(bootstrap, topic, partitions)))
    begins = begin_offsets(bootstrap, topic, ends)
    left = {p: end for p, end in ends.items() if begins[p] < end}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "segue-messages",
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    found: list[Message] = []
    deadline = time.monotonic() + 3 * _TIMEOUT
    try:
        consumer.assign([TopicPartition(topic, p, begins[p]) for p in left])
        while left:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"{topic} at {bootstrap} cannot be read to its end")
            for message in consumer.consume(1000, 0.2):
                partition, offset = message.partition(), message.offset()
                if message.error() is not None or partition is None or offset is None:
                    continue
                found.append(message)
                if offset + 1 >= left.get(partition, 0):
                    left.pop(partition, None)
        return found
    except _TROUBLE as error:
        raise BrokerUnavailable(f"topic {topic} at {bootstrap}: {_said(error)}") from None
    finally:
        consumer.close()


def _read_to_the_end(consumer: Consumer) -> int:
    """Return the offset after the last message that the assigned partition delivers.

    The reported end points into the last batch, and a batch arrives whole: once its first message
    is here, the rest is too, and the first empty poll is the end. Only the first message may take
    long; it never comes where the log ends with a transaction marker.
    """
    end = 0
    deadline = time.monotonic() + _TIMEOUT
    while True:
        messages = [m for m in consumer.consume(1000, 0.2) if m.error() is None]
        for message in messages:
            offset = message.offset()
            assert offset is not None
            end = max(end, offset + 1)
        if not messages and (end or time.monotonic() > deadline):
            return end
