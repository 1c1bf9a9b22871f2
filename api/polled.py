"""A Kafka producer whose reports are collected on the event loop itself.

While messages are in flight, a timer polls. A polling thread or the library's asyncio producer
costs more (see the design notes on ingest).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from contracts import kafka_client
from contracts.settings import Settings

log = logging.getLogger(__name__)

#: How long the broker may take (ms).
DELIVERY_MS = 4_000


class PolledProducer:
    """One idempotent producer (acks=all), replaced after an error it cannot recover from.

    Parameters
    ----------
    settings
        Where the brokers are.
    what
        What it carries, for the log.
    tick_seconds
        Time between two polls.
    delivery_ms
        How long the broker may take.
    own
        Further settings of librdkafka, by its names.
    """

    def __init__(
        self,
        settings: Settings,
        what: str,
        *,
        tick_seconds: float,
        delivery_ms: int,
        own: Mapping[str, Any],
    ) -> None:
        self._settings = settings
        self._what = what
        self._tick_seconds = tick_seconds
        self._config: dict[str, Any] = {
            "delivery.timeout.ms": delivery_ms,
            "queue.buffering.max.messages": 200_000,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1_000,
            "socket.timeout.ms": delivery_ms,
            "topic.metadata.refresh.interval.ms": 10_000,
            "logger": log,
            "log_level": 6,
            "error_cb": self._on_error,
            **own,
        }
        self._producer = self._make()
        #: Messages whose delivery the library has reported as failed.
        self.failed = 0
        #: Whether a delivery failed and, as far as is reported, none has succeeded since.
        self.failing = False
        self._fatal = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def queued(self) -> int:
        """Messages and events in the library's queue."""
        return len(self._producer)

    async def close(self, seconds: float = 8.0) -> int:
        """Wait for messages in flight; return how many the broker has not acknowledged.

        The library's queue also holds its own events, so the failed deliveries are counted.
        """
        before, deadline = self.failed, time.monotonic() + seconds
        while len(self._producer) and time.monotonic() < deadline:
            self.poll()
            await asyncio.sleep(0.005)
        if self._timer is not None:
            self._timer.cancel()
        if len(self._producer):
            self._producer.purge()
            self._producer.flush(1.0)
        return self.failed - before

    def _poll_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_seconds, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self.poll()
            if self._fatal:
                self._renew()
        finally:  # callers that wait for a report get it at a later tick
            if len(self._producer):
                self._poll_soon()

    def poll(self) -> None:
        """Take in what the library has to report.

        Call this even when idle: otherwise error callbacks accumulate while the broker is down.
        """
        try:
            self._producer.poll(0)
        except KafkaException as error:  # raised once more after a fatal error was reported
            self._fatal = self._fatal or bool(error.args[0].fatal())

    def revive(self) -> None:
        """Replace a producer whose deliveries fail although the broker answers (call it then).

        A broker that keeps its log in memory forgets the producers' ids when it restarts, and may
        give an id to another producer. librdkafka then retries without end: it takes the answer
        (producer fenced) for a passing error, and reports nothing but timeouts.
        """
        if self.failing:
            self._renew()

    def _on_error(self, error: KafkaError) -> None:
        self._fatal = self._fatal or error.fatal()

    def _renew(self) -> None:
        """Replace the producer.

        What it held is reported as not acknowledged: whether it arrived cannot be known.
        """
        log.warning("kafka: replaced the producer of %s, whose deliveries failed", self._what)
        self._producer.purge()
        self.poll()
        self._abandon()
        self._fatal = self.failing = False
        self._producer = self._make()

    def _make(self) -> Producer:
        return kafka_client.producer(self._settings, f"api.{self._what}", self._config)

    def _abandon(self) -> None:
        """Give up the reports that have not come (nothing to do where nobody waits for them)."""
