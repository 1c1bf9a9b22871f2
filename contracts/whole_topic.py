"""Reading a whole topic, from its oldest message to its current end."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.errors import BrokerUnavailable
from contracts.kafka import end_offsets
from contracts.kafka_client import Complaints, consumer
from contracts.settings import Settings

#: Longest time (seconds) that the broker may take to deliver the next messages of a partition.
_PATIENCE = 30.0


def messages(settings: Settings, topic: str, *, newest: int | None = None) -> Iterator[Message]:
    """Yield the messages of a topic, partition by partition, each in order of its offsets.

    Parameters
    ----------
    newest
        Maximum number of offsets per partition, the newest ones; ``None``: all.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer, or does not deliver all messages.
    """
    ends = end_offsets(settings, topic)
    heard = Complaints()
    reader = consumer(settings, "whole-topic", {"auto.offset.reset": "earliest", "error_cb": heard})
    try:
        for partition, end in enumerate(ends):
            low, _ = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            start = low if newest is None else max(low, end - newest)
            yield from read_range(reader, topic, partition, start, end)
    except KafkaException as error:
        raise heard.explain(settings, f"topic {topic}", error) from None
    finally:
        reader.close()


def read_range(
    reader: Consumer, topic: str, partition: int, start: int, end: int
) -> Iterator[Message]:
    """Yield the messages of a partition from an offset to another one, and some after it.

    Parameters
    ----------
    reader
        It is assigned this partition alone.
    end
        At most the offset after the last message.

    Raises
    ------
    BrokerUnavailable
        The broker delivers nothing for 30 s.
    """
    position = start
    if position >= end:
        return
    reader.assign([TopicPartition(topic, partition, start)])
    deadline = time.monotonic() + _PATIENCE
    while position < end:
        if time.monotonic() > deadline:
            raise BrokerUnavailable(f"{topic}/{partition} cannot be read to {end}")
        for message in reader.consume(1000, 0.1):  # waits 0.1 s if fewer are there
            offset = message.offset()
            if message.error() is not None or offset is None:
                continue
            position, deadline = offset + 1, time.monotonic() + _PATIENCE
            yield message
