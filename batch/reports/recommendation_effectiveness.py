"""Do people play what they are shown? Hit-through of lists, by day, place, arm and generation."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from scipy import stats

from batch.ask import Ask
from batch.experiments.compare import ALPHA, Estimate, paired
from batch.experiments.moments import COLUMNS, PRODUCTS, Moments
from batch.reports.period import newest_day
from batch.reports.plots import by_day, columns
from batch.reports.report import Cell, Column, Figure, Kind, Occasion, Report, Table

DAYS = 28

_DAILY = """
select shown_date, sum(lists), sum(lists_hit), sum(lists_hit) / sum(lists),
    sum(hit_rate_inverse_propensity * tracks_shown) / nullif(sum(tracks_shown), 0),
    sum(mean_reciprocal_rank * lists) / sum(lists), sum(lists_degraded)
from marts.metrics_recommendations_daily
where shown_date > ? and shown_date <= ?
group by shown_date
order by shown_date
"""

_GROUPS = """
select arm, mode, model_generation, sum(lists), sum(lists_hit) / sum(lists),
    sum(hit_rate_inverse_propensity * tracks_shown) / nullif(sum(tracks_shown), 0)
from marts.metrics_recommendations_daily
where shown_date > ? and shown_date <= ?
group by arm, mode, model_generation
order by arm, mode, model_generation desc
"""

_PLACES = """
select position + 1, count(*), count(case when is_hit then 1 end),
    avg(case when is_hit then 1.0 else 0.0 end),
    median(seconds_to_play)
from marts.fct_recommendation_outcomes
where shown_date > ? and shown_date <= ?
group by position
order by position
limit 20
"""

#: Songs that count as popular.
POPULAR = 20
#: Over listeners, the sums of :class:`Moments`: plays from lists that were heard (``y``) of all
#: plays from lists (``d``), and the same of plays of popular songs that came from no list.
_RELEVANCE = f"""
with plays as (
    select plays.user_id, plays.song_key, plays.is_counted,
        outcomes.event_id is not null as is_listed
    from marts.fct_plays as plays
    left join marts.fct_recommendation_outcomes as outcomes on plays.event_id = outcomes.event_id
    where plays.played_date > ? and plays.played_date <= ?
),
popular as (
    select song_key from plays group by song_key order by count(*) desc, song_key limit {POPULAR}
),
listeners as (
    select plays.user_id,
        count(case when plays.is_listed and plays.is_counted then 1 end) as y,
        count(case when plays.is_listed then 1 end) as d,
        count(case when not plays.is_listed and popular.song_key is not null and plays.is_counted
            then 1 end) as y0,
        count(case when not plays.is_listed and popular.song_key is not null then 1 end) as d0
    from plays
    left join popular on plays.song_key = popular.song_key
    group by plays.user_id
)
select count(*), {", ".join(f"coalesce(sum({name}), 0)" for name in COLUMNS)},
    {", ".join(f"coalesce(sum({name.replace('_', ' * ')}), 0)" for name in PRODUCTS)}
from listeners
"""  # noqa: S608  names of ours
_RELEVANCE_COLUMNS = (
    Column("plays_of", "Plays of", "name"),
    Column("plays", "Plays", "count"),
    Column("relevance", "Heard 30 s or half", "percent"),
    Column("low", "At least", "percent"),
    Column("high", "At most", "percent"),
)

_DAY_COLUMNS = (
    Column("date", "Day"),
    Column("lists", "Lists", "count"),
    Column("lists_hit", "Lists hit", "count"),
    Column("hit_through_rate", "Hit-through", "percent"),
    Column("hit_rate_inverse_propensity", "Tracks hit, by inverse propensity", "percent"),
    Column("mean_reciprocal_rank", "Mean reciprocal rank", "thousandths"),
    Column("lists_degraded", "Degraded", "count"),
)
_PLACE_COLUMNS = (
    Column("place", "Place", "count"),
    Column("shown", "Shown", "count"),
    Column("hits", "Hits", "count"),
    Column("hit_rate", "Hit rate", "percent"),
    Column("median_seconds", "Median seconds to the play", "count"),
)
_GROUP_COLUMNS = (
    Column("arm", "Arm"),
    Column("mode", "Mode"),
    Column("generation", "Model generation", "count"),
    Column("lists", "Lists", "count"),
    Column("hit_through_rate", "Hit-through", "percent"),
    Column("hit_rate_inverse_propensity", "Tracks hit, by inverse propensity", "percent"),
)


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report: the 28 days up to the newest play."""
    until = newest_day(ask, occasion)
    span = [until - timedelta(days=DAYS), until]
    days = ask(_DAILY, span)
    places = ask(_PLACES, span)
    relevance = _relevance(ask, span)
    lists = sum(row[1] for row in days)
    hit = sum(row[2] for row in days)
    facts: dict[str, Cell] = {
        "Lists shown": int(lists),
        "Lists hit": int(hit),
        "Hit-through": f"{100 * hit / lists:.1f} %" if lists else "–",
    }
    if relevance:
        _, _, share, low, high = relevance[0]
        facts["Relevance"] = f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f} %)"
    figures = []
    if days:
        figures = [
            Figure(
                "Hit-through by day",
                by_day(
                    [row[0] for row in days],
                    {"Lists hit": [100 * row[3] for row in days]},
                    day="Day (UTC)",
                    axis="Lists hit (%)",
                    title="Hit-through by day",
                ),
                "Share of lists of which a track was played within the hour.",
            ),
            Figure(
                "Hit rate by place",
                columns(
                    [row[0] for row in places],
                    [100 * row[3] for row in places],
                    place="Place in the list",
                    axis="Played (%)",
                    title="Hit rate by place",
                ),
                "Share of the tracks shown at a place that were played.",
            ),
        ]
    return Report(
        name=KIND.name,
        title="Do people play what they are shown?",
        summary=f"Lists of the {DAYS} days up to {until:%-d %B %Y}.",
        facts=facts,
        figures=figures,
        tables=[
            Table("days", "Day by day, newest first", _DAY_COLUMNS, days[::-1]),
            Table(
                "relevance", "Relevance, compared with popularity", _RELEVANCE_COLUMNS, relevance
            ),
            Table("places", "By place in the list", _PLACE_COLUMNS, places),
            Table(
                "groups", "By arm, mode and model generation", _GROUP_COLUMNS, ask(_GROUPS, span)
            ),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
        notes=[
            "A hit is a play of a song within an hour of a list that showed it, or a play whose "
            "client names the list; a play counts for one list.",
            "Relevance: of the plays that came from lists, the share that was heard for at least "
            f"30 s or half of the track. For comparison: the same share of plays of the {POPULAR} "
            "most played songs that came from no list. Bounds hold with 95 % probability, by "
            "listener.",
            "Inverse propensity divides a hit by the probability with which the place showed the "
            "track. So tracks that were drawn at random represent those that were not shown.",
        ],
    )


def _relevance(ask: Ask, span: list[date]) -> list[tuple[Any, ...]]:
    """Return relevance, that of popular songs, and the difference; nothing without plays."""
    ((n, *sums),) = ask(_RELEVANCE, span)
    moments = Moments.of(n, sums[:4], sums[4:])
    made = paired(moments)
    if made is None:
        return []
    plays = moments.sums
    z = float(stats.norm.ppf(1 - ALPHA / 2))

    def row(name: str, count: float | None, found: Estimate) -> tuple[Any, ...]:
        low = max(-1.0 if count is None else 0.0, found.value - z * found.error)
        high = min(1.0, found.value + z * found.error)
        return name, None if count is None else int(count), found.value, low, high

    return [
        row("Tracks of lists", plays[1], made.arm),
        row(f"The {POPULAR} songs played most, from no list", plays[3], made.control),
        row("Difference", None, made.difference),
    ]


KIND = Kind("recommendation-effectiveness", "Whether lists are played, by day and place.", draw)
