"""What the jobs must publish, by DuckDB and plain Python over the same log."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb
import pyarrow as pa

from contracts.errors import InvalidEvent
from contracts.events import decode_submission
from contracts.ids import artist_id
from contracts.results import KINDS, WINDOWS

MINUTE = 60_000
Rows = Counter[tuple[Any, ...]]


def load(
    messages: list[tuple[int, int, bytes]], *, bound: int, erased: dict[str, int] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a database with ``deliveries`` and ``plays``.

    Parameters
    ----------
    messages
        ``(partition, offset, value)``.
    bound
        Seconds after which a play is late.
    erased
        Listener -> moment up to which what was received is forgotten.
    """
    rows = []
    for partition, offset, value in messages:
        try:
            submission = decode_submission(value)
        except InvalidEvent:
            continue
        if any(len(play.event_id) != 36 for play in submission.plays):
            continue
        user = submission.user_id
        rows += [
            (
                user, p.event_id, p.track_id, artist_id(p.artist), p.artist, p.title,
                p.played_at, p.received_at, partition, offset,
            )
            for p in submission.plays
            if p.received_at > (erased or {}).get(user, -1)
        ]  # fmt: skip
    db = duckdb.connect()
    db.execute(
        "create table deliveries (user_id text, event_id text, track_id text, artist_id text, "
        "artist text, title text, played_at bigint, received_at bigint, part int, off bigint)"
    )
    if rows:
        names = [column[0] for column in db.execute("describe deliveries").fetchall()]
        table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        db.register("given", table)
        db.execute("insert into deliveries select * from given")
    db.execute(
        "create view plays as select * from deliveries "
        f"where received_at - played_at <= {bound} * 1000 "
        "qualify row_number() over (partition by user_id, event_id order by part, off) = 1"
    )
    db.execute(
        f"create view late as select * from deliveries where received_at - played_at > {bound}*1000"
    )
    return db


def sessions(db: duckdb.DuckDBPyConnection) -> Rows:
    """``(user, started_at, last_played_at, plays, tracks)``."""
    return Counter(
        db.execute("""
        with marked as (
          select *, coalesce(played_at - lag(played_at) over w >= 1800000, true) as begins
          from plays
          window w as (partition by user_id order by played_at, event_id)),
        numbered as (
          select *, sum(begins::int) over (partition by user_id order by played_at, event_id
            rows unbounded preceding) as s from marked)
        select user_id, min(played_at), max(played_at), count(*), count(distinct track_id)
        from numbered group by user_id, s""").fetchall()
    )


def uniques(db: duckdb.DuckDBPyConnection) -> Rows:
    """``(hour, track, listeners, plays)``."""
    return Counter(
        db.execute("""
        select played_at // 3600000 * 3600000, track_id, count(distinct user_id), count(*)
        from plays group by all""").fetchall()
    )


def late(db: duckdb.DuckDBPyConnection) -> Rows:
    """``(day, hour, plays)``."""
    return Counter(
        db.execute("""
        select strftime(make_timestamp(played_at * 1000), '%Y-%m-%d'),
          received_at // 3600000 * 3600000, count(*)
        from late group by all""").fetchall()
    )


def trending(db: duckdb.DuckDBPyConnection, kind: str, window: str, places: int) -> Rows:
    """``(window_end, place, id, listeners, plays, weight)``."""
    size, slide = (MINUTE * minutes for minutes in WINDOWS[window])
    name = {"tracks": "track_id", "artists": "artist_id"}[kind]
    return Counter(
        db.execute(f"""
        with placed as (
          select {name} as id, user_id,
            unnest(range(played_at // {slide} * {slide} + {slide},
                         played_at // {slide} * {slide} + {slide} + {size}, {slide})) as w
          from plays),
        heard as (select w, id, user_id, count(*) as n from placed group by all),
        counted as (
          select w, id, count(*) as l, sum(n)::bigint as p, sum(least(n, 3))::bigint as weight
          from heard group by all)
        select w, row_number() over (partition by w order by weight desc, l desc, id) as place,
          id, l, p, weight
        from counted qualify place <= {places}""").fetchall()
    )


def every_list(db: duckdb.DuckDBPyConnection, places: int) -> Rows:
    """Return the lists of all kinds and windows."""
    return sum((trending(db, k, w, places) for k in KINDS for w in WINDOWS), Rows())


def suspects(db: duckdb.DuckDBPyConnection) -> Rows:
    """``(user, pattern, started_at, ended_at, plays)``, in plain Python: greedy from the left."""
    found: Rows = Counter()
    by_user: dict[str, list[tuple[int, str]]] = {}
    rows = db.execute(
        "select user_id, played_at, track_id from plays order by user_id, played_at, event_id"
    ).fetchall()
    for user, at, track in rows:
        by_user.setdefault(user, []).append((at, track))
    for user, mine in by_user.items():
        found.update(_runs(user, mine, "too-fast", 6, MINUTE, same_track=False))
        found.update(_runs(user, mine, "one-track", 40, 240 * MINUTE, same_track=True))
    hours: dict[tuple[Any, ...], list[tuple[str, int, int]]] = {}
    for user, mine in by_user.items():
        per_hour: dict[int, list[tuple[int, str]]] = {}
        for at, track in mine:
            per_hour.setdefault(at // 3_600_000, []).append((at, track))
        for hour, these in per_hour.items():
            if len(these) >= 5:
                same = (hour, tuple(sorted((track, at // 1000) for at, track in these)))
                hours.setdefault(same, []).append((user, these[0][0], these[-1][0]))
    for (_, what), users in hours.items():
        if len(users) >= 5:
            first, last = min(u[1] for u in users), max(u[2] for u in users)
            found.update((u[0], "same-trace", first, last, len(what)) for u in users)
    return found


def _runs(
    user: str,
    plays: list[tuple[int, str]],
    pattern: str,
    length: int,
    within: int,
    same_track: bool,
) -> list[tuple[Any, ...]]:
    runs, first = [], 0
    while first + length <= len(plays):
        run = plays[first : first + length]
        fits = run[-1][0] - run[0][0] < within
        if fits and (not same_track or len({track for _, track in run}) == 1):
            runs.append((user, pattern, run[0][0], run[-1][0], length))
            first += length
        else:
            first += 1
    return runs
