"""Properties of the play log: its identity, its partitions, its exact end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
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

from contracts.errors import ConfigurationError
from contracts.kafka_client import Complaints, admin, consumer
from contracts.settings import Settings

_TIMEOUT = 10.0
#: Messages per read.
_MOST = 1000
#: Copies of a topic (one per broker if there are fewer), unless the settings give another number.
COPIES = 3
#: Of three copies two must hold a message before it counts as written: one broker may be away, and
#: the loss of another one's disk loses nothing.
IN_SYNC = 2
LEAST_IN_SYNC = "min.insync.replicas"
#: Whether a broker that lacks acknowledged messages may lead, which loses them.
UNCLEAN = "unclean.leader.election.enable"
#: What a broker answers while metadata of a new topic or of a new leader is still propagating.
_NOT_YET = {"UNKNOWN_TOPIC_OR_PART", "LEADER_NOT_AVAILABLE", "NOT_LEADER_FOR_PARTITION"}
#: The client's timeouts and ours expire at about the same time: either may be first.
_TROUBLE = (KafkaException, TimeoutError)
T = TypeVar("T")


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


@contextmanager
def asking(settings: Settings, what: str = "") -> Iterator[AdminClient]:
    """Yield an admin client; its errors in the block become errors of Segue.

    Parameters
    ----------
    what
        Subject of the request, for the message.

    Raises
    ------
    BrokerUnavailable
        No broker answers in time.
    ConfigurationError
        The brokers refuse us, or a setting is wrong.
    """
    heard = Complaints()
    client = admin(settings, "admin", {"socket.timeout.ms": 6000, "error_cb": heard})
    try:
        _reach(client, heard)
        yield client
    except TimeoutError:
        client.poll(0)
        error = TimeoutError(f"no answer within {_TIMEOUT:g} s")
        raise heard.explain(settings, what, error) from None
    except KafkaException as error:
        client.poll(0)
        raise heard.explain(settings, what, error) from None


def _reach(client: AdminClient, heard: Complaints) -> None:
    """Return once a broker answers; do not wait for brokers that refuse us."""
    deadline = time.monotonic() + _TIMEOUT
    while heard.refusal is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            client.list_topics(timeout=min(1.0, left))
            return
        except KafkaException:
            client.poll(0)
    raise TimeoutError


def describe(client: AdminClient, topic: str) -> TopicDescription:
    """Ask the brokers to describe a topic. Errors of the client pass through."""
    described: TopicDescription = client.describe_topics(TopicCollection([topic]))[topic].result(
        _TIMEOUT
    )
    return described


def log_id_of(description: TopicDescription) -> str:
    """Return a topic's UUID as Kafka's own tools write it; it is safe in paths and URLs."""
    return str(description.topic_id).replace("+", "-").replace("/", "_")


def ensure_topics(settings: Settings, configs: dict[str, dict[str, str]]) -> dict[str, str]:
    """Create missing topics and return ``topic -> log id``.

    The log id is the topic's UUID. A topic that was deleted and created again, and every topic of
    an in-memory broker that was restarted, has a new one. Offsets of the old log therefore never
    hide plays of the new one.

    Raises
    ------
    BrokerUnavailable
        No broker answers.
    ConfigurationError
        The brokers refuse us; a topic has another number of partitions, or fewer copies than it
        should; there are fewer brokers than copies asked for.
    """
    with asking(settings) as client:
        cluster = client.list_topics(timeout=_TIMEOUT)
        brokers = len(cluster.brokers)
        _create(client, settings, {t: c for t, c in configs.items() if t not in cluster.topics},
                brokers)  # fmt: skip
        ids = {}
        for topic in configs:
            description = _once_known(describe, client, topic)
            _check(settings, topic, description, brokers)
            ids[topic] = log_id_of(description)
        return ids


def _create(
    client: AdminClient, settings: Settings, missing: dict[str, dict[str, str]], brokers: int
) -> None:
    copies = settings.kafka_replication or min(COPIES, brokers)
    safe = {UNCLEAN: "false"} if copies != 1 else {}
    if copies >= COPIES:
        safe[LEAST_IN_SYNC] = str(IN_SYNC)
    new = [
        NewTopic(topic, settings.partitions, copies, config={**config, **safe})
        for topic, config in missing.items()
    ]
    for topic, future in (client.create_topics(new) if new else {}).items():
        try:
            future.result(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR:
                raise ConfigurationError(
                    f"topic {topic} cannot have {copies} copies, {brokers} brokers answer at "
                    f"{settings.kafka}: start more, or lower SEGUE_KAFKA_REPLICATION"
                ) from None
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def copies_of(description: TopicDescription) -> int:
    """Return how many brokers hold each partition of a topic; the least of its partitions."""
    return min(len(partition.replicas) for partition in description.partitions)


def _check(settings: Settings, topic: str, description: TopicDescription, brokers: int) -> None:
    found = len(description.partitions)
    if found != settings.partitions:
        raise ConfigurationError(
            f"topic {topic} has {found} partitions, SEGUE_PARTITIONS is {settings.partitions}: "
            f"a log keeps its number. Set SEGUE_PARTITIONS={found}, or copy the log into a new "
            "namespace with segue repartition (docs/repartition.md)"
        )
    asked = settings.kafka_replication
    wanted = asked if asked > 0 else 1 if asked < 0 else min(2, brokers)
    copies = copies_of(description)
    if wanted > 1 and copies < wanted:  # a single broker may list no replicas
        raise ConfigurationError(
            f"topic {topic} is under-replicated: {copies} of {wanted} copies on {brokers} brokers, "
            "so the loss of one broker can lose plays. Add copies with "
            f"kafka-reassign-partitions, or accept it: SEGUE_KAFKA_REPLICATION={copies}"
        )


def log_id(settings: Settings, topic: str) -> str:
    """Return the UUID of an existing topic.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer or the topic does not exist.
    """
    with asking(settings, f"topic {topic}") as client:
        return log_id_of(describe(client, topic))


def begin_offsets(settings: Settings, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return the offset of the oldest message of each partition (if it is empty, the next one).

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    oldest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, p): oldest for p in partitions}
    with asking(settings, f"topic {topic}") as client:

        def ask() -> dict[int, int]:
            answers = client.list_offsets(asked, request_timeout=_TIMEOUT)
            return {
                place.partition: future.result(_TIMEOUT).offset for place, future in answers.items()
            }

        return _once_known(ask)


def set_retention(settings: Settings, configs: dict[str, dict[str, str]]) -> list[str]:
    """Give existing topics the retention they should have; return those that had another.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    ConfigurationError
        The brokers refuse the change.
    """
    wanted = {topic: config["retention.ms"] for topic, config in configs.items()}
    return set_config(settings, "retention.ms", wanted)


def set_config(settings: Settings, name: str, wanted: dict[str, str]) -> list[str]:
    """Set one setting of existing topics; return the topics that had another value.

    Parameters
    ----------
    wanted
        Topic -> value.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    ConfigurationError
        The brokers refuse the change.
    """
    # librdkafka takes exact strings only, no Topic.
    values = {str(topic): value for topic, value in wanted.items()}
    with asking(settings, name) as client:
        found = config_of(client, name, list(values))
        changed = [topic for topic, value in found.items() if value != values[topic]]
        changes = [
            ConfigResource(
                ConfigResource.Type.TOPIC,
                topic,
                incremental_configs=[
                    ConfigEntry(name, values[topic], incremental_operation=AlterConfigOpType.SET)
                ],
            )
            for topic in changed
        ]
        if changes:
            for future in client.incremental_alter_configs(changes).values():
                future.result(_TIMEOUT)
        return changed


def config_of(client: AdminClient, name: str, topics: list[str]) -> dict[str, str]:
    """Return ``topic -> value`` of a setting, without the topics that do not know it."""
    asked = [ConfigResource(ConfigResource.Type.TOPIC, str(topic)) for topic in topics]
    if not asked:
        return {}
    answers = client.describe_configs(asked, request_timeout=_TIMEOUT)
    entries = {each.name: future.result(_TIMEOUT).get(name) for each, future in answers.items()}
    return {topic: entry.value for topic, entry in entries.items() if entry is not None}


def end_offsets(settings: Settings, topic: str) -> list[int]:
    """Return the offset after the last message of each partition.

    Some Kafka-compatible brokers (Tansu 0.6) answer "latest" with the *base* offset of the last
    batch plus one, so the last batch is read to find its true end.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    heard = Complaints()
    reader = consumer(settings, "end-offsets", {"error_cb": heard})
    try:
        ends, unread = [], []
        for partition in range(settings.partitions):
            place = TopicPartition(topic, partition)
            low, high = _once_known(reader.get_watermark_offsets, place, _TIMEOUT)
            ends.append(high)
            if high > low:
                unread.append(TopicPartition(topic, partition, high - 1))
        if unread:
            reader.assign(unread)
            _read_to_the_ends(reader, ends, {place.partition for place in unread})
        return ends
    except _TROUBLE as error:
        raise heard.explain(settings, f"topic {topic}", error) from None
    finally:
        reader.close()


def _read_to_the_ends(reader: Consumer, ends: list[int], unread: set[int]) -> None:
    """Raise `ends` to the offset after the last message that each assigned partition delivers.

    The reported end points into the last batch, and a batch arrives whole: once its first message
    is here, the rest is too. Only the first message of a partition may take long; it never comes
    where the log ends with a transaction marker.
    """
    deadline = time.monotonic() + _TIMEOUT
    more = True
    while (unread or more) and time.monotonic() < deadline:
        messages = reader.consume(_MOST, 0.2)
        more = len(messages) == _MOST  # not while ever newer ones come, under load
        for message in messages:
            partition, offset = message.partition(), message.offset()
            if message.error() is None and partition is not None and offset is not None:
                ends[partition] = max(ends[partition], offset + 1)
                unread.discard(partition)
