"""The days a report is about, which end with the newest play, not today; and their totals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from batch.ask import Ask
from batch.reports.report import Occasion

_TOTALS = """
select count(*), count(distinct user_id), count(distinct artist_key), count(distinct session_id),
    round(coalesce(sum(ms_played), 0) / 3600000.0, 1),
    avg(case when is_skipped then 1.0 when not is_skipped then 0.0 end)
from marts.fct_plays
where played_date > ? and played_date <= ?
"""


class Totals(NamedTuple):
    """What was played in some days; ``skip_rate`` is ``None`` where no client told of skips."""

    plays: int
    listeners: int
    artists: int
    sessions: int
    hours: float
    skip_rate: float | None


def newest_day(ask: Ask, occasion: Occasion) -> date:
    """Return the day of the newest play up to ``occasion.today``; that day where there is none."""
    newest = ask(
        "select max(played_date) from marts.fct_plays where played_date <= ?", [occasion.today]
    )[0][0]
    return newest or occasion.today


def last_days(ask: Ask, occasion: Occasion, days: int) -> tuple[date, date]:
    """Return (since, until) of so many days up to the newest play; ``since`` itself is outside."""
    until = newest_day(ask, occasion)
    return until - timedelta(days=days), until


def totals(ask: Ask, since: date, until: date) -> Totals:
    """Return the totals of the days after ``since``, up to ``until``."""
    return Totals(*ask(_TOTALS, [since, until])[0])
