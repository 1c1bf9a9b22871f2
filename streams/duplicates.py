"""Which plays are one play told by two clients: the rule, without any store.

Two plays of a listener are one if different clients tell of them, their normalised names are
equal, and they start within 30 seconds or half the track of each other, whichever is less. A group
is gathered around its earliest play, the *head*: every other member lies within that distance of
the head, so chains cannot creep along an evening of the same song. The result depends on the set of
plays alone, not on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from streams.fills import FILLS

#: Farthest two starts of one play may lie apart.
REACH = timedelta(seconds=30)


class Told(msgspec.Struct, kw_only=True, array_like=True):
    """A play as somebody told of it: a row of ``plays``, columns in this order.

    Attributes
    ----------
    name_key
        Key of the normalised artist and title, signed.
    place
        Where in the log its first report lies (:func:`streams.postgres_sink.place`).
    clients
        Everybody who told of this very event, sorted.
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


@lru_cache(maxsize=4096)
def client_of(source: str) -> str:
    """Return who tells, without the version.

    Examples
    --------
    >>> client_of("Navidrome/0.53") == client_of("navidrome/0.54")
    True
    """
    return source.partition("/")[0].strip().lower()


def fill(first: Told, later: Told) -> Told:
    """Return two reports of one event as one, by :data:`streams.fills.FILLS`."""
    merged = {
        column: rule.merge(getattr(first, column), getattr(later, column))
        for column, rule in FILLS.items()
    }
    return msgspec.structs.replace(first, **merged)


def reach(one: Told, other: Told) -> timedelta:
    """Return how far apart two plays may start and still be one."""
    lengths = [t.duration_ms for t in (one, other) if t.duration_ms]
    return min(REACH, timedelta(milliseconds=min(lengths)) / 2) if lengths else REACH


def group(plays: Iterable[Told], apart: Collection[str] = ()) -> list[list[Told]]:
    """Return plays of one listener and one track as groups, each with its head first.

    Parameters
    ----------
    apart
        Event ids that stand for themselves whatever the rule says.
    """
    groups: list[list[Told]] = []
    open_groups: list[list[Told]] = []
    for play in sorted(plays, key=lambda t: (t.played_at, t.event_id)):
        if play.event_id in apart:
            groups.append([play])
            continue
        open_groups = [g for g in open_groups if play.played_at - g[0].played_at <= REACH]
        # The latest head first: a song started over is told twice by both clients.
        for members in reversed(open_groups):
            head = members[0]
            near = play.played_at - head.played_at <= reach(head, play)
            if near and not any(set(play.clients) & set(member.clients) for member in members):
                members.append(play)
                break
        else:
            open_groups.append([play])
            groups.append(open_groups[-1])
    return groups


def enrich(members: list[Told]) -> Told:
    """Return the one play a group stands for: its head, filled from the others in order."""
    head = members[0]
    changes: dict[str, Any] = {"clients": sorted({c for m in members for c in m.clients})}
    for name in FILLED:
        values = (getattr(member, name) for member in members)
        changes[name] = next((value for value in values if value is not None), None)
    return msgspec.structs.replace(head, **changes)


def why(head: Told, member: Told) -> str:
    """Return in words why a play was merged into another."""
    seconds = (member.played_at - head.played_at).total_seconds()
    return (
        f"{', '.join(member.clients)} told {seconds:g} s after {', '.join(head.clients)}; "
        f"starts within {reach(head, member).total_seconds():g} s are one play"
    )
