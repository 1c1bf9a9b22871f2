"""How much is listened to: by day, and by hour of the week."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from batch.ask import Ask
from batch.reports.period import last_days, totals
from batch.reports.plots import ACCENT, INK, SECOND, by_date, drawing, numbered, to_svg
from batch.reports.report import Cell, Column, Figure, Kind, Occasion, Report, Table

DAYS = 90
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_COLUMNS = (
    Column("date", "Date"),
    Column("plays", "Plays", "count"),
    Column("listeners", "Listeners", "count"),
    Column("sessions", "Sessions", "count"),
    Column("hours", "Hours heard", "tenths"),
    Column("skip_rate", "Skip rate", "percent"),
)

_DAILY = """
select
    date_day,
    count(event_id) as plays,
    count(distinct user_id) as listeners,
    count(distinct session_id) as sessions,
    round(coalesce(sum(heard_ms), 0) / 3600000.0, 1) as hours,
    round(avg(case when is_skipped then 1.0 when not is_skipped then 0.0 end), 4) as skip_rate
from marts.dim_dates as dates
left join marts.fct_plays as plays on dates.date_day = plays.played_date
where date_day > ? and date_day <= ?
group by date_day
order by date_day
"""

_HOURLY = """
select iso_weekday, cast(extract(hour from played_at) as integer) as hour, count(*)
from marts.fct_plays as plays
inner join marts.dim_dates as dates on plays.played_date = dates.date_day
where played_date > ? and played_date <= ?
group by iso_weekday, hour
"""


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report: the 90 days up to the newest play."""
    since, until = last_days(ask, occasion, DAYS)
    total = totals(ask, since, until)
    days = ask(_DAILY, [since, until])
    week = np.zeros((7, 24))
    for weekday, hour, number in ask(_HOURLY, [since, until]):
        week[weekday - 1, hour] = number
    facts: dict[str, Cell] = {
        "Plays": total.plays,
        "Listeners": total.listeners,
        "Sessions": total.sessions,
        **total.facts(),
        "Plays a session": round(total.plays / total.sessions, 1) if total.sessions else None,
    }
    figures = []
    if days:
        figures = [
            Figure(
                "Plays and listeners by day",
                _by_day([d[0] for d in days], [d[1] for d in days], [d[2] for d in days]),
                "Days are UTC; the newest may not be over. A day without plays is drawn as zero.",
            ),
            Figure(
                "Plays by hour of the week", _by_hour(week), "Hours are UTC; weeks start on Monday."
            ),
        ]
    return Report(
        name=KIND.name,
        title="Listening activity",
        summary=f"The {DAYS} days up to the newest play, {until:%-d %B %Y}.",
        facts=facts,
        figures=figures,
        tables=[Table("days", "Day by day, newest first", _COLUMNS, days[::-1])],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
    )


def _by_day(days: list[date], plays: list[int], listeners: list[int]) -> str:
    with drawing() as (canvas, axes):
        axes.fill_between(days, plays, color=ACCENT, alpha=0.15, linewidth=0)
        axes.plot(days, plays, color=ACCENT, linewidth=1.8, marker="o", markersize=2.5)
        axes.set_ylabel("Plays", color=ACCENT)
        axes.set_xlabel("Day (UTC)")
        axes.set_ylim(bottom=0)
        axes.set_title("Plays and listeners by day", loc="left", fontsize=11, color=INK)
        right = axes.twinx()
        right.plot(days, listeners, color=SECOND, linewidth=1.4)
        right.set_ylabel("Listeners", color=SECOND)
        right.set_ylim(bottom=0)
        numbered(right.yaxis)
        right.grid(visible=False)
        by_date(axes)
        return to_svg(canvas)


def _by_hour(week: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    with drawing(height=2.9) as (canvas, axes):
        # Cells as vectors: an image would be embedded as a bitmap.
        mesh = axes.pcolormesh(week, cmap="GnBu", edgecolors="white", linewidth=1, vmin=0)
        axes.set_yticks(np.arange(7) + 0.5, _WEEK)
        axes.set_xticks(np.arange(0, 24, 3) + 0.5, [f"{hour:02d}" for hour in range(0, 24, 3)])
        axes.invert_yaxis()
        axes.set_xlabel("Hour (UTC)")
        axes.set_ylabel("Day of the week")
        axes.set_title("Plays by hour of the week", loc="left", fontsize=11, color=INK)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        scale: Any = canvas.colorbar(mesh, ax=axes, label="Plays", pad=0.02)
        scale.outline.set_visible(False)
        scale.solids.set_rasterized(False)
        scale.solids.set_edgecolor("face")  # else thin stripes show between the colours
        numbered(scale.ax.yaxis)
        return to_svg(canvas)


KIND = Kind("listening-activity", "Plays, listeners and sessions by day and hour.", draw)
