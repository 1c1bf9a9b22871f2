"""Puts messages nobody can use where a person finds them, before anything moves past them.

At least once: a worker killed between the letter and its own progress writes the letter again. Its
key is ``topic:partition:offset``, so readers see one message however often it was refused, and
``stage`` names the consumer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from zlib import crc32

from confluent_kafka import KafkaException, Producer

from contracts import kafka_client
from contracts.deliveries import Deliveries
from contracts.errors import BrokerUnavailable
from contracts.events import DeadLetter, encode
from contracts.settings import Settings
from contracts.topics import Topics
from streams.decode import Rejected

log = logging.getLogger(__name__)
_TIMEOUT = 8.0
# Base64 makes a letter a third longer than its message, and a broker takes 1 MB by default.
_MOST_BYTES = 700_000


class DeadLetters:
    """Writes to the dead-letter topic on behalf of one stage.

    Parameters
    ----------
    stage
        Name of the worker that refuses, kept in each letter.
    """

    def __init__(self, settings: Settings, stage: str) -> None:
        self.stage = stage
        self._topic = Topics(settings.namespace).dead_letters
        self._partitions = settings.partitions
        self._settings = settings
        self._producer: Producer | None = None
        # A batch is tried again while its store is away; its letters are written once.
        self._sent: dict[tuple[str, int], int] = {}

    def send(self, topic: str, partition: int, rejected: Iterable[Rejected]) -> int:
        """Write letters and return how many, once the broker has acknowledged every one.

        Raises
        ------
        BrokerUnavailable
            At least one was not acknowledged; the caller must not move past these messages.
        """
        sent = self._sent.get((topic, partition), -1)
        refused = [r for r in rejected if r.record.offset > sent]
        if not refused:
            return 0
        if self._producer is None:
            self._producer = kafka_client.producer(
                self._settings,
                f"{self.stage}.dead-letters",
                {
                    "linger.ms": 0,
                    "message.max.bytes": 2_000_000,
                    "message.timeout.ms": int(_TIMEOUT * 1000),
                },
            )
        deliveries = Deliveries()
        try:
            for record, error in refused:
                place = f"{topic}:{partition}:{record.offset}"
                value, whole = record.value, None
                if value is not None and len(value) > _MOST_BYTES:
                    value, whole = value[:_MOST_BYTES], len(value)
                letter = DeadLetter(
                    topic=str(topic),  # msgspec encodes plain strings only
                    partition=partition,
                    offset=record.offset,
                    reason=error.reason,
                    detail=str(error),
                    at=int(time.time() * 1000),
                    stage=self.stage,
                    value=value,
                    key=record.key,
                    whole_bytes=whole,
                )
                key = place.encode()
                home = crc32(key) % self._partitions
                self._producer.produce(
                    self._topic, encode(letter), key, home, on_delivery=deliveries
                )
                log.warning("dead letter %s: %s: %s", place, error.reason, error)
            why = deliveries.wait(self._producer, _TIMEOUT)
        except (KafkaException, BufferError) as error:
            self._producer = None
            raise BrokerUnavailable(f"dead letters cannot be written: {error}") from None
        if why:
            # A broker that was restarted without its log may refuse this producer for ever.
            self._producer = None
            raise BrokerUnavailable(f"dead letters cannot be written: {why}")
        self._sent[topic, partition] = refused[-1].record.offset
        return len(refused)
