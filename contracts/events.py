"""The messages that the processes exchange, with their encoding.

Messages are JSON, over HTTP and in Kafka. Every message has a ``version``. Readers ignore unknown
fields; writers never remove a field within a major version. ``python -m contracts.schema``
publishes the JSON Schemas of these classes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.errors import InvalidEvent
from contracts.messages import check_version, read

#: Maximum number of plays in a submission; a longer import is split.
MAX_PLAYS = 200
VERSION = 1


# gc=False: plays are created by the million and never refer to each other, so they form no cycle.
class Play(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One play of one track by one listener.

    Attributes
    ----------
    event_id
        :func:`contracts.ids.event_id`; the same play sent twice has the same id.
    track_id
        Best known public id, :func:`contracts.ids.track_id`.
    played_at, received_at
        Start of the play, and the time the API received it: milliseconds since the epoch, UTC.
    ms_played, duration_ms
        Time heard, and length of the track, milliseconds.
    skipped
        The listener moved on before the end, as the client reports it.
    source
        Client and version, such as ``"navidrome/0.53"``.
    impression_id
        Set when the play came from one of our lists.
    extra
        Other fields the client sent (``additional_info`` of a scrobble), stored unchanged.

    Examples
    --------
    >>> Play(event_id="e", track_id="t", artist="Air", title="Run", played_at=0, received_at=9,
    ...      source="navidrome/0.53").duration_ms is None
    True
    """

    event_id: str
    track_id: str
    artist: str
    title: str
    played_at: int
    received_at: int
    source: str
    album: str | None = None
    ms_played: int | None = None
    duration_ms: int | None = None
    skipped: bool | None = None
    reason_end: str | None = None
    session_hint: str | None = None
    impression_id: str | None = None
    extra: dict[str, Any] | None = None


class Submission(msgspec.Struct, kw_only=True):
    """1 to 200 plays of one listener: the value of one message on ``plays``.

    A live scrobble is one play, an import is many. A stream processor's cost is per message, so
    the API groups plays.

    Examples
    --------
    >>> decode_submission(b'{"user_id": "ada", "plays": []}')
    Traceback (most recent call last):
    contracts.errors.InvalidEvent: 0 plays in one submission; 1 to 200 are allowed
    """

    user_id: str
    plays: list[Play]
    version: int = VERSION


class Feedback(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A listener's opinion of a track: the value of one message on ``feedback``.

    ``kind`` is ``love``, ``hate``, ``hide``, or ``undo``, which revokes any of them. ``at`` is
    milliseconds since the epoch, UTC.

    Examples
    --------
    >>> love = Feedback(user_id="ada", kind="love", at=0, source="web", artist="Air", title="Run")
    >>> decode_feedback(encode(love)) == love
    True
    """

    user_id: str
    kind: str
    at: int
    source: str
    track_id: str = ""
    artist: str = ""
    title: str = ""
    version: int = VERSION


class DeadLetter(msgspec.Struct, kw_only=True):
    """A message that a consumer could not process, with its origin and the reason.

    Attributes
    ----------
    reason
        A short stable word, such as ``bad-json``, ``bad-schema`` or ``too-old``.
    detail
        What is wrong, for a person.
    value, key
        The original bytes (base64 in JSON).
    stage
        The consumer that refused it.
    whole_bytes
        Size of the whole message if ``value`` is only its beginning.

    Examples
    --------
    >>> letter = DeadLetter(topic="segue.plays", partition=0, offset=7, reason="bad-json",
    ...                     detail="not JSON", at=0, stage="listeners", value=b"{")
    >>> encode(letter)[:47]
    b'{"topic":"segue.plays","partition":0,"offset":7'
    """

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    at: int
    stage: str
    value: bytes | None = None
    key: bytes | None = None
    whole_bytes: int | None = None
    version: int = VERSION


_SUBMISSION = msgspec.json.Decoder(Submission)
_FEEDBACK = msgspec.json.Decoder(Feedback)
_ENCODER = msgspec.json.Encoder()


def encode(message: Submission | Feedback | DeadLetter) -> bytes:
    """Return the JSON bytes of a message."""
    return _ENCODER.encode(message)


def decode_submission(value: bytes | None) -> Submission:
    """Decode and validate one message of ``plays``.

    Raises
    ------
    InvalidEvent
        Its ``reason`` is a stable word for counters and dead letters.
    """
    submission = read(_SUBMISSION, value, "a submission")
    check_version(submission.version, VERSION)
    if not 1 <= len(submission.plays) <= MAX_PLAYS:
        raise InvalidEvent(
            "too-many-plays" if submission.plays else "empty",
            f"{len(submission.plays)} plays in one submission; 1 to {MAX_PLAYS} are allowed",
        )
    return submission


def decode_feedback(value: bytes | None) -> Feedback:
    """Decode and validate one message of ``feedback``; raises as :func:`decode_submission`."""
    feedback = read(_FEEDBACK, value, "feedback")
    check_version(feedback.version, VERSION)
    return feedback
