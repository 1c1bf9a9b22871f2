"""From the bytes of Kafka messages to checked submissions, the same for every consumer.

All folds of the log must agree on what is a play and what is poison, or their counts could not be
reconciled. So every consumer of ``plays``, ``feedback`` and ``impressions`` reads through a
:class:`Decoder`. Beyond the message's own contract it refuses what some store could not hold: a
play before 1970 or after 2106, a listener who belongs to another partition, an ``event_id`` that is
no UUID. It leaves out what is erased (:mod:`streams.erasures`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from contracts.erased import Erased, Place
from contracts.errors import InvalidEvent
from contracts.events import Feedback, Play, Submission, decode_feedback, decode_submission
from contracts.ids import partition_of
from contracts.impressions import Impression
from contracts.impressions import decode as decode_impression
from contracts.plays import LAST_SECOND
from contracts.results import (
    Session,
    Trending,
    Uniques,
    decode_session,
    decode_trending,
    decode_uniques,
)
from contracts.suspects import Suspect
from contracts.suspects import decode as decode_suspect
from contracts.topics import Kind
from contracts.tracing import Context

T = TypeVar("T")

FEEDBACK_KINDS = frozenset({"love", "hate", "hide", "undo"})
_is_uuid = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_END_MS = 1000 * (LAST_SECOND + 1)
_LAST_MILLISECOND = 253_402_300_799_999  # year 9999, the last a date library knows
_INT64 = 2**63 - 1
_LONGEST_NAME = 256


class Absent(Enum):
    """Why there is no message at an offset (:mod:`streams.beginning`)."""

    #: The lake has no row of it: the message was refused or erased.
    NO_ROW = "no row"
    #: Neither Kafka nor the lake holds this message and those before it; the settings accept that.
    LOST = "lost"


class Record(NamedTuple):
    """One message of a partition, before it is decoded.

    A record with ``absent`` has no message; the fold moves its offset past it. ``trace`` is the
    span of the request that wrote the message, if it is traced and this process makes spans.
    """

    offset: int
    value: bytes | None
    key: bytes | None = None
    absent: Absent | None = None
    trace: Context | None = None


class Rejected(NamedTuple):
    """A message that no consumer can use, and why."""

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
    lost_to
        Messages below this offset are lost; 0: none is.
    """

    partition: int
    start: int
    first: int
    last: int
    messages: list[tuple[int, T]]
    rejected: list[Rejected]
    lost_to: int = 0

    def after(self, offset: int) -> Batch[T]:
        """Return the part beyond ``offset`` (which may be empty but keeps ``last``)."""
        return Batch(
            partition=self.partition,
            start=max(self.start, offset + 1),
            first=max(self.first, offset + 1),
            last=self.last,
            messages=[m for m in self.messages if m[0] > offset],
            rejected=[r for r in self.rejected if r.record.offset > offset],
            lost_to=self.lost_to,
        )


def _decode(
    records: Iterable[Record],
    partition: int,
    start: int,
    read: Callable[[bytes | None, int], T | None],
) -> Batch[T]:
    messages: list[tuple[int, T]] = []
    rejected: list[Rejected] = []
    first, last, lost_to = -1, start - 1, 0
    for record in records:
        first, last = (record.offset if first < 0 else first), record.offset
        if record.absent is not None:
            lost_to = last + 1 if record.absent is Absent.LOST else lost_to
            continue
        try:
            message = read(record.value, last)
            if message is not None:
                messages.append((last, message))
        except InvalidEvent as error:
            rejected.append(Rejected(record, error))
    return Batch(partition, start, max(first, start), last, messages, rejected, lost_to)


class Decoder:
    """Decodes the topics of one log for one process.

    What breaks the contract is returned in the batch, never raised; what is erased is left out.

    Parameters
    ----------
    erased
        What must not be used. It may grow while the decoder works.
    partitions
        Of the log.
    """

    def __init__(self, erased: Erased, partitions: int) -> None:
        self.erased = erased
        self.partitions = partitions

    def of(self, kind: Kind) -> Callable[..., Batch[Any]]:
        """Return the method that decodes topics of a kind; each takes the same arguments."""
        decoders: dict[Kind, Callable[..., Batch[Any]]] = {
            Kind.PLAYS: self.plays,
            Kind.FEEDBACK: self.feedback,
            Kind.IMPRESSIONS: self.impressions,
            Kind.TRENDING: self.trending,
            Kind.SESSIONS: self.sessions,
            Kind.UNIQUES: self.uniques,
            Kind.SUSPECTS: self.suspects,
        }
        return decoders[kind]

    def plays(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Submission]:
        """Decode a run of messages of ``plays`` that continues at offset ``start``."""

        def read(value: bytes | None, offset: int) -> Submission | None:
            submission = decode_submission(value)
            _check_user(submission.user_id, partition, self.partitions)
            for play in submission.plays:
                _check_play(play)
            return self.erased.keep(submission, Place(Kind.PLAYS, partition, offset))

        return _decode(records, partition, start, read)

    def feedback(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Feedback]:
        """Decode a run of messages of ``feedback`` that continues at offset ``start``."""

        def read(value: bytes | None, offset: int) -> Feedback | None:
            feedback = decode_feedback(value)
            _check_user(feedback.user_id, partition, self.partitions)
            if feedback.kind not in FEEDBACK_KINDS:
                _refuse(
                    f"kind {feedback.kind[:60]!r} is not one of {', '.join(sorted(FEEDBACK_KINDS))}"
                )
            if not 0 <= feedback.at <= _LAST_MILLISECOND:
                _refuse(f"at {feedback.at} is not a time in milliseconds")
            if not (feedback.artist and feedback.title):
                _refuse(f"feedback of kind {feedback.kind} must name artist and title of the track")
            place = Place(Kind.FEEDBACK, partition, offset)
            return feedback if self.erased.keeps(feedback, place) else None

        return _decode(records, partition, start, read)

    def impressions(
        self, records: Iterable[Record], *, partition: int, start: int
    ) -> Batch[Impression]:
        """Decode a run of messages of ``impressions`` that continues at offset ``start``."""

        def read(value: bytes | None, offset: int) -> Impression | None:
            impression = decode_impression(value)
            _check_user(impression.user_id, partition, self.partitions)
            if _is_uuid(impression.impression_id) is None:
                _refuse(f"impression_id {impression.impression_id[:60]!r} is not a UUID")
            if not 0 <= impression.at <= _LAST_MILLISECOND:
                _refuse(f"at {impression.at} is not a time in milliseconds")
            if not all(-_INT64 <= n <= _INT64 for n in (impression.generation, impression.offset)):
                _refuse("generation and offset must fit 64 bits")
            place = Place(Kind.IMPRESSIONS, partition, offset)
            return impression if self.erased.keeps(impression, place) else None

        return _decode(records, partition, start, read)

    def trending(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Trending]:
        """Decode a run of messages of ``trending``: it names no listener."""
        return _decode(records, partition, start, lambda value, _: decode_trending(value))

    def uniques(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Uniques]:
        """Decode a run of messages of ``uniques``: it names no listener."""
        return _decode(records, partition, start, lambda value, _: decode_uniques(value))

    def sessions(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Session]:
        """Decode a run of messages of ``sessions``."""

        def read(value: bytes | None, offset: int) -> Session | None:
            session = decode_session(value)
            place = Place(Kind.SESSIONS, partition, offset)
            gone = self.erased.covers(session.user_id, place, session.last_played_at)
            return None if gone else session

        return _decode(records, partition, start, read)

    def suspects(self, records: Iterable[Record], *, partition: int, start: int) -> Batch[Suspect]:
        """Decode a run of messages of ``suspects``."""

        def read(value: bytes | None, offset: int) -> Suspect | None:
            found = decode_suspect(value)
            place = Place(Kind.SUSPECTS, partition, offset)
            return None if self.erased.covers(found.user_id, place, found.ended_at) else found

        return _decode(records, partition, start, read)


#: By kind of topic: how many rows one message becomes in a table.
ROWS: dict[Kind, Callable[[Any], int]] = {
    Kind.PLAYS: lambda submission: len(submission.plays),
    Kind.FEEDBACK: lambda _: 1,
    Kind.IMPRESSIONS: lambda shown: max(1, len(shown.tracks)),
    Kind.TRENDING: lambda _: 1,
    Kind.SESSIONS: lambda _: 1,
    Kind.UNIQUES: lambda _: 1,
    Kind.SUSPECTS: lambda _: 1,
}


def _check_play(play: Play) -> None:
    """Refuse values that some store cannot hold. Every consumer calls this for every play."""
    if not 0 <= play.played_at < _END_MS:
        _refuse(f"played_at {play.played_at} is not a time between 1970 and 2106")
    if not 0 <= play.received_at <= _LAST_MILLISECOND:
        _refuse(f"received_at {play.received_at} is not a time in milliseconds")
    if _is_uuid(play.event_id) is None:
        _refuse(f"event_id {play.event_id[:60]!r} is not a UUID")
    heard, length = play.ms_played, play.duration_ms
    if (heard is not None and not -_INT64 <= heard <= _INT64) or (
        length is not None and not -_INT64 <= length <= _INT64
    ):
        _refuse("ms_played and duration_ms must fit 64 bits")


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
