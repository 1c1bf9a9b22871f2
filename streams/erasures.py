"""What no consumer may use any more: the topic ``erasures``, read whole before anything else.

A process has one :class:`contracts.erased.Erased`. :class:`ErasureFollower` fills it, and every
:class:`streams.decode.Decoder` of the process asks it about each message, so that all folds leave
out the same messages.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

from contracts.erased import Erased
from contracts.erasures import Erasure, decode
from contracts.errors import InvalidEvent
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from streams.heartbeat import Status
from streams.topic_follower import TopicFollower

log = logging.getLogger(__name__)


class Noted(NamedTuple):
    """An erasure with its place in the topic."""

    partition: int
    offset: int
    erasure: Erasure


class ErasureFollower(TopicFollower):
    """Keeps what is erased, as a process knows it.

    Its offsets stand in the heartbeat: whoever deletes from a store first waits until every worker
    knows the erasure, so that none writes the listener into it again.

    Parameters
    ----------
    erased
        Filled by this thread.
    """

    def __init__(self, settings: Settings, status: Status, erased: Erased) -> None:
        topic = Topics(settings.namespace).erasures
        super().__init__(settings, topic, self._note, self._report)
        self._place = topic.place
        self._status = status
        self._erased = erased
        #: Everything read so far, in order; only ever appended to.
        self.noted: list[Noted] = []

    def read_logs(self, logs: Mapping[Kind, str]) -> None:
        """Start, and return once every erasure that is in the topic now is known.

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
        if self.ident is None:  # a call after a failure keeps what was read and resumes there
            self._erased.clear()
        self.read_whole()

    def _note(self, partition: int, offset: int, value: bytes | None) -> None:
        try:
            erasure = decode(value)
        except InvalidEvent as error:
            log.error("erasures %d/%d: %s", partition, offset, error)
        else:
            self._erased.add(erasure)
            self.noted.append(Noted(partition, offset, erasure))
        self._status.offsets[self._place(partition)] = offset + 1

    def _report(self) -> None:
        """Put the offsets of partitions without a message into the heartbeat too."""
        for partition, offset in self.offsets.items():
            self._status.offsets[self._place(partition)] = offset
