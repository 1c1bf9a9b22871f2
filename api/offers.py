"""The way into the log for what may be lost: impressions. Nobody waits for the broker here.

A producer of its own, because its needs are the opposite of ingest's: every recommendation makes a
message and none is urgent. So messages wait a moment to travel together, which spares the broker
and this process a round trip for each, and only failures are reported.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException, Message

from api.polled import DELIVERY_MS, PolledProducer
from api.producer import LogRecord
from contracts.settings import Settings

LINGER_MS = 50.0
#: Seconds between two polls for failures while messages are in flight.
TICK_SECONDS = 0.1
#: Kilobytes that may wait for the broker; what comes then is lost, and counted.
MOST_WAITING_KB = 32 * 1024


class Offers(PolledProducer):
    """Appends messages to Kafka without waiting, from the event loop it is used on.

    Attributes
    ----------
    lost
        Messages that were not taken or not acknowledged.
    """

    def __init__(self, settings: Settings, *, delivery_ms: int = DELIVERY_MS) -> None:
        super().__init__(
            settings,
            "impressions",
            tick_seconds=TICK_SECONDS,
            delivery_ms=delivery_ms,
            own={
                "linger.ms": LINGER_MS,
                "queue.buffering.max.kbytes": MOST_WAITING_KB,
                "delivery.report.only.error": True,
            },
        )
        self.lost = 0

    def offer(self, record: LogRecord) -> bool:
        """Append a message; return whether it was taken."""
        self._poll_soon()  # also where the message is not taken: the reason is reported then
        topic, key, value, partition = record
        try:
            self._producer.produce(topic, value, key, partition, self._on_failure)
        except (BufferError, KafkaException):
            self.lost += 1
            return False
        return True

    def _on_failure(self, error: KafkaError | None, _: Message | None) -> None:
        if error is not None:
            self.failed += 1
            self.failing = True
            self.lost += 1
            self._fatal = self._fatal or error.fatal()
