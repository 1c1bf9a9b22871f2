"""Gates on what landed, before anything is built from it.

A failing check stops the nightly, so yesterday's tables and reports stay; a warning is recorded
and the run goes on. Rules about single plays are not here: staging rejects those rows one by one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from batch.warehouse import query
from contracts.lake import PLAYS
from contracts.settings import Settings

#: Share of deliveries that may break a rule before something upstream must be wrong; of fewer
#: than ENOUGH_REJECTED the share says nothing.
MOST_REJECTED = 0.05
ENOUGH_REJECTED = 100
#: A log nobody wrote to for this long is worth a word.
STALE_AFTER = timedelta(hours=48)


class Check(msgspec.Struct, kw_only=True, frozen=True):
    """One question asked of a table, and its answer.

    Attributes
    ----------
    severity
        ``error`` stops the run, ``warn`` does not.
    """

    table: str
    name: str
    ok: bool
    severity: str = "error"
    detail: str = ""


def check_raw(settings: Settings, *, now: datetime | None = None) -> list[Check]:
    """Ask every question about ``raw.plays``."""
    return [
        _schema(settings),
        _places_are_unique(settings),
        _fresh(settings, now or datetime.now(UTC)),
    ]


def check_staging(settings: Settings) -> list[Check]:
    """Ask what share of the deliveries staging had to reject."""
    raw, rejected = query(
        settings,
        "select (select count(*) from raw.plays), "
        "(select count(*) from staging.stg_segue__plays_rejected)",
    ).rows[0]
    share = rejected / raw if raw else 0.0
    return [
        Check(
            table="stg_segue__plays",
            name="rejected-share",
            ok=share <= MOST_REJECTED or rejected < ENOUGH_REJECTED,
            detail=f"{rejected:,} of {raw:,} deliveries break a rule ({share:.2%})",
        )
    ]


def _schema(settings: Settings) -> Check:
    found = {row[0] for row in query(settings, "describe raw.plays").rows}
    missing = sorted(set(PLAYS.names) - found)
    return Check(
        table="raw.plays",
        name="schema",
        ok=not missing,
        detail=f"columns missing: {', '.join(missing)}" if missing else "all columns are there",
    )


def _places_are_unique(settings: Settings) -> Check:
    """A place in the log lies in the lake once: the sink is exactly once, or it is broken."""
    doubled = query(
        settings,
        "select count(*) from (select 1 from raw.plays "
        "group by log_id, kafka_partition, kafka_offset, position having count(*) > 1)",
    ).rows[0][0]
    return Check(
        table="raw.plays",
        name="exactly-once",
        ok=doubled == 0,
        detail=f"{doubled:,} places of the play log lie in the lake more than once",
    )


def _fresh(settings: Settings, now: datetime) -> Check:
    newest = query(settings, "select max(landed_at) at time zone 'UTC' from raw.plays").rows[0][0]
    if newest is None:
        return Check(table="raw.plays", name="freshness", ok=False, severity="warn", detail="empty")
    age = now - newest.replace(tzinfo=UTC)
    return Check(
        table="raw.plays",
        name="freshness",
        ok=age <= STALE_AFTER,
        severity="warn",
        detail=f"the newest play landed {age.total_seconds() / 3600:,.1f} hours ago",
    )
