"""From the bytes of Kafka messages to checked submissions, the same for every consumer.

All folds of the log must agree on what is a play and what is poison, or their counts could never
be reconciled. So every consumer of ``plays`` goes through :func:`decode_plays` and every consumer
of ``feedback`` through :func:`decode_feedback`, of ``impressions`` through
:func:`decode_impressions`. Beyond the message's own contract they refuse what
some store could not hold: a play before 1970 or after 2106, a listener who belongs to another
partition, an ``event_id`` that is no UUID. What is erased (:mod:`streams.erasures`) is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from contracts.errors import InvalidEvent
from contracts.events import Feedback, Submission, decode_submission
from contracts.events import decode_feedback as decode_feedback_message
from contracts.ids import partition_of
from contracts.impressions import Impression
from contracts.impressions import decode as decode_impression
from contracts.plays import LAST_SECOND
from contracts.topics import Kind
from streams.erasures import ERASED, Place

T = TypeVar("T")

FEEDBACK_KINDS = frozenset({"love", "hate", "hide", "undo"})
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LAST_MILLISECOND = 253_402_300_799_999  # year 9999, the last a date library knows
_INT64 = 2**63 - 1
_LONGEST_NAME = 256


class Record(NamedTuple):
    """One message as it lies in its partition."""

    offset: int
    value: bytes | None
    key: bytes | None = None


class Rejected(NamedTuple):
    """A message nobody can use, and why."""

    record: Record
    error: InvalidEvent


@dataclass(slots=True)
class Batch(Generic[T]):
    """A run of messages of one partition, decoded.

    Attributes
    ----------
    partition
        Their partition.
    start
        The offset from which the run continues: everything before it was applied or rejected.
    first, last
        Offsets of the first and last message, good or bad.
    messages
        ``(offset, message)`` of the good ones, in log order.
    rejected
        The others.
    """

    partition: int
    start: int
    first: int
    last: int
    messages: list[tuple[int, T]]
    rejected: list[Rejected]

    def after(self, offset: int) -> Batch[T]:
        """Return the part beyond ``offset`` (which may be empty but keeps ``last``)."""
        return Batch(
            partition=self.partition,
            start=max(self.start, offset + 1),
            first=max(self.first, offset + 1),
            last=self.last,
            messages=[m for m in self.messages if m[0] > offset],
            rejected=[r for r in self.rejected if r.record.offset > offset],
        )


def _decode(
    records: Iterable[Record],
    partition: int,
    start: int,
    read: Callable[[bytes | None, int], T | None],
) -> Batch[T]:
    messages: list[tuple[int, T]] = []
    rejected: list[Rejected] = []
    first, last = -1, start - 1
    for record in records:
        first, last = (record.offset if first < 0 else first), record.offset
        try:
            message = read(record.value, last)
            if message is not None:
                messages.append((last, message))
        except InvalidEvent as error:
            rejected.append(Rejected(record, error))
    return Batch(partition, start, max(first, start), last, messages, rejected)


def decode_plays(
    records: Iterable[Record], *, partition: int, partitions: int, start: int
) -> Batch[Submission]:
    """Decode messages of ``plays``; what breaks the contract is returned, never raised."""

    def read(value: bytes | None, offset: int) -> Submission | None:
        submission = decode_submission(value)
        _check_user(submission.user_id, partition, partitions)
        for play in submission.plays:
            if not 0 <= play.played_at // 1000 <= LAST_SECOND:
                _refuse(f"played_at {play.played_at} is not a time between 1970 and 2106")
            if not 0 <= play.received_at <= _LAST_MILLISECOND:
                _refuse(f"received_at {play.received_at} is not a time in milliseconds")
            if _UUID.fullmatch(play.event_id) is None:
                _refuse(f"event_id {play.event_id[:60]!r} is not a UUID")
            for length in (play.ms_played, play.duration_ms):
                if length is not None and not -_INT64 <= length <= _INT64:
                    _refuse("ms_played and duration_ms must fit 64 bits")
        return ERASED.keep(submission, Place("plays", partition, offset))

    return _decode(records, partition, start, read)


def decode_feedback(
    records: Iterable[Record], *, partition: int, partitions: int, start: int
) -> Batch[Feedback]:
    """Decode messages of ``feedback``; what breaks the contract is returned, never raised."""

    def read(value: bytes | None, offset: int) -> Feedback | None:
        feedback = decode_feedback_message(value)
        _check_user(feedback.user_id, partition, partitions)
        if feedback.kind not in FEEDBACK_KINDS:
            _refuse(f"kind {feedback.kind[:60]!r} is none of {', '.join(sorted(FEEDBACK_KINDS))}")
        if not 0 <= feedback.at <= _LAST_MILLISECOND:
            _refuse(f"at {feedback.at} is not a time in milliseconds")
        if not (feedback.artist and feedback.title):
            _refuse(f"feedback of kind {feedback.kind} must name artist and title of the track")
        place = Place("feedback", partition, offset)
        return feedback if ERASED.keeps(feedback, place) else None

    return _decode(records, partition, start, read)


def decode_impressions(
    records: Iterable[Record], *, partition: int, partitions: int, start: int
) -> Batch[Impression]:
    """Decode messages of ``impressions``; what breaks the contract is returned, never raised."""

    def read(value: bytes | None, offset: int) -> Impression | None:
        impression = decode_impression(value)
        _check_user(impression.user_id, partition, partitions)
        if _UUID.fullmatch(impression.impression_id) is None:
            _refuse(f"impression_id {impression.impression_id[:60]!r} is not a UUID")
        if not 0 <= impression.at <= _LAST_MILLISECOND:
            _refuse(f"at {impression.at} is not a time in milliseconds")
        if not all(-_INT64 <= n <= _INT64 for n in (impression.generation, impression.offset)):
            _refuse("generation and offset must fit 64 bits")
        place = Place("impressions", partition, offset)
        return impression if ERASED.keeps(impression, place) else None

    return _decode(records, partition, start, read)


#: By kind of topic: what decodes its messages, and how many rows one message becomes.
DECODERS: dict[Kind, Callable[..., Batch[Any]]] = {
    Kind.PLAYS: decode_plays,
    Kind.FEEDBACK: decode_feedback,
    Kind.IMPRESSIONS: decode_impressions,
}
ROWS: dict[Kind, Callable[[Any], int]] = {
    Kind.PLAYS: lambda submission: len(submission.plays),
    Kind.FEEDBACK: lambda _: 1,
    Kind.IMPRESSIONS: lambda shown: max(1, len(shown.tracks)),
}


def _check_user(user_id: str, partition: int, partitions: int) -> None:
    if not 1 <= len(user_id) <= _LONGEST_NAME or "\0" in user_id:
        _refuse(f"user_id must have 1 to {_LONGEST_NAME} characters, none of them NUL")
    if (home := partition_of(user_id, partitions)) != partition:
        raise InvalidEvent(
            "bad-partition",
            f"listener {user_id!r} belongs to partition {home} of {partitions}, not {partition}: "
            "the producer must use contracts.ids.partition_of",
        )


def _refuse(message: str) -> None:
    raise InvalidEvent("bad-schema", message)
