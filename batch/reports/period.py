"""The days a report is about: it ends with the newest play, not with a quiet today."""

from __future__ import annotations

from datetime import date, timedelta

from batch.ask import Ask
from batch.reports.report import Occasion


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
