"""Gates on what landed and what was built: a scorecard from 0 to 100 for each table.

A check of severity ``error`` that fails stops the nightly, so yesterday's reports stay; a ``warn``
costs points and is recorded; a ``note`` is only recorded. A table below :data:`GATE` points stops
the run as well. Rules about single plays are not here: staging rejects those rows one by one, and
the share it had to reject is what is judged.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from batch.ask import Ask
from contracts.lake import PLAYS

#: Fewest points of a table that may be built from and published.
GATE = 95.0
#: Points a failed check costs. Two warnings pass the gate, three do not.
_COST = {"error": 50.0, "warn": 2.5, "note": 0.0}

#: Share of deliveries that may break a rule before something upstream must be wrong.
MOST_REJECTED = 0.05
#: Below this number of plays, shares and changes are noise: a small household has quiet days.
ENOUGH = 100
#: The age of the newest delivery from which the freshness check warns.
STALE_AFTER = timedelta(hours=48)
#: A day's volume is compared with the median of this many days before it ...
WINDOW_DAYS = 28
#: ... of which at least so many must have plays, ...
FEWEST_DAYS = 7
#: ... and may differ from it by this factor.
VOLUME_FACTOR = 5.0
#: The share of skips (or of any other mark) may move by this much against the days before.
MOST_DRIFT = 0.25


#: What to do about a check that fails, by its name.
ADVICE = {
    "schema": "the sink and this nightly are of different versions: run both from one",
    "exactly-once": "rows were copied into the lake by hand, or two sinks run: find the commit by "
    "`segue lake history`, take its rows out, and run with --full-refresh",
    "completeness": "a writer other than the sink appended: find it by `segue lake history`",
    "freshness": "is the lake sink alive? See `segue status`",
    "volume": "compare the counts of `segue status` with the counts of the clients",
    "distribution": "did a client change how it reports skips? See `source` in raw.plays",
    "fields": "they are kept in `extra` of raw.plays and in the history; to use one, name it in "
    "contracts/events.py",
    "history": "an erasure in progress differs for one night; else a store lost plays (see `segue "
    "status`, and fold it again), or rows were written by hand",
    "rejected-share": "see `reject_reasons` in staging.stg_segue__plays_rejected: mend the client "
    "that sends them",
}


class QualityCheck(msgspec.Struct, kw_only=True, frozen=True):
    """One question asked of a table, and its answer.

    Attributes
    ----------
    severity
        ``error`` stops the run, ``warn`` costs points, ``note`` is only reported.
    """

    table: str
    name: str
    ok: bool
    severity: str = "error"
    detail: str = ""


def describe(check: QualityCheck) -> str:
    """Return the message of a failed check: table, name, finding and what to do."""
    return f"{check.table} {check.name}: {check.detail}; {ADVICE[check.name]}"


def score(checks: list[QualityCheck]) -> dict[str, float]:
    """Return points by table, 0 to 100.

    Examples
    --------
    >>> good = QualityCheck(table="t", name="a", ok=True)
    >>> score([good, QualityCheck(table="t", name="b", ok=False)])
    {'t': 50.0}
    """
    points = {check.table: 100.0 for check in checks}
    for check in checks:
        if not check.ok:
            points[check.table] = max(0.0, points[check.table] - _COST[check.severity])
    return points


def check_raw(ask: Ask, now: datetime) -> list[QualityCheck]:
    """Ask whether what landed can be built from."""
    schema = _schema(ask)
    if not schema.ok:
        return [schema]  # the others would only stumble over it
    return [
        schema,
        _exactly_once(ask),
        _complete(ask),
        _fresh(ask, now),
        _volume(ask),
        _skips(ask),
    ]


def check_fields(ask: Ask) -> QualityCheck:
    """Report the further fields of plays that clients began to send on the last whole day."""
    days = ask(_FIELDS)
    new = [f"{client}: {field} ({plays:,} plays)" for client, field, plays in days]
    shown = ", ".join(new[:_MOST_FIELDS])
    return QualityCheck(
        table="raw.plays",
        name="fields",
        ok=not new,
        severity="note",
        detail=f"{len(new):,} new: {shown}" if new else "no client began to send a field",
    )


def check_built(ask: Ask) -> list[QualityCheck]:
    """Return what dbt's own tests (relationships, every play in the facts once) do not ask."""
    return [_rejected(ask)]


def _schema(ask: Ask) -> QualityCheck:
    found = {row[0] for row in ask("describe raw.plays")}
    missing = sorted(set(PLAYS.names) - found)
    return QualityCheck(
        table="raw.plays",
        name="schema",
        ok=not missing,
        detail=f"columns missing: {', '.join(missing)}" if missing else "all columns are there",
    )


def _exactly_once(ask: Ask) -> QualityCheck:
    """A place in the log lies in the lake once: the sink is exactly once, or it is broken."""
    (doubled,) = ask(
        "select count(*) from (select 1 from raw.plays "
        "group by log_id, kafka_partition, kafka_offset, position having count(*) > 1)",
    )[0]
    return QualityCheck(
        table="raw.plays",
        name="exactly-once",
        ok=doubled == 0,
        detail=f"{doubled:,} places of the play log lie in the lake more than once",
    )


def _complete(ask: Ask) -> QualityCheck:
    """Columns the contract calls never null are never null."""
    required = [field.name for field in PLAYS if not field.nullable]
    nulls = ask(
        f"select {', '.join(f'count(*) - count({name})' for name in required)} from raw.plays",  # noqa: S608
    )[0]
    empty = [f"{name} ({count:,})" for name, count in zip(required, nulls, strict=True) if count]
    return QualityCheck(
        table="raw.plays",
        name="completeness",
        ok=not empty,
        detail=f"null in: {', '.join(empty)}" if empty else "no required field is null",
    )


def _fresh(ask: Ask, now: datetime) -> QualityCheck:
    (newest,) = ask("select max(landed_at) at time zone 'UTC' from raw.plays")[0]
    if newest is None:
        return QualityCheck(
            table="raw.plays", name="freshness", ok=False, severity="warn", detail="empty"
        )
    age = now - newest.replace(tzinfo=UTC)
    return QualityCheck(
        table="raw.plays",
        name="freshness",
        ok=age <= STALE_AFTER,
        severity="warn",
        detail=f"the newest play landed {_ago(age)} ago",
    )


def _ago(age: timedelta) -> str:
    hours = age / timedelta(hours=1)
    return f"{hours:,.1f} hours" if age < timedelta(days=4) else f"{age.days:,} days"


_DAYS = f"""
with days as (
    select
        landed_date as day,
        count(*) as plays,
        avg(case when skipped then 1.0 when not skipped then 0.0 end) as skips,
        count(skipped) as reported,
        max(landed_date) over () as newest
    from raw.plays
    group by landed_date
),
before as (
    select median(plays) as plays, avg(skips) as skips, count(*) as days
    from days
    -- The newest day is still being filled: the last whole one is judged.
    where day < newest - 1 and day >= newest - {WINDOW_DAYS + 1}
)
select coalesce((select plays from days where day = newest - 1), 0),
    (select skips from days where day = newest - 1),
    (select reported from days where day = newest - 1),
    before.plays, before.skips, before.days
from before
"""  # noqa: S608


def _volume(ask: Ask) -> QualityCheck:
    plays, _, _, usual, _, days = ask(_DAYS)[0]
    judged = days >= FEWEST_DAYS and max(plays, usual) >= ENOUGH
    ok = not judged or usual / VOLUME_FACTOR <= plays <= usual * VOLUME_FACTOR
    return QualityCheck(
        table="raw.plays",
        name="volume",
        ok=ok,
        severity="warn",
        detail=f"{plays:,} plays landed on the last whole day; {usual:,.0f} is usual"
        if judged
        else f"too little to judge by: {plays:,} plays, {days} days to compare with",
    )


def _skips(ask: Ask) -> QualityCheck:
    _, now, reported, _, usual, days = ask(_DAYS)[0]
    judged = days >= FEWEST_DAYS and (reported or 0) >= ENOUGH and usual is not None
    return QualityCheck(
        table="raw.plays",
        name="distribution",
        ok=not judged or abs(now - usual) <= MOST_DRIFT,
        severity="warn",
        detail=f"{now:.1%} of plays were skipped on the last whole day; {usual:.1%} is usual"
        if judged
        else "too few plays or days with known skips to compare",
    )


_MOST_FIELDS = 10
#: A client that sent no play before the last whole day is new: its fields are not reported.
_FIELDS = f"""
with sent as (
    select split_part(source, '/', 1) as client, landed_date as day,
        unnest(json_keys(extra)) as field
    from raw.plays
    where extra is not null and landed_date >= (
        select max(landed_date) - {WINDOW_DAYS + 1} from raw.plays
    )
),
newest as (select max(landed_date) - 1 as day from raw.plays)
select client, field, count(*) as plays
from sent
where day <= (select day from newest) and client in (
    select split_part(source, '/', 1) from raw.plays where landed_date < (select day from newest)
)
group by client, field
having min(day) = (select day from newest)
order by client, field
"""  # noqa: S608


def _rejected(ask: Ask) -> QualityCheck:
    raw, rejected = ask(
        "select (select count(*) from raw.plays), "
        "(select count(*) from staging.stg_segue__plays_rejected)",
    )[0]
    share = rejected / raw if raw else 0.0
    return QualityCheck(
        table="stg_segue__plays",
        name="rejected-share",
        ok=share <= MOST_REJECTED or rejected < ENOUGH,
        detail=f"{rejected:,} of {raw:,} deliveries break a rule ({share:.2%})",
    )
