"""What no consumer may use any more: the topic ``erasures``, read whole before anything else.

A process has one :class:`Erased`: :class:`ErasureFollower` fills it, and every
:class:`streams.decode.Decoder` of the process asks it about each message, so that all folds leave
out the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.erasures import Erasure, decode, listener_key
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.events import Feedback, Submission
from contracts.impressions import Impression
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from streams.heartbeat import Status

log = logging.getLogger(__name__)
_POLL = 0.5
_PATIENCE = 30.0


class Place(NamedTuple):
    """Where a message lies: kind of its topic, partition, offset."""

    kind: Kind
    partition: int
    offset: int


class Erased:
    """Listeners and plays that are erased, each up to a place in the log.

    Attributes
    ----------
    logs
        Log ids by kind of topic; without one erasures are compared by time.
    """

    def __init__(self) -> None:
        self.logs: dict[Kind, str] = {}
        self._listeners: dict[str, list[Erasure]] = {}
        self._plays: dict[str, list[Erasure]] = {}

    def add(self, erasure: Erasure) -> None:
        """Remember one erasure. Several of one listener add up."""
        if erasure.event_id:
            self._plays.setdefault(erasure.event_id, []).append(erasure)
        else:
            self._listeners.setdefault(erasure.listener, []).append(erasure)

    def clear(self) -> None:
        """Remember no erasure any more: another log begins."""
        self._listeners.clear()
        self._plays.clear()

    def covers(self, user_id: str, place: Place, at_ms: int) -> bool:
        """Return whether a listener's message at a place, received at a time, is erased."""
        if not self._listeners:
            return False
        return self._any(self._listeners.get(listener_key(user_id), ()), place, at_ms)

    def keep(self, submission: Submission, place: Place) -> Submission | None:
        """Return the submission without its erased plays; ``None`` if none is left."""
        if not self._listeners and not self._plays:
            return submission
        of_listener = self._listeners.get(listener_key(submission.user_id), ())
        plays = [
            play
            for play in submission.plays
            if not self._any(of_listener, place, play.received_at)
            and not self._any(self._plays.get(play.event_id, ()), place, play.received_at)
        ]
        if len(plays) == len(submission.plays):
            return submission
        return msgspec.structs.replace(submission, plays=plays) if plays else None

    def keeps(self, message: Feedback | Impression, place: Place) -> bool:
        """Return whether feedback or an impression may still be used."""
        return not self.covers(message.user_id, place, message.at)

    def _any(self, erasures: Iterable[Erasure], place: Place, at_ms: int) -> bool:
        log_id = self.logs.get(place.kind, "")
        return any(e.covers(log_id, place.partition, place.offset, at_ms) for e in erasures)


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
                "fetch.wait.max.ms": 500,
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
