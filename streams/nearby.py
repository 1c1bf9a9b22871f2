"""The plays that must be grouped again when some of them changed, as one SQL query.

The query only has to find every play that the rule (:mod:`contracts.same_play`) might join with a
changed one; which of them are one play is then decided in Python. So the only part of the rule it
uses is how far apart two reports of one play may start.
"""

from __future__ import annotations

from contracts.plays import LONGEST_MS
from contracts.same_play import FARTHEST, MINUTE_MS, REACH_MS

#: Columns that a query of changed plays returns.
SEED_COLUMNS = "user_id, name_key, event_id, played_at, ms_played, duration_ms"
_FARTHEST = f"interval '{int(FARTHEST.total_seconds())} s'"


def near(other: str, one: str) -> str:
    """Return the condition that two plays may be one: :func:`contracts.same_play.far` as SQL.

    The listener and the recording are compared by one number of 64 bits, and the first bound of the
    distance is constant, so that exactly one index serves both. A condition on the listener alone
    would let the planner read all plays of a listener for each new one.
    """
    lengths = ", ".join(
        f"coalesce({play}.{column}, 0)"
        for play in (other, one)
        for column in ("ms_played", "duration_ms")
    )
    return f"""
        hashtextextended({other}.user_id, {other}.name_key)
            = hashtextextended({one}.user_id, {one}.name_key)
        and {other}.played_at between {one}.played_at - {_FARTHEST}
            and {one}.played_at + {_FARTHEST}
        and abs(extract(epoch from {other}.played_at - {one}.played_at)) * 1000
            <= {REACH_MS + MINUTE_MS} + least(greatest({lengths}), {LONGEST_MS})
    """


def nearby(seeds: str) -> str:
    """Return a query for ``user_id, event_id`` of all plays connected with the seeds.

    Plays are connected by steps between near ones. A seed that is near to nothing and that is no
    member of a group is left out: there is nothing to decide.

    Parameters
    ----------
    seeds
        A query that returns :data:`SEED_COLUMNS`.
    """
    return f"""
        with recursive reached as (
            select
                seed.user_id, seed.name_key, seed.event_id, seed.played_at,
                seed.ms_played, seed.duration_ms
            from ({seeds}) as seed
            where
                exists (
                    select 1 from plays as p
                    where {near("p", "seed")} and p.event_id <> seed.event_id
                )
                or exists (select 1 from merged_plays as m where {near("m", "seed")})
            union
            select
                near.user_id, near.name_key, near.event_id, near.played_at,
                near.ms_played, near.duration_ms
            from reached, lateral (
                select p.user_id, p.name_key, p.event_id, p.played_at, p.ms_played, p.duration_ms
                from plays as p
                where {near("p", "reached")}
                union all
                select m.user_id, m.name_key, m.event_id, m.played_at, m.ms_played, m.duration_ms
                from merged_plays as m
                where {near("m", "reached")}
            ) as near
        )
        select distinct user_id, event_id::text from reached
    """  # noqa: S608  our own words
