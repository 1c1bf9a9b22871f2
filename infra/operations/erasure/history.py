"""PostgreSQL: every table that has a column ``user_id``, those of tomorrow included."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from infra.operations.erasure.target import Target

Connection = psycopg.Connection[tuple[Any, ...]]

#: Columns that say when a row came to be; rows from after the erasure are of a listener come back.
_TIMES = ("received_at", "given_at", "created_at", "requested_at", "at")
#: Requests keep the name until they are done; counts are counted anew; tokens go before accounts.
_APART = ("erasures", "listen_counts", "accounts")
_HOLDERS = """
    select t.table_name, array_agg(c.column_name::text)
    from information_schema.tables t
    join information_schema.columns c using (table_schema, table_name)
    where t.table_schema = current_schema() and t.table_type = 'BASE TABLE'
    group by t.table_name having 'user_id' = any(array_agg(c.column_name::text))
    order by t.table_name
"""
_ACCOUNT = """
    delete from accounts where user_id = %(user)s and created_at <= %(before)s
        and not exists (select 1 from tokens where user_id = %(user)s)
"""
_RECOUNT = """
    with left_over as (select count(*) as n from plays where user_id = %(user)s),
    gone as (delete from listen_counts where user_id = %(user)s and (select n from left_over) = 0)
    update listen_counts set plays = (select n from left_over) where user_id = %(user)s
        and (select n from left_over) > 0
"""
_ONE = "user_id = %(user)s and event_id = %(event)s and received_at <= %(before)s"
_NAMES = "select extract(epoch from played_at)::bigint, artist, title"
_PLAY = f"{_NAMES} from plays where {_ONE} union {_NAMES} from merged_plays where {_ONE}"
_FORGET_PLAY = f"delete from plays where {_ONE}"  # noqa: S608  the condition is ours
_FORGET_MERGED = f"delete from merged_plays where {_ONE}"  # noqa: S608


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
        for table, columns in connection.execute(_HOLDERS).fetchall():
            if table in _APART:
                continue
            time = next((name for name in _TIMES if name in columns), None)
            where = sql.SQL("" if time is None else " and {} <= %(before)s").format(
                *[] if time is None else [sql.Identifier(time)]
            )
            statement = sql.SQL("delete from {} where user_id = %(user)s").format(
                sql.Identifier(table)
            )
            removed[table] = connection.execute(statement + where, arguments).rowcount
        removed["accounts"] = connection.execute(_ACCOUNT, arguments).rowcount
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
        connection.execute(_FORGET_MERGED.encode(), _arguments(target))
        connection.execute(
            "update listen_counts set plays = plays - %s where user_id = %s",
            (count, target.user_id),
        )
    return count


def _arguments(target: Target) -> dict[str, object]:
    before = datetime.fromtimestamp(target.before_ms / 1000, UTC)
    return {"user": target.user_id, "before": before, "event": target.event_id}
