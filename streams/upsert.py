"""Writes reported plays into PostgreSQL: inserts new ones, fills known ones, merges doubles."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from streams.duplicates import ReportedPlay
from streams.fills import expressions
from streams.nearby import SEED_COLUMNS
from streams.settle import COLUMNS, LOCK, Connection, settle

_STAGE = """
create temp table if not exists incoming (like plays) on commit delete rows;
create temp table if not exists touched (user_id text, event_id uuid) on commit delete rows;
"""


def _set(later: str) -> str:
    """Return what an event that is reported again changes of the row ``known``."""
    return ", ".join(f"{column} = {value}" for column, value in expressions("known", later).items())


def _news(later: str) -> str:
    """Return the condition that it changes anything.

    Most repeated reports change nothing, and an update would leave a dead row behind.
    """
    changed = expressions("known", later)
    return (
        f"({', '.join(changed.values())}) is distinct from "
        f"({', '.join(f'known.{column}' for column in changed)})"
    )


_MEMBER = "known.user_id = reported.user_id and known.event_id = reported.event_id"
_FILL_MERGED = f"""
with filled as (
    update merged_plays as known set {_set("reported")} from incoming as reported
    where {_MEMBER} and {_news("reported")}
    returning known.user_id, known.event_id
)
insert into touched select user_id, event_id from filled
"""  # noqa: S608  our own words
_INSERT = f"""
with reported as (
    insert into plays as known ({COLUMNS}) select {COLUMNS} from incoming as reported
    where not exists (select from merged_plays as known where {_MEMBER})
    on conflict (user_id, event_id) do update set {_set("excluded")}
    where {_news("excluded")}
    returning user_id, event_id, xmax = 0 as is_new
), noted as (
    insert into touched select user_id, event_id from reported
), counted as (
    insert into listen_counts as c (user_id, plays)
    select user_id, count(*) from reported where is_new group by user_id
    on conflict (user_id) do update set plays = c.plays + excluded.plays
)
select count(*) from reported where is_new
"""  # noqa: S608
_SEEDS = f"select {SEED_COLUMNS} from incoming join touched using (user_id, event_id)"  # noqa: S608


def upsert(connection: Connection, plays: Iterable[ReportedPlay]) -> int:
    """Write plays, each event once; return how many events were new.

    To be called in the transaction that moves the fence. The same plays again, in any order
    and any number of parts, leave the tables as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(_STAGE)
        with cursor.copy(f"copy incoming ({COLUMNS}) from stdin") as copy:
            for play in plays:
                *columns, clients = msgspec.structs.astuple(play)
                copy.write_row((*columns, _array(tuple(clients))))
        cursor.execute(_FILL_MERGED.encode())
        row = cursor.execute(_INSERT.encode()).fetchone()
        assert row is not None
        settle(connection, _SEEDS)
    return int(row[0])


@lru_cache(maxsize=4096)
def _array(texts: tuple[str, ...]) -> str:
    """Return a text[] as PostgreSQL writes it; cached, because few clients report many plays."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"
