"""Which messages brokers have acknowledged.

librdkafka reports success in two cases. In the first, a broker acknowledged the message and gave
its offset. In the second, librdkafka infers it: a batch to a partition failed, the broker accepted
a later one, and a broker refuses a batch that does not follow the previous one. But a leader that
does not know the producer yet accepts any batch as its first. Then the failed batch is in no log,
and librdkafka still reports success, without an offset. So only a report with an offset counts here
(docs/adr/0065-only-an-offset-acknowledges.md).
"""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

#: Why a message without an offset is not acknowledged.
NO_OFFSET = "no broker gave an offset, so the message may not be in the log"
_INFERRED = KafkaError(KafkaError._FAIL, NO_OFFSET)


def failure(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Return why a message is not acknowledged; ``None`` if a broker acknowledged it.

    Every ``on_delivery`` of a message that must not be lost calls this with what it is given.
    """
    if error is None and message.offset() is None:
        log.warning("kafka: %s/%s: %s", message.topic(), message.partition(), NO_OFFSET)
        return _INFERRED
    return error


class Deliveries:
    """Collects the reports of some messages: give it to each of them as ``on_delivery``.

    Attributes
    ----------
    failures
        Why messages were not acknowledged, one for each.
    last
        The message that was acknowledged last.
    """

    def __init__(self) -> None:
        self.failures: list[KafkaError] = []
        self.last: Message | None = None

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Take a report."""
        failed = failure(error, message)
        if failed is None:
            self.last = message
        else:
            self.failures.append(failed)

    def wait(self, producer: Producer, seconds: float) -> str:
        """Wait until every message has its report.

        Parameters
        ----------
        seconds
            How long at most.

        Returns
        -------
        str
            Why not all are acknowledged; empty if they are.
        """
        unsent = producer.flush(seconds)
        if not unsent and not self.failures:
            return ""
        why = self.failures[0].str() if self.failures else f"no answer in {seconds:g} s"
        return f"{unsent + len(self.failures)} not acknowledged: {why}"
