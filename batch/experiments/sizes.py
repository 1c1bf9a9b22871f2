"""How many listeners and days an experiment needs, from what listeners did lately."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batch.ask import Ask
from batch.experiments.compare import listeners_needed
from batch.experiments.moments import COLUMNS, PRODUCTS, Moments
from contracts.errors import ConfigurationError

#: Metric -> numerator and denominator by listener, of the columns below.
_FIGURES = {
    "hit_through": ("lists_hit", "lists"),
    "relevance": ("listed_heard", "listed"),
    "plays_per_day": ("plays", "14"),
    "hours_per_day": ("heard_ms / 3600000.0", "14"),
    "skip_rate": ("listed_skipped", "listed"),
    "discovery": ("new_songs", "plays"),
}
#: The last fourteen days and the fourteen before, by listener.
_LATELY = """
with newest as (select max(played_at) as at from marts.fct_plays),
firsts as (
    select user_id, song_key, min(played_at) as first_at from marts.fct_plays
    group by user_id, song_key
),
plays as (
    select p.user_id, p.played_at >= n.at - interval '14' day as is_late,
        p.heard_ms, p.is_counted, p.is_skipped, o.event_id is not null as is_listed,
        p.played_at = f.first_at as is_new
    from marts.fct_plays as p
    cross join newest as n
    inner join firsts as f on p.user_id = f.user_id and p.song_key = f.song_key
    left join marts.fct_recommendation_outcomes as o on p.event_id = o.event_id
    where p.played_at >= n.at - interval '28' day
),
heard as (
    select user_id, is_late, count(*) as plays, coalesce(sum(heard_ms), 0) as heard_ms,
        count(case when is_new then 1 end) as new_songs,
        count(case when is_listed then 1 end) as listed,
        count(case when is_listed and is_counted then 1 end) as listed_heard,
        count(case when is_listed and is_skipped then 1 end) as listed_skipped
    from plays group by user_id, is_late
),
lists as (
    select i.user_id, i.shown_at >= n.at - interval '14' day as is_late, count(*) as lists,
        count(h.impression_id) as lists_hit
    from marts.fct_impressions as i
    cross join newest as n
    left join (
        select distinct impression_id from marts.fct_recommendation_outcomes where is_hit
    ) as h on i.impression_id = h.impression_id
    where i.shown_at >= n.at - interval '28' day and i.tracks_shown > 0
    group by i.user_id, i.shown_at >= n.at - interval '14' day
),
both_halves as (
    select coalesce(heard.user_id, lists.user_id) as user_id,
        coalesce(heard.is_late, lists.is_late) as is_late,
        coalesce(plays, 0) as plays, coalesce(heard_ms, 0) as heard_ms,
        coalesce(new_songs, 0) as new_songs, coalesce(listed, 0) as listed,
        coalesce(listed_heard, 0) as listed_heard, coalesce(listed_skipped, 0) as listed_skipped,
        coalesce(lists, 0) as lists, coalesce(lists_hit, 0) as lists_hit
    from heard full outer join lists
        on heard.user_id = lists.user_id and heard.is_late = lists.is_late
),
figures as (
    select user_id, is_late, cast({y} as double) as n, cast({d} as double) as m from both_halves
),
rows_by_listener as (
    select now.user_id, now.n as y, now.m as d, coalesce(old.n, 0) as y0, coalesce(old.m, 0) as d0
    from figures as now
    left join figures as old on now.user_id = old.user_id and not old.is_late
    where now.is_late
)
select count(*), {sums} from rows_by_listener
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What an experiment needs.

    Attributes
    ----------
    now
        The metric over the last fourteen days.
    listeners
        Listeners it needs in all arms together; infinite where the metric is 0 now.
    active
        Listeners seen in the last fourteen days: more will not come soon.
    """

    metric: str
    now: float
    listeners: float
    active: int

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if not math.isfinite(self.listeners):
            return f"{self.metric} is 0 now: nothing can be compared yet."
        needed = math.ceil(self.listeners)
        fits = "there are that many" if needed <= self.active else "there are too few"
        return (
            f"{self.metric} is {self.now:.3g} now; the experiment needs about {needed:,} listeners "
            f"for 14 days, and {self.active:,} were here in the last 14: {fits}."
        )


def size(ask: Ask, metric: str, relative: float, arms: int = 2, power: float = 0.8) -> Size:
    """Return what it takes to show a relative change of a metric with a probability.

    Raises
    ------
    ConfigurationError
        The metric is not known lately, or a number makes no sense.
    """
    if metric not in _FIGURES:
        raise ConfigurationError(
            f"no size is known for the metric {metric!r}: choose from {', '.join(_FIGURES)}"
        )
    if relative == 0.0 or not 0.0 < power < 1.0 or arms < 2:
        raise ConfigurationError("give a change other than 0, a power between 0 and 1, two arms")
    y, d = _FIGURES[metric]
    pairs = [(f"sum({name})") for name in COLUMNS]
    pairs += [f"sum({name.replace('_', ' * ')})" for name in PRODUCTS]
    ((n, *sums),) = ask(_LATELY.format(y=y, d=d, sums=", ".join(pairs)))
    moments = Moments.of(n, [s or 0.0 for s in sums[:4]], [s or 0.0 for s in sums[4:]])
    now = float(moments.sums[0] / moments.sums[1]) if moments.sums[1] else 0.0
    each = listeners_needed(moments, relative, power=power)
    return Size(metric, now, each * arms, int(n))
