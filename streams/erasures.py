"""What no consumer may use any more: the topic ``erasures``, read whole before anything else.

A process has one :class:`contracts.erased.Erased`. :class:`ErasureFollower` fills it, and every
:class:`streams.decode.Decoder` of the process asks it about each message, so that all folds leave
out the same messages.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.erased import Erased
from contracts.erasures import Erasure, decode
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from streams.heartbeat import Status

log = logging.getLogger(__name__)
_POLL = 0.5
_PATIENCE = 30.0


class Noted(NamedTuple):
    """An erasure with its place in the topic."""

    partition: int
    offset: int
    erasure: Erasure


class ErasureFollower(threading.Thread):
    """Reads the topic from its beginning and follows it for as long as the process lives.

    Its offsets stand in the heartbeat: whoever deletes from a store first waits until every worker
    knows the erasure, so that none writes the listener into it again.

    Parameters
    ----------
    erased
        Filled by this thread.
    """

    def __init__(self, settings: Settings, status: Status, erased: Erased) -> None:
        super().__init__(name="erasures", daemon=True)
        self._settings = settings
        self._status = status
        self._erased = erased
        self._topic = Topics(settings.namespace).erasures
        self._offsets = dict.fromkeys(range(settings.partitions), 0)
        self._ends: dict[int, int] = {}
        self._whole = threading.Event()
        self._stopping = threading.Event()
        #: Everything read so far, in order; only ever appended to.
        self.noted: list[Noted] = []

    def read_whole(self, logs: Mapping[Kind, str]) -> None:
        """Start, and return once everything that is in the topic now is known.

        Parameters
        ----------
        logs
            Log ids by kind of topic: the logs that offsets in erasures belong to.

        Raises
        ------
        BrokerUnavailable
            The topic cannot be read: without it nothing may be folded.
        """
        self._erased.logs = dict(logs)
        ends = end_offsets(self._settings.kafka, self._topic, self._settings.partitions)
        self._ends = dict(enumerate(ends))
        if self.ident is None:  # called again after a failure, it goes on with what it has read
            self._erased.clear()
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
                "group.id": "segue-erasures",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 2000,  # seven of these run in a stack
                "log_level": 2,  # a broker that is away is noticed by the worker itself
            }
        )
        try:
            consumer.assign([TopicPartition(self._topic, p, 0) for p in self._offsets])
            while not self._stopping.is_set():
                self._check_whole()
                for message in self._fetch(consumer):
                    partition, offset = message.partition(), message.offset()
                    assert partition is not None
                    assert offset is not None
                    self._note(partition, offset, message.value())
        finally:
            consumer.close()

    def _fetch(self, consumer: Consumer) -> list[Message]:
        """Return what came; trouble with the broker must not end this thread, nobody would know."""
        try:
            found = consumer.consume(500, 0.1 if not self._whole.is_set() else _POLL)
        except KafkaException as error:
            log.warning("erasures: %s", error)
            self._stopping.wait(_POLL)
            return []
        return [message for message in found if message.error() is None]

    def _note(self, partition: int, offset: int, value: bytes | None) -> None:
        try:
            erasure = decode(value)
        except InvalidEvent as error:
            log.error("erasures %d/%d: %s", partition, offset, error)
        else:
            self._erased.add(erasure)
            self.noted.append(Noted(partition, offset, erasure))
        self._offsets[partition] = offset + 1
        self._status.offsets[self._topic.place(partition)] = offset + 1

    def _check_whole(self) -> None:
        if not self._whole.is_set() and all(self._offsets[p] >= e for p, e in self._ends.items()):
            self._whole.set()
            for partition, offset in self._offsets.items():
                self._status.offsets[self._topic.place(partition)] = offset
