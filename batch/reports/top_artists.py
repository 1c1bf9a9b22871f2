"""Which artists were played most, over the last 28 days and ever."""

from __future__ import annotations

from datetime import timedelta

from batch.ask import Ask
from batch.reports.period import last_days, totals
from batch.reports.plots import bars
from batch.reports.report import Column, Figure, Kind, Occasion, Report, Table

DAYS = 28
MOST = 50
SHOWN = 15

_COLUMNS = (
    Column("rank", "Rank", "count"),
    Column("artist", "Artist"),
    Column("plays", "Plays", "count"),
    Column("listeners", "Listeners", "count"),
    Column("tracks", "Tracks played", "count"),
    Column("hours", "Hours heard", "tenths"),
    Column("share", "Share of plays", "percent"),
)

_TOP = """
with counted as (
    select
        artist_key,
        count(*) as plays,
        count(distinct user_id) as listeners,
        count(distinct song_key) as tracks,
        round(coalesce(sum(heard_ms), 0) / 3600000.0, 1) as hours
    from marts.fct_plays
    where played_date > ? and played_date <= ? and is_counted
    group by artist_key
)
select
    row_number() over (order by listeners desc, counted.plays desc, label) as place,
    label,
    counted.plays,
    listeners,
    tracks,
    hours,
    round(counted.plays / sum(counted.plays) over (), 4) as share
from counted
inner join marts.dim_artists as artists on counted.artist_key = artists.artist_key
order by place
limit ?
"""


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report: the last 28 days that hold plays, up to ``occasion.today``."""
    since, until = last_days(ask, occasion, DAYS)
    total = totals(ask, since, until)
    rows = ask(_TOP, [since, until, MOST])
    period = f"{since + timedelta(days=1):%-d %B %Y} to {until:%-d %B %Y}"
    title = f"Plays by artist, {period}"
    return Report(
        name=KIND.name,
        title="Top artists",
        summary=f"{period}, the {DAYS} days up to the newest play.",
        facts={"Plays": total.counted, "Artists": total.artists, "Listeners": total.listeners},
        figures=[
            Figure(
                title=title,
                svg=bars(
                    [row[1] for row in rows[:SHOWN]],
                    [row[2] for row in rows[:SHOWN]],
                    axis="Plays",
                    title=title,
                ),
                caption=f"The {min(SHOWN, len(rows))} artists played most.",
            )
        ]
        if rows
        else [],
        tables=[Table("artists", f"The {len(rows)} artists played most", _COLUMNS, rows)],
        notes=[
            "Plays of at least 30 s, or half of a shorter track, count. The order is by listeners, "
            "then by plays."
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
    )


KIND = Kind("top-artists", "The artists played most in the last 28 days.", draw)
