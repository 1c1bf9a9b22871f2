"""Writes copies in order and without a gap, so that the last copy shows what was copied."""

from __future__ import annotations

import time
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message

from contracts import kafka_client
from contracts.deliveries import failure
from contracts.kafka_client import Complaints
from contracts.settings import Settings
from contracts.topics import Topic
from infra.operations.repartition.origins import Origin

#: Messages that wait for an acknowledgement at most; half of them must have one before more go out.
_MOST = 20_000
#: Longest time without an acknowledgement, seconds.
_PATIENCE = 30.0
_OWN = {
    # If a message cannot be written, none after it may be: a later run would not see the gap.
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,
    # The header makes a message longer than it was, and the source was written with the default.
    "message.max.bytes": 1_040_000,
    "linger.ms": 20,
}


class Copier:
    """An idempotent producer of copies.

    Parameters
    ----------
    settings
        Of the namespace that is written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard = Complaints()
        own = {**_OWN, "error_cb": self._heard}
        self._producer = kafka_client.producer(settings, "repartition", own)
        self._failed: KafkaError | None = None
        self._begun: set[tuple[Topic, int]] = set()

    def __enter__(self) -> Copier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._producer.purge()  # after a failure: what was not sent must not be sent

    def send(
        self, topic: Topic, partition: int, key: bytes | None, value: bytes, origin: Origin
    ) -> None:
        """Write one copy; return before it is acknowledged, except for the first of a partition.

        Until a partition's leader knows the producer it accepts any batch as the first, also one
        that overtook another (docs/adr/0065-only-an-offset-acknowledges.md). The last copy would
        no longer show what was copied.

        Raises
        ------
        BrokerUnavailable, ConfigurationError
            As :meth:`settle`.
        """
        if len(self._producer) >= _MOST:
            self.settle(_MOST // 2)
        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, headers=[origin.header], on_delivery=self._note
                )
                break
            except BufferError:  # large messages fill the memory of the client earlier
                self.settle(len(self._producer) // 2)
            except KafkaException as error:
                raise self._heard.explain(self._settings, f"topic {topic}", error) from None
        if (topic, partition) not in self._begun:
            self.settle()
            self._begun.add((topic, partition))

    def settle(self, most: int = 0) -> None:
        """Wait until at most so many copies are not acknowledged.

        Raises
        ------
        BrokerUnavailable
            A copy failed, or none was acknowledged for 30 s. A later run resumes.
        ConfigurationError
            The brokers refuse us.
        """
        waiting, deadline = len(self._producer), time.monotonic() + _PATIENCE
        while waiting > most:
            self._producer.poll(0.1)
            if self._failed is not None:
                raise self._heard.explain(self._settings, "copies", KafkaException(self._failed))
            if (left := len(self._producer)) < waiting:
                waiting, deadline = left, time.monotonic() + _PATIENCE
            elif time.monotonic() > deadline:
                late = TimeoutError(f"no copy was acknowledged for {_PATIENCE:g} s")
                raise self._heard.explain(self._settings, "copies", late)

    def _note(self, error: KafkaError | None, message: Message) -> None:
        self._failed = self._failed or failure(error, message)
