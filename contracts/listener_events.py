"""Live events of listeners, published in Redis for the pages.

They are published beside the fold and never stored: a client that was not connected requests the
state itself. One message has the events of a whole batch, so publishing costs one command per batch
for any number of listeners. Without a subscriber it costs the server about a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contracts.events import Feedback, Submission

PLAY = "play"
FEEDBACK = "feedback"
PLAYING_NOW = "playing-now"
REFUSED = "refused"


class ListenerEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One event of one listener.

    Attributes
    ----------
    user
        The listener.
    kind
        ``play`` (the feature store holds it now), ``feedback``, ``playing-now`` or ``refused``.
    at
        When it was received: milliseconds since the epoch, UTC.
    artist, title, source
        Of the track (for several plays at once: of the latest), and the client that sent it.
    count
        Number of plays in this event.
    detail
        The kind of feedback, or the reason why a play was refused.
    """

    user: str
    kind: str
    at: int
    artist: str = ""
    title: str = ""
    source: str = ""
    count: int = 1
    detail: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[ListenerEvent])


def encode(events: list[ListenerEvent]) -> bytes:
    """Return the bytes to publish."""
    return _ENCODER.encode(events)


def decode(value: bytes) -> list[ListenerEvent]:
    """Read a published message; raises ``msgspec.MsgspecError`` for anything else."""
    return _DECODER.decode(value)


def of_plays(submissions: Iterable[Submission]) -> list[ListenerEvent]:
    """Return one event for each listener of a batch, about the latest play.

    Examples
    --------
    >>> from contracts.events import Play
    >>> plays = [Play(event_id=title, track_id=title, artist="Air", title=title, played_at=0,
    ...               received_at=9, source="me/1") for title in ("Run", "Alpha Beta Gaga")]
    >>> [event] = of_plays([Submission(user_id="ada", plays=plays)])
    >>> event.title, event.count
    ('Alpha Beta Gaga', 2)
    """
    found: dict[str, ListenerEvent] = {}
    for submission in submissions:
        play = submission.plays[-1]
        count = len(submission.plays)
        before = found.get(submission.user_id)
        found[submission.user_id] = ListenerEvent(
            user=submission.user_id,
            kind=PLAY,
            at=play.received_at,
            artist=play.artist,
            title=play.title,
            source=play.source,
            count=count if before is None else before.count + count,
        )
    return list(found.values())


def of_feedback(messages: Iterable[Feedback]) -> list[ListenerEvent]:
    """Return one event for each message of feedback."""
    return [
        ListenerEvent(
            user=message.user_id,
            kind=FEEDBACK,
            at=message.at,
            artist=message.artist,
            title=message.title,
            source=message.source,
            detail=message.kind,
        )
        for message in messages
    ]
