"""The topic ``suspects`` read whole, and the message that releases a listener."""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from contracts import erasures, suspects
from contracts.erased import Erased, Place
from contracts.errors import InvalidEvent
from contracts.settings import Settings
from contracts.suspects import RELEASED, Suspect, Suspects
from contracts.topics import Kind, Topic, Topics
from contracts.whole_topic import messages

log = logging.getLogger(__name__)
T = TypeVar("T")
#: Of any finding: no erasure names offsets of this topic, so the time of the finding decides.
PLACE = Place(Kind.SUSPECTS, 0, 0)


def read(settings: Settings) -> Suspects:
    """Return who is suspect now; findings that are erased do not count.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    topics = Topics(settings.namespace)
    erased = Erased()
    for erasure in _read(settings, topics.erasures, erasures.decode):
        erased.add(erasure)
    held = Suspects(lambda user, ended_at: erased.covers(user, PLACE, ended_at))
    for found in _read(settings, topics.of(Kind.SUSPECTS), suspects.decode):
        held.add(found)
    return held


class Release(NamedTuple):
    """A release as a message of the topic."""

    key: bytes
    value: bytes
    partition: int


def release(user_id: str, partitions: int) -> Release:
    """Return the message that releases a listener from everything found up to now.

    Examples
    --------
    >>> held, now = Suspects(), int(time.time() * 1000)
    >>> held.add(Suspect(user_id="bot", pattern="too-fast", started_at=0, ended_at=now, plays=6))
    >>> held.add(suspects.decode(release("bot", partitions=4).value))
    >>> list(held)
    []
    """
    now = int(time.time() * 1000)
    message = Suspect(user_id=user_id, pattern=RELEASED, started_at=now, ended_at=now, plays=0)
    key = suspects.message_key(message)
    return Release(key, suspects.encode(message), zlib.crc32(key) % partitions)


def _read(settings: Settings, topic: Topic, decode: Callable[[bytes | None], T]) -> Iterator[T]:
    for message in messages(settings, topic):
        try:
            yield decode(message.value())
        except InvalidEvent as error:
            log.error(
                "skipped the message %s/%s/%s: %s",
                topic,
                message.partition(),
                message.offset(),
                error,
            )
