"""Listing suspects and releasing them, on the topic ``suspects`` itself."""

from __future__ import annotations

import time
import zlib

from confluent_kafka import KafkaException, Producer

from contracts.errors import BrokerUnavailable, ConfigurationError
from contracts.settings import Settings
from contracts.suspects import RELEASED, Suspect, Suspects, encode, message_key
from contracts.topics import Kind, Topics
from streams.suspects import SuspectFollower

_ACK_SECONDS = 10.0


def read(settings: Settings) -> Suspects:
    """Return who is suspect now.

    Raises
    ------
    ConfigurationError
        Flink does not run here, so nobody looks for suspects.
    BrokerUnavailable
        The broker does not answer.
    """
    if not settings.flink:
        raise ConfigurationError("Flink does not run here, so nobody looks for suspects")
    follower = SuspectFollower(settings)
    try:
        follower.read_whole()
    finally:
        follower.close()
    return follower.suspects


def release(settings: Settings, user_id: str) -> Suspect:
    """Release a listener from everything found up to now; return the message.

    Raises
    ------
    ConfigurationError
        The listener is not suspect.
    BrokerUnavailable
        Not acknowledged; releasing again is harmless.
    """
    if user_id not in read(settings):
        raise ConfigurationError(f"{user_id!r} is not suspect; see `segue flink suspects`")
    now = int(time.time() * 1000)
    message = Suspect(user_id=user_id, pattern=RELEASED, started_at=now, ended_at=now, plays=0)
    producer = Producer({"bootstrap.servers": settings.kafka, "acks": "all", "log_level": 2})
    key = message_key(message)
    failures: list[object] = []
    try:
        producer.produce(
            Topics(settings.namespace).of(Kind.SUSPECTS),
            encode(message),
            key,
            zlib.crc32(key) % settings.partitions,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
        unsent = producer.flush(_ACK_SECONDS)
    except (KafkaException, BufferError) as error:
        raise BrokerUnavailable(f"the release cannot be written: {error}") from None
    if unsent or failures:
        raise BrokerUnavailable(f"the release was not acknowledged: {failures or 'no answer'}")
    return message
