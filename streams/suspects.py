"""Who is suspect, as a worker knows it: the topic ``suspects`` read whole and followed.

A listener who was erased and returns is no suspect for what was found before.
"""

from __future__ import annotations

import logging
import threading
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.erased import Erased
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.events import Submission
from contracts.kafka import begin_offsets, end_offsets
from contracts.settings import Settings
from contracts.suspects import Suspects, decode
from contracts.suspects_topic import PLACE
from contracts.topics import Kind, Topics
from streams.decode import Batch

log = logging.getLogger(__name__)
_POLL = 0.5
_PATIENCE = 30.0


class SuspectFollower(threading.Thread):
    """Reads the topic from its beginning and follows it for as long as the process lives.

    Parameters
    ----------
    erased
        What is erased, as the worker knows it.

    Attributes
    ----------
    suspects
        Filled by this thread.
    """

    def __init__(self, settings: Settings, erased: Erased) -> None:
        super().__init__(name="suspects", daemon=True)
        self.suspects = Suspects(lambda user, ended_at: erased.covers(user, PLACE, ended_at))
        self._settings = settings
        self._topic = Topics(settings.namespace).of(Kind.SUSPECTS)
        self._whole = threading.Event()
        self._stopping = threading.Event()
        self._left: set[int] = set()
        self._ends: list[int] = []

    def read_whole(self) -> None:
        """Start, and return once everything that is in the topic now is known.

        Raises
        ------
        BrokerUnavailable
            The topic cannot be read.
        """
        kafka, partitions = self._settings.kafka, self._settings.partitions
        self._ends = end_offsets(kafka, self._topic, partitions)
        # Where retention has emptied a partition nothing is read, and no position is ever known.
        begins = begin_offsets(kafka, self._topic, range(partitions))
        self._left = {p for p, end in enumerate(self._ends) if begins[p] < end}
        if self.ident is None:
            self.start()
        if not self._whole.wait(_PATIENCE):
            raise BrokerUnavailable(f"{self._topic} cannot be read to its end")

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()

    def run(self) -> None:
        """Follow until :meth:`close`."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.kafka,
                "group.id": "segue-suspects",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 2000,
                "log_level": 2,
            }
        )
        places = [TopicPartition(self._topic, p, 0) for p in range(self._settings.partitions)]
        try:
            consumer.assign(places)
            while not self._stopping.is_set():
                self._take(consumer)
                if self._left:
                    for place in consumer.position(places):
                        if place.offset >= self._ends[place.partition]:
                            self._left.discard(place.partition)
                if not self._left:
                    self._whole.set()
        finally:
            consumer.close()

    def _take(self, consumer: Consumer) -> None:
        try:
            messages = consumer.consume(500, _POLL)
        except KafkaException as error:  # trouble must not end this thread: nobody would know
            log.warning("suspects: %s", error)
            time.sleep(_POLL)
            return
        for message in messages:
            if message.error() is not None:
                continue
            try:
                self.suspects.add(decode(message.value()))
            except InvalidEvent as error:
                place = message.partition(), message.offset()
                log.error("suspects %s/%s: %s", *place, error)


def without(batch: Batch[Submission], suspects: Suspects) -> int:
    """Take the submissions of suspects out of a batch; return how many plays that were.

    The batch keeps its place in the log: what is left out is passed, not read again.
    """
    found = [m for m in batch.messages if m[1].user_id in suspects]
    if found:
        batch.messages = [m for m in batch.messages if m[1].user_id not in suspects]
    return sum(len(submission.plays) for _, submission in found)
