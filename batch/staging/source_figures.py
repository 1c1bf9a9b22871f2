"""Figures per source for the scorecard: completeness, freshness, failures, what stands out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from batch.staging.data_contracts import broken
from batch.staging.tables import ARTISTS, TRACKS, Table


class SourceFigures(msgspec.Struct):
    """One source.

    Attributes
    ----------
    rows
        Staged rows by table.
    plays
        Plays delivered to the platform by all runs.
    completeness
        ``"<table>.<column>" -> share of rows that know it``, 0 .. 1.
    age_days
        Days since the newest observation; ``None`` without rows.
    failure_rate
        Share of calls that failed after retries, over the last ten runs.
    drift
        Differences between answers and contract in the last run.
    anomalies
        What breaks the source's contract (:mod:`batch.staging.data_contracts`); empty is good.
    """

    source: str
    rows: dict[str, int] = {}
    plays: int = 0
    completeness: dict[str, float] = {}
    age_days: float | None = None
    failure_rate: float = 0.0
    refused: int = 0
    drift: int = 0
    anomalies: list[str] = []


def scorecard(
    connection: psycopg.Connection[Any], now: datetime | None = None
) -> list[SourceFigures]:
    """Return the figures of every source that has rows, runs or refused records, by name."""
    moment = now or datetime.now(UTC)
    found: dict[str, SourceFigures] = {}
    for table in (ARTISTS, TRACKS):
        _measure(connection, table, moment, found)
    for source, refused in connection.execute(
        "select source, count(*) from rejected_records group by source"
    ):
        _of(found, source).refused = refused
    for source, calls, failed, drift, plays in connection.execute(_RUNS):
        figures = _of(found, source)
        figures.failure_rate = round(failed / calls, 5) if calls else 0.0
        figures.drift = drift
        figures.plays = plays
    for figures in found.values():
        figures.anomalies = broken(
            figures.source,
            rows=figures.rows,
            plays=figures.plays,
            completeness=figures.completeness,
            age_days=figures.age_days,
            failure_rate=figures.failure_rate,
            refused=figures.refused,
            drift=figures.drift,
        )
    return [found[source] for source in sorted(found)]


_RUNS = """
select source, sum(calls) filter (where place <= 10)::bigint,
    sum(failed) filter (where place <= 10)::bigint,
    max(drift) filter (where place = 1)::bigint, sum(plays)::bigint
from (
    select source, calls, failed, plays,
        (select coalesce(sum(value::bigint), 0) from jsonb_each_text(tally -> 'drift')) as drift,
        row_number() over (partition by source order by finished_at desc, id desc) as place
    from collection_runs
) r
group by source
"""


def _of(found: dict[str, SourceFigures], source: str) -> SourceFigures:
    return found.setdefault(source, SourceFigures(source))


def _measure(
    connection: psycopg.Connection[Any],
    table: Table,
    now: datetime,
    found: dict[str, SourceFigures],
) -> None:
    counts = sql.SQL(", ").join(
        sql.SQL("count({})").format(sql.Identifier(column)) for column in table.values
    )
    query = sql.SQL("select source, count(*), max(observed_at), {} from {} group by source")
    rows = connection.execute(query.format(counts, sql.Identifier(table.name)))
    for source, total, newest, *known in rows:
        figures = _of(found, source)
        figures.rows[table.name] = total
        age = round((now - newest).total_seconds() / 86_400, 2)
        figures.age_days = age if figures.age_days is None else min(age, figures.age_days)
        for column, count in zip(table.values, known, strict=True):
            figures.completeness[f"{table.name}.{column}"] = round(count / total, 4)
