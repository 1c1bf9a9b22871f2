"""Writes plays into PostgreSQL as they are told: new ones in, known ones filled, doubles merged."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from streams.duplicates import Told
from streams.settle import COLUMNS, LOCK, Connection, settle

_STAGE = """
create temp table if not exists incoming (like plays) on commit delete rows;
create temp table if not exists touched (user_id text, event_id uuid) on commit delete rows;
"""
# An event that is told again fills in what is missing: `duplicates.fill`, in the store's words.
_FILLS = {
    "played_at": "least(known.played_at, told.played_at)",
    "album": "coalesce(known.album, told.album)",
    "ms_played": "coalesce(known.ms_played, told.ms_played)",
    "duration_ms": "least(known.duration_ms, told.duration_ms)",
    "skipped": "coalesce(known.skipped, told.skipped)",
    "extra": "coalesce(known.extra, told.extra)",
    "name_key": "coalesce(known.name_key, told.name_key)",
    "clients": "array(select distinct c from unnest(known.clients || told.clients) c order by c)",
}
_SET = ", ".join(f"{column} = {value}" for column, value in _FILLS.items())
# Most of what comes twice brings nothing new, and must not leave a dead row behind.
_NEWS = (
    f"({', '.join(_FILLS.values())}) is distinct from "
    f"({', '.join(f'known.{column}' for column in _FILLS)})"
)
_MEMBER = "known.user_id = told.user_id and known.event_id = told.event_id"
_MEET_CLIENTS = """
insert into listener_clients (user_id, client)
select distinct user_id, unnest(clients) from incoming on conflict do nothing
"""
# With one client nothing can be a duplicate: nobody else's plays are looked at twice.
_SEVERAL = """
select user_id from listener_clients where user_id in (select user_id from incoming)
group by user_id having count(*) > 1
"""
_FILL_MERGED = f"""
with filled as (
    update merged_plays as known set {_SET} from incoming as told where {_MEMBER} and {_NEWS}
    returning known.user_id, known.event_id
)
insert into touched select user_id, event_id from filled
"""  # noqa: S608  our own words
_INSERT = f"""
with told as (
    insert into plays as known ({COLUMNS}) select {COLUMNS} from incoming as told
    where not exists (select from merged_plays as known where {_MEMBER})
    on conflict (user_id, event_id) do update set {_SET.replace("told.", "excluded.")}
    where {_NEWS.replace("told.", "excluded.")}
    returning user_id, event_id, xmax = 0 as is_new
), noted as (
    insert into touched select user_id, event_id from told where user_id = any(%s)
), counted as (
    insert into listen_counts as c (user_id, plays)
    select user_id, count(*) from told where is_new group by user_id
    on conflict (user_id) do update set plays = c.plays + excluded.plays
)
select count(*) from told where is_new
"""  # noqa: S608
_SEEDS = """
select user_id, name_key, event_id, played_at from incoming join touched using (user_id, event_id)
"""


def tell(connection: Connection, plays: Iterable[Told]) -> int:
    """Write plays, each event once; return how many events were new.

    To be called in the transaction that moves the fence. The same plays told again, in any order
    and any number of parts, leave the tables as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(_STAGE)
        with cursor.copy(f"copy incoming ({COLUMNS}) from stdin") as copy:
            for play in plays:
                *columns, clients = msgspec.structs.astuple(play)
                copy.write_row((*columns, _array(tuple(clients))))
        cursor.execute(_MEET_CLIENTS)
        several = [user for (user,) in cursor.execute(_SEVERAL).fetchall()]
        if several:
            cursor.execute(_FILL_MERGED.encode())
        row = cursor.execute(_INSERT.encode(), (several,)).fetchone()
        assert row is not None
        if several:
            settle(connection, _SEEDS)
    return int(row[0])


@lru_cache(maxsize=4096)
def _array(texts: tuple[str, ...]) -> str:
    """Return a text[] as PostgreSQL writes it: few clients tell of many plays."""
    escaped = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"
