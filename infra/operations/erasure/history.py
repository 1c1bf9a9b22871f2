"""PostgreSQL: every table that has a column ``user_id``, those of tomorrow included.

Rows that come from the log have a ``place`` in it and are compared by that. Other rows are stamped
by PostgreSQL's own clock, which also stamped the erasure.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from contracts.ids import partition_of
from infra.operations.erasure.target import Target
from streams.nearby import SEED_COLUMNS
from streams.postgres_sink import place
from streams.settle import LOCK, settle

Connection = psycopg.Connection[tuple[Any, ...]]

#: Columns that say when a row was written; later rows are of a listener who came back.
_TIMES = ("created_at", "requested_at", "at")
#: Tables of rows from the log -> the fence that numbers the partitions of their topic.
_FENCES = {
    "plays": "history_fence",
    "merged_plays": "history_fence",
    "feedback": "feedback_fence",
}
#: Requests keep the name until they are done; counts are recounted; tokens go before accounts;
#: merges go with the plays they are about, whenever the sink wrote them.
_APART = ("erasures", "listen_counts", "accounts", "merges")
_MERGES = """
    delete from merges as m where user_id = %(user)s and not exists (
        select from merged_plays as p where p.user_id = m.user_id and p.event_id = m.event_id
    )
"""
_EVERYTHING = 2**63 - 1
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
_ONE = (
    "user_id = %(user)s and event_id = %(event)s and (place is null or place < %(history_fence)s)"
)
_NAMES = "select floor(extract(epoch from played_at))::bigint, artist, title"
_PLAY = f"{_NAMES} from plays where {_ONE} union {_NAMES} from merged_plays where {_ONE}"
_FORGET_PLAY = f"delete from plays where {_ONE}"  # noqa: S608  the condition is ours
_FORGET_QUEUED = "delete from relayed_plays where user_id = %(user)s and event_id = %(event)s"
_FORGET_MERGED = f"delete from merged_plays where {_ONE}"  # noqa: S608
_HEAD = "select head_id from merged_plays where user_id = %(user)s and event_id = %(event)s"
_MERGED_WITH = f"""
    select {SEED_COLUMNS} from merged_plays where user_id = %(user)s and head_id = %(head)s
"""  # noqa: S608  the columns are ours


class Held(NamedTuple):
    """A play as the history holds it."""

    second: int
    artist: str
    title: str


def forget(connection: Connection, target: Target) -> dict[str, int]:
    """Delete every row of a listener; returns how many of each table."""
    removed = {}
    with connection.transaction():
        arguments = _arguments(connection, target)
        for table, condition in _conditions(connection):
            statement = sql.SQL("delete from {} where ").format(sql.Identifier(table)) + condition
            removed[table] = connection.execute(statement, arguments).rowcount
        removed["merges"] = connection.execute(_MERGES, arguments).rowcount
        removed["accounts"] = connection.execute(_ACCOUNT, arguments).rowcount
        connection.execute(_RECOUNT, arguments)
    return removed


def left(connection: Connection, target: Target) -> dict[str, int]:
    """Return how many rows each table still has that should be gone; none: an empty mapping."""
    arguments = _arguments(connection, target)
    if target.event_id is not None:
        conditions: list[tuple[str, sql.Composable]] = [
            (table, sql.SQL(_ONE)) for table in ("plays", "merged_plays")
        ]
    else:
        conditions = _conditions(connection)
    found = {}
    for table, condition in conditions:
        statement = sql.SQL("select count(*) from {} where ").format(sql.Identifier(table))
        row = connection.execute(statement + condition, arguments).fetchone()
        if row is not None and row[0]:
            found[table] = int(row[0])
    return found


def _conditions(connection: Connection) -> list[tuple[str, sql.Composable]]:
    """Return each table that names listeners, and which of a listener's rows are erased."""
    found: list[tuple[str, sql.Composable]] = []
    for table, columns in connection.execute(_HOLDERS).fetchall():
        if table in _APART:
            continue
        condition: sql.Composable = sql.SQL("user_id = %(user)s")
        time = next((name for name in _TIMES if name in columns), None)
        if table in _FENCES:
            limit = sql.Placeholder(_FENCES[table])
            condition += sql.SQL(" and (place is null or place < {})").format(limit)
        elif time is not None:
            condition += sql.SQL(" and {} <= %(before)s").format(sql.Identifier(time))
        found.append((table, condition))
    return found


def play(connection: Connection, target: Target) -> list[Held]:
    """Return the play that the erasure deletes, as a list of at most one; empty: not stored."""
    found = connection.execute(_PLAY.encode(), _arguments(connection, target)).fetchall()
    return [Held(*row) for row in found]


def forget_play(connection: Connection, target: Target) -> int:
    """Delete one play from the history and from the count; return how many were there.

    Reports that were merged with it are plays still: one of them represents the others from now on.
    """
    with connection.transaction():
        connection.execute(LOCK)
        arguments = _arguments(connection, target)
        head = connection.execute(_HEAD, arguments).fetchone()
        count = connection.execute(_FORGET_PLAY.encode(), arguments).rowcount
        connection.execute(_FORGET_MERGED.encode(), arguments)
        connection.execute(_FORGET_QUEUED.encode(), arguments)
        connection.execute(
            "update listen_counts set plays = plays - %s where user_id = %s",
            (count, target.user_id),
        )
        if head is not None:
            settle(connection, _MERGED_WITH, {"user": target.user_id, "head": head[0]})
    return count


def _arguments(connection: Connection, target: Target) -> dict[str, object]:
    before = datetime.fromtimestamp(target.before_ms / 1000, UTC)
    limits = {fence: _limit(connection, fence, target) for fence in set(_FENCES.values())}
    return {"user": target.user_id, "before": before, "event": target.event_id, **limits}


def _limit(connection: Connection, fence: str, target: Target) -> int:
    """Return the first ``place`` that came after the erasure."""
    statement = sql.SQL("select log_id, partition, number from {} where log_id = any(%s)").format(
        sql.Identifier(fence)
    )
    for log_id, partition, number in connection.execute(statement, (list(target.ends),)):
        ends = target.ends[log_id]
        if partition == partition_of(target.user_id, len(ends)):
            return place(number, ends[partition])
    return _EVERYTHING  # the sink has not met this log: every row is of an older one
