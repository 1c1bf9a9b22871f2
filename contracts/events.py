"""The messages that flow between the layers, and how they are read and written.

JSON on the wire and in Kafka. Every message carries its ``version``; readers ignore fields they do
not know, writers never remove one inside a major version. The JSON Schemas in
``contracts/schemas/`` are generated from these classes (``python -m contracts.schema``).
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.errors import InvalidEvent
from contracts.messages import check_version, read

#: Most plays one submission may carry; a longer import is cut into several.
MAX_PLAYS = 200
VERSION = 1


# gc=False: they come by the million and never hold one another, so nobody need look for cycles.
class Play(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One play of one track by one listener.

    Attributes
    ----------
    event_id
        :func:`contracts.ids.event_id`; the same play sent twice has the same id.
    track_id
        Best known public id, :func:`contracts.ids.track_id`.
    played_at, received_at
        Start of the play, and when we first saw it: milliseconds since the epoch, UTC.
    ms_played, duration_ms
        How long was heard, and how long the track is.
    skipped
        The listener moved on before the end, as the client reports it.
    source
        Client and version, such as ``"navidrome/0.53"``.
    impression_id
        Set when the play came from one of our lists.
    extra
        Whatever else the client sent (``additional_info`` of a scrobble), kept for the record.
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
    """1 .. 200 plays of one listener: the value of one message on ``plays``.

    A live scrobble is one play, an import many; a stream processor's cost is per message, so
    plays travel together.
    """

    user_id: str
    plays: list[Play]
    version: int = VERSION


class Feedback(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a listener said about a track: the value of one message on ``feedback``.

    ``kind`` is one of ``love``, ``hate``, ``hide`` and ``undo``, which takes back any of them.
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
    """A message nobody could use, with where it came from and why.

    Attributes
    ----------
    reason
        A short stable word, such as ``bad-json``, ``bad-schema`` or ``too-old``.
    detail
        What is wrong, for a person.
    value, key
        The original bytes (base64 in JSON).
    stage
        Which consumer refused it.
    whole_bytes
        Size of the whole message where only its beginning is kept here.
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
    """Read and check one message of ``plays``.

    Raises
    ------
    InvalidEvent
        With a reason fit for counting and for the dead-letter topic.
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
    """Read and check one message of ``feedback``; raises as :func:`decode_submission`."""
    feedback = read(_FEEDBACK, value, "feedback")
    check_version(feedback.version, VERSION)
    return feedback
