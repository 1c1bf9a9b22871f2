"""The figures of the overview: what each means, the SQL it comes from, and its arithmetic.

The nightly asks the warehouse for each figure day by day and publishes the answers
(``<home>/figures/figures.json``). A figure of a period is computed from its days here, so that the
API and the pages agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

Kind = Literal["sum", "mean", "share"]
Unit = Literal["plays", "listeners", "hours", "share"]


class Definition(msgspec.Struct, kw_only=True):
    """What a figure means.

    Attributes
    ----------
    kind
        How days make a period: their ``sum``, their ``mean``, or the ``share`` that the sum of the
        numerators is of the sum of the denominators.
    sql
        Returns ``(day, numerator, denominator)``; the denominator is null but for a share. It runs
        on DuckDB and on Snowflake, and is the statement that the nightly runs.
    meaning, note
        For people: the definition, and what to keep in mind.
    better
        Whether a higher value is better, a lower one, or neither.
    """

    name: str
    title: str
    kind: Kind
    unit: Unit
    sql: str
    meaning: str
    note: str = ""
    better: Literal["higher", "lower", "neither"] = "neither"


class Day(msgspec.Struct, array_like=True):
    """One day of a figure."""

    day: str
    numerator: float
    denominator: float | None = None


class Figures(msgspec.Struct, kw_only=True):
    """What the nightly published: the days of each figure by name, oldest first."""

    generated_at: str
    run: str
    lake_version: int | None
    days: dict[str, list[Day]]


class Value(NamedTuple):
    """A figure of a period; ``low`` and ``high`` bound the 95 % interval of a share."""

    value: float | None
    low: float | None = None
    high: float | None = None
    counted: float = 0.0


DEFINITIONS: dict[str, Definition] = {
    each.name: each
    for each in (
        Definition(
            name="plays",
            title="Plays",
            kind="sum",
            unit="plays",
            sql="select date_day, plays, null from marts.metrics_daily order by date_day",
            meaning="Plays that began in the period (UTC). The same play reported twice counts "
            "once.",
            better="higher",
        ),
        Definition(
            name="listeners",
            title="Listeners a day",
            kind="mean",
            unit="listeners",
            sql="select date_day, active_listeners, null from marts.metrics_daily "
            "order by date_day",
            meaning="Different listeners with at least one play on a day, on average over the "
            "days of the period.",
            note="Not the number of different listeners of the period: a listener who plays every "
            "day counts every day.",
            better="higher",
        ),
        Definition(
            name="hours",
            title="Hours heard",
            kind="sum",
            unit="hours",
            sql="select date_day, ms_played / 3600000.0, null from marts.metrics_daily "
            "order by date_day",
            meaning="Time heard in the period, in hours.",
            note="Only plays whose time heard or whose length is known count.",
            better="higher",
        ),
        Definition(
            name="discovery-rate",
            title="Discovery rate",
            kind="share",
            unit="share",
            sql="select date_day, discoveries, plays from marts.metrics_daily order by date_day",
            meaning="Share of plays that were the first play of a track by its listener.",
        ),
        Definition(
            name="hit-through",
            title="Hit-through",
            kind="share",
            unit="share",
            sql="select shown_date, sum(lists_hit), sum(lists) "
            "from marts.metrics_recommendations_daily group by shown_date order by shown_date",
            meaning="Share of lists of which a track was played within an hour, or by a play that "
            "names the list. A play counts for one list.",
            note="The interval assumes that lists are independent. Lists of one listener are not "
            "quite, so the true interval is a little wider.",
            better="higher",
        ),
        Definition(
            name="relevance",
            title="Relevance of lists",
            kind="share",
            unit="share",
            sql="select plays.played_date, count(case when plays.is_counted then 1 end), count(*) "
            "from marts.fct_recommendation_outcomes as outcomes "
            "inner join marts.fct_plays as plays on outcomes.event_id = plays.event_id "
            "group by plays.played_date order by plays.played_date",
            meaning="Of the plays that came from our lists, the share that was heard for at least "
            "30 s or half of the track.",
            note="The interval assumes that plays are independent. The report "
            "recommendation-effectiveness has an interval by listener, and compares with popular "
            "songs.",
            better="higher",
        ),
        Definition(
            name="skip-rate",
            title="Skip rate",
            kind="share",
            unit="share",
            sql="select date_day, coalesce(skip_rate, 0) * plays_of_known_end, plays_of_known_end "
            "from marts.metrics_daily order by date_day",
            meaning="Share of plays that were skipped, among plays for which the client reports "
            "it.",
            better="lower",
        ),
    )
}


def wilson(hits: float, of: float) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference",
    JASA 22(158), 209-212, equation for the score interval.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(20, 100)]
    [0.133, 0.289]
    >>> wilson(0, 10)[0]
    0.0
    """
    z = 1.959964
    share = hits / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    whole = 1 + z * z / of
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def of_days(kind: Kind, days: Sequence[Day]) -> Value:
    """Return a figure of some days; its value is ``None`` where nothing was counted.

    Examples
    --------
    >>> of_days("sum", [Day("2026-01-01", 3), Day("2026-01-02", 4)]).value
    7
    >>> of_days("mean", [Day("2026-01-01", 3), Day("2026-01-02", 4)]).value
    3.5
    >>> of_days("share", [Day("2026-01-01", 1, 4), Day("2026-01-02", 1, 4)]).value
    0.25
    >>> of_days("share", [Day("2026-01-01", 0, 0)]).value is None
    True
    """
    total = sum(day.numerator for day in days)
    if kind == "share":
        of = sum(day.denominator or 0.0 for day in days)
        return Value(total / of, *wilson(total, of), of) if of else Value(None)
    if not days:
        return Value(None)
    return Value(total / len(days) if kind == "mean" else total, counted=len(days))
