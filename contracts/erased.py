"""The set of erased messages: the sum of all messages of the topic ``erasures``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from contracts.erasures import Erasure, listener_key
from contracts.events import Feedback, Submission
from contracts.impressions import Impression
from contracts.topics import Kind


class Place(NamedTuple):
    """Position of a message: kind of its topic, partition, offset."""

    kind: Kind
    partition: int
    offset: int


class Erased:
    """Erased listeners and plays, each up to an offset of the log.

    Attributes
    ----------
    logs
        Log ids by kind of topic; without one, erasures are compared by time.

    Examples
    --------
    >>> erased = Erased()
    >>> erased.logs[Kind.PLAYS] = "log"
    >>> erased.add(Erasure(listener=listener_key("ada"), before=0, ends={"log": [10]}))
    >>> erased.covers("ada", Place(Kind.PLAYS, 0, 9), at_ms=5)
    True
    >>> erased.covers("bob", Place(Kind.PLAYS, 0, 9), at_ms=5)
    False
    """

    def __init__(self) -> None:
        self.logs: dict[Kind, str] = {}
        self._listeners: dict[str, list[Erasure]] = {}
        self._plays: dict[str, list[Erasure]] = {}

    def add(self, erasure: Erasure) -> None:
        """Add one erasure. Several erasures of one listener add up."""
        if erasure.event_id:
            self._plays.setdefault(erasure.event_id, []).append(erasure)
        else:
            self._listeners.setdefault(erasure.listener, []).append(erasure)

    def clear(self) -> None:
        """Remove all erasures (the topic was created again)."""
        self._listeners.clear()
        self._plays.clear()

    def covers(self, user_id: str, place: Place, at_ms: int) -> bool:
        """Whether a listener's message at a position, received at a time (ms), is erased."""
        if not self._listeners:
            return False
        return self._any(self._listeners.get(listener_key(user_id), ()), place, at_ms)

    def keep(self, submission: Submission, place: Place) -> Submission | None:
        """Return the submission without its erased plays; ``None`` if all are erased."""
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
        """Whether feedback or an impression is not erased."""
        return not self.covers(message.user_id, place, message.at)

    def _any(self, erasures: Iterable[Erasure], place: Place, at_ms: int) -> bool:
        log_id = self.logs.get(place.kind, "")
        return any(e.covers(log_id, place.partition, place.offset, at_ms) for e in erasures)
