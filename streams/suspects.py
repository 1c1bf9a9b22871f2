"""Who is suspect, as a worker knows it: the topic ``suspects`` read whole and followed.

A listener who was erased and returns is no suspect for what was found before.
"""

from __future__ import annotations

import logging

from contracts.erased import Erased
from contracts.errors import InvalidEvent
from contracts.events import Submission
from contracts.settings import Settings
from contracts.suspects import Suspects, decode
from contracts.suspects_topic import PLACE
from contracts.topics import Kind, Topics
from streams.decode import Batch
from streams.topic_follower import TopicFollower

log = logging.getLogger(__name__)


class SuspectFollower(TopicFollower):
    """Keeps the suspects of a process.

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
        super().__init__(settings, Topics(settings.namespace).of(Kind.SUSPECTS), self._note)
        self.suspects = Suspects(lambda user, ended_at: erased.covers(user, PLACE, ended_at))

    def _note(self, partition: int, offset: int, value: bytes | None) -> None:
        try:
            self.suspects.add(decode(value))
        except InvalidEvent as error:
            log.error("suspects %d/%d: %s", partition, offset, error)


def without(batch: Batch[Submission], suspects: Suspects) -> int:
    """Take the submissions of suspects out of a batch; return how many plays that were.

    The batch keeps its place in the log: what is left out is passed, not read again.
    """
    found = [m for m in batch.messages if m[1].user_id in suspects]
    if found:
        batch.messages = [m for m in batch.messages if m[1].user_id not in suspects]
    return sum(len(submission.plays) for _, submission in found)
