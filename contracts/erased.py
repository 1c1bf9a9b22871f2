"""Which messages of the log may not be used any more: what the topic ``erasures`` adds up to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from contracts.erasures import Erasure, listener_key
from contracts.events import Feedback, Submission
from contracts.impressions import Impression
from contracts.topics import Kind


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
