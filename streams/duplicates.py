"""Reports of plays as the history keeps them, and how several become one row.

Which reports are one play is the rule of :mod:`contracts.same_play`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from streams.fills import FILLS


class ReportedPlay(msgspec.Struct, kw_only=True, array_like=True):
    """A report of a play: a row of ``plays``, columns in this order.

    Attributes
    ----------
    name_key
        Number of the recording that the names mean (:func:`contracts.recordings.recording_number`).
    place
        Where in the log its first report lies (:func:`streams.postgres_sink.place`).
    clients
        Every client that reported this very event, sorted.
    """

    user_id: str
    played_at: datetime
    event_id: str
    track_id: str
    artist: str
    title: str
    album: str | None
    ms_played: int | None
    duration_ms: int | None
    skipped: bool | None
    source: str
    received_at: datetime
    extra: Any
    name_key: int | None
    place: int | None = None
    clients: list[str]


#: What a later report may fill in where an earlier one left it empty.
FILLED = ("album", "ms_played", "duration_ms", "skipped", "extra")


def fill(first: ReportedPlay, later: ReportedPlay) -> ReportedPlay:
    """Return two reports of one event as one, by :data:`streams.fills.FILLS`."""
    merged = {
        column: rule.merge(getattr(first, column), getattr(later, column))
        for column, rule in FILLS.items()
    }
    return msgspec.structs.replace(first, **merged)


def enrich(members: list[ReportedPlay]) -> ReportedPlay:
    """Return the play that represents a group: its head, filled from the others in order."""
    head = members[0]
    changes: dict[str, Any] = {"clients": sorted({c for m in members for c in m.clients})}
    for name in FILLED:
        values = (getattr(member, name) for member in members)
        changes[name] = next((value for value in values if value is not None), None)
    return msgspec.structs.replace(head, **changes)
