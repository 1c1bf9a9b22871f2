"""Listing suspects and releasing them, on the topic ``suspects`` itself."""

from __future__ import annotations

from confluent_kafka import KafkaException

from contracts import kafka_client, suspects_topic
from contracts.deliveries import Deliveries
from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.settings import Settings
from contracts.suspects import Suspects
from contracts.topics import Kind, Topics

_ACK_SECONDS = 10.0


def read(settings: Settings) -> Suspects:
    """Return who is suspect now.

    Raises
    ------
    ConfigurationError
        Flink does not run here, so no job looks for suspects.
    BrokerUnavailable
        The broker does not answer.
    """
    if not settings.flink:
        raise ConfigurationError("Flink does not run here, so no job looks for suspects")
    return suspects_topic.read(settings)


def release(settings: Settings, user_id: str) -> None:
    """Release a listener from everything found up to now.

    Raises
    ------
    ConfigurationError
        The listener is not a suspect.
    BrokerUnavailable
        Not acknowledged; releasing again is harmless.
    """
    if user_id not in read(settings):
        raise ConfigurationError(f"{user_id!r} is not a suspect; see `segue flink suspects`")
    key, value, partition = suspects_topic.release(user_id, settings.partitions)
    producer = kafka_client.producer(settings, "suspects")
    deliveries = Deliveries()
    try:
        producer.produce(
            Topics(settings.namespace).of(Kind.SUSPECTS),
            value,
            key,
            partition,
            on_delivery=deliveries,
        )
        why = deliveries.wait(producer, _ACK_SECONDS)
    except (KafkaException, BufferError) as error:
        raise BrokerUnavailable(f"the release cannot be written: {error}") from None
    if why:
        raise BrokerUnavailable(f"the release cannot be written: {why}")
