"""Checks that the lake and PostgreSQL hold the same plays in every hour.

Both stores fold one log, each at an offset of its own, so they may differ in the newest minutes.
Plays received more than :data:`SETTLED` ago must agree in number and in checksum.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from batch.ask import Ask
from batch.postgres_tables import rows_of
from batch.quality import QualityCheck
from contracts.settings import Settings

#: Plays received later may still be on their way into one of the stores.
SETTLED = timedelta(hours=1)
#: How far back each night looks, by the time of receipt.
LOOK_BACK = timedelta(days=28)
_SHOWN = 3

#: Hour since the epoch -> number of plays, and the sum of the first eight hexadecimal digits of
#: their ids. An event that was delivered twice counts once, by its first delivery.
Hours = dict[int, tuple[int, int]]

#: Groups only rows received from $1 on. Of older rows it reads only the ids, to leave out events
#: that were delivered before. Memory grows with the plays of the window, not with the lake.
_LAKE = """
with recent as (
    select user_id, lower(event_id) as event_id, arg_min(played_at, kafka_offset) as played_at,
        min(received_at) as received_at
    from raw.plays
    where received_at >= $1 and landed_date >= cast($1 as date) - 1
    group by 1, 2
),
earlier as (
    select user_id, lower(event_id) as event_id from raw.plays where received_at < $1
)
select floor(epoch(played_at))::bigint // 3600 as hour, count(*),
    sum(('0x' || substr(event_id, 1, 8))::bigint)
from recent
anti join earlier using (user_id, event_id)
where received_at < $2
group by hour
"""
#: ``plays`` holds the head of each group, ``merged_plays`` all its members.
_HISTORY = """
select floor(extract(epoch from played_at))::bigint / 3600 as hour, count(*),
    sum(('x' || substr(event_id::text, 1, 8))::bit(32)::bigint)
from (
    select event_id, played_at, received_at from plays
    union all
    select event_id, played_at, received_at from merged_plays where event_id <> head_id
) as members
where received_at >= timestamptz '{since}' and received_at < timestamptz '{until}'
group by 1
"""


def check_history(settings: Settings, ask: Ask, now: datetime) -> QualityCheck:
    """Compare the hours of the lake with those of the history; both directions count."""
    since, until = now - LOOK_BACK, now - SETTLED
    query = _HISTORY.format(since=since.isoformat(), until=until.isoformat())
    rows = rows_of(settings, query, "the hours of the history are")
    if rows is None:
        return _check(ok=True, detail="PostgreSQL was away: not compared")
    history: Hours = {int(hour): (count, int(total)) for hour, count, total in rows}
    lake: Hours = {
        int(hour): (count, int(total)) for hour, count, total in ask(_LAKE, (since, until))
    }
    differing = sorted(hour for hour in lake.keys() | history.keys()
                       if lake.get(hour) != history.get(hour))  # fmt: skip
    if not differing:
        plays = sum(count for count, _ in lake.values())
        return _check(ok=True, detail=f"{plays:,} plays of {len(lake):,} hours agree")
    shown = [_difference(hour, lake, history) for hour in differing[:_SHOWN]]
    more = len(differing) - len(shown)
    return _check(ok=False, detail="; ".join(shown) + (f"; {more} more hours" if more else ""))


def _difference(hour: int, lake: Hours, history: Hours) -> str:
    (ours, _), (theirs, _) = lake.get(hour, (0, 0)), history.get(hour, (0, 0))
    when = f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d %H}:00"
    held = f"{when} lake {ours:,}, history {theirs:,}"
    return f"{held} (other plays)" if ours == theirs else held


def _check(*, ok: bool, detail: str) -> QualityCheck:
    return QualityCheck(table="raw.plays", name="history", ok=ok, severity="warn", detail=detail)
