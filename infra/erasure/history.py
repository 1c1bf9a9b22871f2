"""PostgreSQL: history, feedback, imports, account and tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg

from infra.erasure.target import Target

Connection = psycopg.Connection[tuple[Any, ...]]

# The account goes only if it is the one that asked: a listener may have come back meanwhile.
_STATEMENTS = {
    "plays": "delete from plays where user_id = %(user)s and received_at <= %(before)s",
    "feedback": "delete from feedback where user_id = %(user)s and given_at <= %(before)s",
    "tokens": "delete from tokens where user_id = %(user)s and created_at <= %(before)s",
    "accounts": "delete from accounts where user_id = %(user)s and created_at <= %(before)s"
    " and not exists (select 1 from tokens where user_id = %(user)s)",
}
_RECOUNT = """
    with left_over as (select count(*) as n from plays where user_id = %(user)s),
    gone as (delete from listen_counts where user_id = %(user)s and (select n from left_over) = 0)
    update listen_counts set plays = (select n from left_over) where user_id = %(user)s
        and (select n from left_over) > 0
"""
_ONE = "user_id = %(user)s and event_id = %(event)s and received_at <= %(before)s"
_PLAY = f"select extract(epoch from played_at)::bigint, artist, title from plays where {_ONE}"  # noqa: S608
_FORGET_PLAY = f"delete from plays where {_ONE}"  # noqa: S608  the condition is ours


class Held(NamedTuple):
    """A play as the history holds it."""

    second: int
    artist: str
    title: str


def forget(connection: Connection, target: Target) -> dict[str, int]:
    """Delete every row of a listener; returns how many of each table."""
    removed = {}
    arguments = _arguments(target)
    with connection.transaction():
        for table, statement in _STATEMENTS.items():
            removed[table] = connection.execute(statement.encode(), arguments).rowcount
        connection.execute(_RECOUNT, arguments)
    return removed


def play(connection: Connection, target: Target) -> list[Held]:
    """Return the play that is to be forgotten, if the history has it."""
    found = connection.execute(_PLAY.encode(), _arguments(target)).fetchall()
    return [Held(*row) for row in found]


def forget_play(connection: Connection, target: Target) -> int:
    """Delete one play from the history and from the count; return how many were there."""
    with connection.transaction():
        count = connection.execute(_FORGET_PLAY.encode(), _arguments(target)).rowcount
        connection.execute(
            "update listen_counts set plays = plays - %s where user_id = %s",
            (count, target.user_id),
        )
    return count


def _arguments(target: Target) -> dict[str, object]:
    before = datetime.fromtimestamp(target.before_ms / 1000, UTC)
    return {"user": target.user_id, "before": before, "event": target.event_id}
