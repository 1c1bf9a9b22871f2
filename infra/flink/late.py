"""Late plays by day: which days are worth a backfill."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from contracts.errors import InvalidEvent
from contracts.results import decode_late
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from contracts.whole_topic import messages


def late_days(settings: Settings) -> dict[str, int]:
    """Return how many late deliveries each day of play has, by day (``2026-01-31``, UTC).

    Counts deliveries of the last 90 days, which the topic keeps; a play sent twice counts twice.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer.
    """
    counted: dict[tuple[str, int], int] = {}
    for message in messages(settings, Topics(settings.namespace).of(Kind.LATE)):
        with suppress(InvalidEvent):
            late = decode_late(message.value())
            counted[late.day, late.hour] = late.plays  # a repeat replaces
    days: Counter[str] = Counter()
    for (day, _), plays in sorted(counted.items()):
        days[day] += plays
    return dict(days)
