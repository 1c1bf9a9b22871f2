"""The days a report is about, which end with the newest play, not today; and their totals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from batch.ask import Ask
from batch.reports.report import Cell, Occasion

_TOTALS = """
select count(*), count(distinct user_id), count(distinct artist_key), count(distinct session_id),
    round(coalesce(sum(heard_ms), 0) / 3600000.0, 1), count(heard_ms),
    count(case when is_skipped then 1 end), count(is_skipped),
    count(case when is_counted then 1 end)
from marts.fct_plays
where played_date > ? and played_date <= ?
"""


class Totals(NamedTuple):
    """What was played in some days.

    Attributes
    ----------
    hours
        Time heard, of the plays of ``known_time``: those whose time heard or length is known.
    skips
        Plays that were skipped, of the plays of ``known_end``.
    counted
        Plays that charts count (:func:`contracts.plays.counts`).
    """

    plays: int
    listeners: int
    artists: int
    sessions: int
    hours: float
    known_time: int
    skips: int
    known_end: int
    counted: int

    def facts(self) -> dict[str, Cell]:
        """Return hours and skips as a report shows them, each with the share that is known."""
        return {
            "Hours heard": self.hours,
            "Hours known for": f"{_share(self.known_time, self.plays)} of plays",
            "Skip rate": _share(self.skips, self.known_end),
            "Skips known for": f"{_share(self.known_end, self.plays)} of plays",
        }


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


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
