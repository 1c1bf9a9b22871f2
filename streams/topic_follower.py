"""Reads a small topic completely at the start of a process, and then follows it.

The topics are ``erasures`` and the suspects: a worker must know them before it applies plays.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts import kafka_client
from contracts.errors import BrokerUnavailable
from contracts.kafka import begin_offsets, end_offsets
from contracts.settings import Settings
from contracts.topics import Topic

log = logging.getLogger(__name__)
_POLL = 1.0
#: Seconds between two looks while the topic is not read to its end yet.
_POLL_AT_FIRST = 0.1
_PATIENCE = 30.0
#: Longest time a broker may hold a fetch that finds nothing, milliseconds: the first for a broker
#: that answers when a message arrives, the second for one that does not.
_HELD_MS, _ASKED_MS = 10_000, 2_000


class TopicFollower(threading.Thread):
    """Reads a topic from its beginning, and new messages for as long as the process runs.

    Parameters
    ----------
    take
        Called on this thread with partition, offset and value of each message, in order of the
        offsets of a partition.
    whole
        Called on this thread once ``take`` was called for each message that the topic held when
        :meth:`read_whole` was called, and before that method returns.

    Attributes
    ----------
    offsets
        Partition -> offset of the next message to read.
    """

    def __init__(
        self,
        settings: Settings,
        topic: Topic,
        take: Callable[[int, int, bytes | None], None],
        whole: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name=f"follows-{topic}", daemon=True)
        self.offsets = dict.fromkeys(range(settings.partitions), 0)
        self._settings = settings
        self._topic = topic
        self._take = take
        self._when_whole = whole
        self._ends: dict[int, int] = {}
        self._whole = threading.Event()
        self._stopping = threading.Event()

    def read_whole(self) -> None:
        """Start, and return once everything that is in the topic now was taken.

        A call after a failure keeps what was read and resumes there.

        Raises
        ------
        BrokerUnavailable
            The topic cannot be read.
        """
        ends = enumerate(end_offsets(self._settings, self._topic))
        # Where retention has emptied a partition nothing is read, and no offset is ever seen.
        begins = begin_offsets(self._settings, self._topic, self.offsets)
        self._ends = {p: end for p, end in ends if begins[p] < end}
        if self.ident is None:
            self.start()
        if not self._whole.wait(_PATIENCE):
            raise BrokerUnavailable(f"{self._topic} cannot be read to its end")

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()

    def run(self) -> None:
        """Follow until :meth:`close`."""
        held = _HELD_MS if self._settings.broker_holds_fetches else _ASKED_MS
        consumer = kafka_client.consumer(
            self._settings,
            f"follower.{self._topic}",
            {
                "auto.offset.reset": "earliest",
                # A stack runs several of these threads; each empty fetch costs the broker time.
                "fetch.wait.max.ms": held,
            },
        )
        try:
            consumer.assign([TopicPartition(self._topic, p, 0) for p in self.offsets])
            while not self._stopping.is_set():
                self._check_whole()
                for message in self._fetch(consumer):
                    partition, offset = message.partition(), message.offset()
                    assert partition is not None
                    assert offset is not None
                    self._take(partition, offset, message.value())
                    self.offsets[partition] = offset + 1
        finally:
            consumer.close()

    def _fetch(self, consumer: Consumer) -> list[Message]:
        """Return the messages that came; an error of the broker is logged and ends no thread."""
        try:
            found = consumer.consume(1, _POLL if self._whole.is_set() else _POLL_AT_FIRST)
            if found:
                found += consumer.consume(500, 0.0)
        except KafkaException as error:
            log.warning("%s: %s", self._topic, error)
            self._stopping.wait(_POLL)
            return []
        return [message for message in found if message.error() is None]

    def _check_whole(self) -> None:
        if not self._whole.is_set() and all(self.offsets[p] >= e for p, e in self._ends.items()):
            self._when_whole()
            self._whole.set()
