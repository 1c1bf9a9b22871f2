"""Keeps `plays` at one row a play: merges the reports of two clients, and separates them again.

`merged_plays` holds every member of a group as it was reported, `plays` the group's head, enriched,
and `merges` each merge with its reason. All of it is recomputed for the plays in reach of those
that changed, so it depends on the set of plays alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from contracts.same_play import group, why
from streams.duplicates import ReportedPlay, enrich
from streams.nearby import nearby

Connection = psycopg.Connection[tuple[Any, ...]]
Key = tuple[str, str]

COLUMNS = ", ".join(ReportedPlay.__struct_fields__)
#: Whoever writes plays holds this until the end of the transaction: one writer at a time.
LOCK = "lock table kept_apart in share row exclusive mode"
_OF = "where (user_id, event_id) in (select * from unnest(%s::text[], %s::uuid[]))"
_SHOWN = f"select {COLUMNS} from plays {_OF}"  # noqa: S608
_MERGED = f"select {COLUMNS}, head_id::text from merged_plays {_OF}"  # noqa: S608
_APART = f"select user_id, event_id::text from kept_apart {_OF}"  # noqa: S608
_HIDE = f"delete from plays {_OF}"  # noqa: S608
_SPLIT = f"delete from merged_plays {_OF}"  # noqa: S608
_SHOW = f"copy plays ({COLUMNS}) from stdin"
_MERGE = f"copy merged_plays ({COLUMNS}, head_id) from stdin"
_NOTE = "copy merges (user_id, event_id, head_id, why) from stdin"
_COUNT = "update listen_counts set plays = plays + %s where user_id = %s"


def settle(connection: Connection, seeds: str, arguments: Mapping[str, Any] | None = None) -> int:
    """Bring the plays around some seeds in order; return how many merges were made or undone.

    To be called under :data:`LOCK`, in the transaction that changed the seeds.

    Parameters
    ----------
    seeds
        A query that returns :data:`streams.nearby.SEED_COLUMNS`.
    arguments
        Its parameters, by name.
    """
    reached = connection.execute(nearby(seeds).encode(), arguments).fetchall()
    if not reached:
        return 0
    where = ([user for user, _ in reached], [event for _, event in reached])
    shown = {(t.user_id, t.event_id): t for t in _read(connection, _SHOWN, where)}
    told: dict[Key, ReportedPlay] = dict(shown)
    heads: dict[Key, str] = {}
    for *columns, head in connection.execute(_MERGED.encode(), where):
        play = _told(columns)
        told[play.user_id, play.event_id] = play
        heads[play.user_id, play.event_id] = head
    apart: dict[str, set[str]] = defaultdict(set)
    for user, event in connection.execute(_APART.encode(), where):
        apart[user].add(event)
    tracks: dict[tuple[str, int | None], list[ReportedPlay]] = defaultdict(list)
    for play in told.values():
        tracks[play.user_id, play.name_key].append(play)
    changes = _Changes()
    for (user, _), plays in tracks.items():
        for members in group(plays, apart[user]):
            changes.note(members, shown, heads)
    changes.write(connection)
    return len(changes.notes)


class _Changes:
    """The groups that are not in the tables as they should be."""

    def __init__(self) -> None:
        self.events: list[Key] = []
        self.show: list[ReportedPlay] = []
        self.merge: list[tuple[ReportedPlay, str]] = []
        self.notes: list[tuple[str, str, str | None, str]] = []
        self.counts: dict[str, int] = defaultdict(int)

    def note(
        self, members: list[ReportedPlay], shown: dict[Key, ReportedPlay], heads: dict[Key, str]
    ) -> None:
        """Take note of a group unless the tables have it exactly so."""
        head, merged = members[0], len(members) > 1
        user, visible = head.user_id, enrich(members)
        keys = [(user, member.event_id) for member in members]
        wanted = [head.event_id if merged else None] * len(members)
        seen = [shown[key] for key in keys if key in shown]
        if seen == [visible] and [heads.get(key) for key in keys] == wanted:
            return
        self.events += keys
        self.show.append(visible)
        self.counts[user] += 1 - len(seen)
        if merged:
            self.merge += [(member, head.event_id) for member in members]
        for key, member in zip(keys[1:], members[1:], strict=True):
            if heads.get(key) != head.event_id:
                self.notes.append((user, member.event_id, head.event_id, why(head, member)))
        if heads.get(keys[0], head.event_id) != head.event_id:
            reason = "a play of its own: kept apart, or no earlier report is in reach"
            self.notes.append((user, head.event_id, None, reason))

    def write(self, connection: Connection) -> None:
        """Write them."""
        if not self.events:
            return
        where = ([user for user, _ in self.events], [event for _, event in self.events])
        connection.execute(_HIDE.encode(), where)
        connection.execute(_SPLIT.encode(), where)
        with connection.cursor() as cursor:
            for copy_in, rows in (
                (_SHOW, [_row(play) for play in self.show]),
                (_MERGE, [(*_row(play), head) for play, head in self.merge]),
                (_NOTE, self.notes),
            ):
                with cursor.copy(copy_in) as copy:
                    for row in rows:
                        copy.write_row(row)
            counts = [(change, user) for user, change in self.counts.items() if change]
            cursor.executemany(_COUNT, counts)


def _read(
    connection: Connection, query: str, where: tuple[list[str], list[str]]
) -> list[ReportedPlay]:
    return [_told(columns) for columns in connection.execute(query.encode(), where)]


def _told(columns: Sequence[Any]) -> ReportedPlay:
    play = ReportedPlay(**dict(zip(ReportedPlay.__struct_fields__, columns, strict=True)))
    play.event_id = str(play.event_id)
    return play


def _row(play: ReportedPlay) -> tuple[Any, ...]:
    columns = {name: getattr(play, name) for name in ReportedPlay.__struct_fields__}
    if play.extra is not None:
        columns["extra"] = Jsonb(play.extra)
    return tuple(columns.values())
