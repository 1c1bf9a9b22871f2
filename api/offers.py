"""The way into the log for what may be lost: impressions. Nobody waits for the broker here.

A producer of its own, because its needs are the opposite of ingest's: every recommendation makes a
message and none is urgent. So messages wait a moment to travel together, which spares the broker
and this process a round trip for each, and only failures are reported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from api.producer import DELIVERY_MS, Record, producer_config

log = logging.getLogger(__name__)

LINGER_MS = 50.0
#: How often failures are looked for while something is on its way (seconds).
TICK_SECONDS = 0.1
#: Kilobytes that may wait for the broker; what comes then is lost, and counted.
MOST_WAITING_KB = 32 * 1024


class Offers:
    """Appends messages to Kafka without waiting, from the event loop it is used on.

    Attributes
    ----------
    lost
        Messages that were not taken or not acknowledged.
    """

    def __init__(
        self, bootstrap: str, *, linger_ms: float = LINGER_MS, delivery_ms: int = DELIVERY_MS
    ) -> None:
        self._config: dict[str, Any] = {
            **producer_config(bootstrap, linger_ms=linger_ms, delivery_ms=delivery_ms),
            "queue.buffering.max.kbytes": MOST_WAITING_KB,
            "delivery.report.only.error": True,
            "error_cb": self._on_error,
        }
        self._producer = Producer(self._config)
        self._fatal = False
        self._timer: asyncio.TimerHandle | None = None
        self.lost = 0

    @property
    def queued(self) -> int:
        """Messages waiting for the broker."""
        return len(self._producer)

    def offer(self, record: Record) -> bool:
        """Append a message; return whether it was taken."""
        topic, key, value, partition = record
        try:
            self._producer.produce(topic, value, key, partition, self._on_failure)
        except (BufferError, KafkaException):
            self.lost += 1
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        return True

    async def close(self, seconds: float = 8.0) -> int:
        """Wait for what is on its way; return how many messages were given up."""
        deadline = time.monotonic() + seconds
        while len(self._producer) and time.monotonic() < deadline:
            self._poll()
            await asyncio.sleep(0.005)
        if self._timer is not None:
            self._timer.cancel()
        left = len(self._producer)
        if left:
            self._producer.purge()
            self._producer.flush(1.0)
        return left

    def _tick(self) -> None:
        self._timer = None
        self._poll()
        if self._fatal:
            self._renew()
        if len(self._producer):
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _poll(self) -> None:
        try:
            self._producer.poll(0)
        except KafkaException as error:  # raised once more after a fatal error was reported
            self._fatal = self._fatal or bool(error.args[0].fatal())

    def _on_failure(self, error: KafkaError | None, _: Message | None) -> None:
        if error is not None:
            self.lost += 1
            self._fatal = self._fatal or error.fatal()

    def _on_error(self, error: KafkaError) -> None:
        # Trouble with the broker is told of by the play log, which meets it first.
        self._fatal = self._fatal or error.fatal()

    def _renew(self) -> None:
        """Replace a producer that met a fatal error; what it held is lost, and counted."""
        log.warning("kafka: the producer of impressions is renewed after a fatal error")
        self._producer.purge()
        self._poll()
        self._fatal = False
        self._producer = Producer(self._config)
