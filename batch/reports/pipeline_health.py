"""The report on the pipeline: how soon plays reach the lake, rejections, nightly runs."""

from __future__ import annotations

from datetime import timedelta

from batch.ask import Ask
from batch.reports.period import last_days
from batch.reports.plots import by_day
from batch.reports.report import Cell, Column, Figure, Kind, Occasion, Report, Table

DAYS = 28

# By delivery: of a play that was sent again or merged, stg_segue__plays has the newest landing.
_LANDING = """
select cast(landed_at as date), count(*),
    quantile_cont(epoch(landed_at) - epoch(received_at), 0.5),
    quantile_cont(epoch(landed_at) - epoch(received_at), 0.99)
from staging.base_segue__plays
where landed_at >= ? and landed_at < ? and is_accepted
group by 1
order by 1
"""

_FLOW = """
select 'deliveries in the lake', count(*) from raw.plays
union all select 'accepted, each play once', count(*) from staging.stg_segue__plays
union all select 'rejected plays', count(*) from staging.stg_segue__plays_rejected
union all select 'rejected tracks shown', count(*) from staging.stg_segue__impressions_rejected
union all select 'rejected feedback', count(*) from staging.stg_segue__feedback_rejected
union all select 'plays in the star schema', count(*) from marts.fct_plays
union all select 'sessions', count(*) from marts.fct_sessions
union all select 'lists shown', count(*) from marts.fct_impressions
union all select 'words of feedback', count(*) from marts.fct_feedback
"""

_NIGHTS = (
    Column("run", "Run", "name"),
    Column("status", "Status"),
    Column("seconds", "Seconds", "tenths"),
    Column("slowest_step", "Slowest step"),
    Column("peak_mb", "Peak memory, MB", "count"),
    Column("plays", "Deliveries read", "count"),
    Column("trouble", "Trouble"),
)
_DAY_COLUMNS = (
    Column("date", "Day"),
    Column("deliveries", "Deliveries written to the lake", "count"),
    Column("median_seconds", "Median seconds to the lake", "tenths"),
    Column("p99_seconds", "99th percentile", "tenths"),
)
_FLOW_COLUMNS = (Column("what", "What"), Column("rows", "Rows", "count"))


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Make the report: the 28 days up to the newest play, and the recorded nightly runs."""
    before, until = last_days(ask, occasion, DAYS)
    since = before + timedelta(days=1)
    landing = ask(_LANDING, [since, occasion.today + timedelta(days=1)])
    flow = ask(_FLOW)
    nights: list[tuple[Cell, ...]] = [
        (n.run, n.status, n.seconds, n.slowest_step, n.peak_mb, n.plays, n.trouble)
        for n in occasion.nights
    ]
    good = sum(night.status == "ok" for night in occasion.nights)
    facts: dict[str, Cell] = {
        "Successful nightly runs": f"{good} of {len(nights)}" if nights else "–",
        "Deliveries": flow[0][1],
        "Rejected": sum(rows for what, rows in flow if what.startswith("rejected")),
    }
    figures = []
    if landing:
        figures = [
            Figure(
                "Seconds from receipt to lake",
                by_day(
                    [row[0] for row in landing],
                    {
                        "Median": [row[2] for row in landing],
                        "99th percentile": [row[3] for row in landing],
                    },
                    day="Day written to the lake (UTC)",
                    axis="Seconds",
                    title="Seconds from receipt to lake",
                ),
                "Median and 99th percentile of the deliveries that the lake sink wrote on a day.",
            )
        ]
    return Report(
        name=KIND.name,
        title="Pipeline health",
        summary=f"How soon plays reached the lake since {since:%-d %B %Y} (the newest play is of "
        f"{until:%-d %B %Y}), and the recorded nightly runs.",
        facts=facts,
        figures=figures,
        tables=[
            Table("nights", "Nightly runs, newest first", _NIGHTS, nights),
            Table("flow", "Deliveries by result", _FLOW_COLUMNS, flow),
            Table("landing", "Time to the lake, newest day first", _DAY_COLUMNS, landing[::-1]),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
    )


KIND = Kind(
    "pipeline-health",
    "How soon plays reach the lake, how many are rejected, how nightly runs went.",
    draw,
)
