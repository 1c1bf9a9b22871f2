"""The plays that must be grouped again when some of them changed, as one SQL query.

The query only has to find every play that the rule (:mod:`streams.duplicates`) might join with a
changed one; which of them are one play is then decided in Python. So the only part of the rule it
uses is the greatest distance between two starts, the parameter ``reach``.
"""

from __future__ import annotations

#: Columns that a query of changed plays returns.
SEED_COLUMNS = "user_id, name_key, event_id, played_at"


def near(other: str, one: str) -> str:
    """Return the condition that two plays are of one listener and track, and start close together.

    Its parameter is ``reach``, an interval.
    """
    return f"""
        {other}.user_id = {one}.user_id and {other}.name_key = {one}.name_key
        and {other}.played_at between {one}.played_at - %(reach)s and {one}.played_at + %(reach)s
    """


def nearby(seeds: str) -> str:
    """Return a query for ``user_id, event_id`` of all plays connected with the seeds.

    Plays are connected by steps of at most ``reach``. A seed that is near to nothing and that is no
    member of a group is left out: there is nothing to decide.

    Parameters
    ----------
    seeds
        A query that returns :data:`SEED_COLUMNS`.
    """
    return f"""
        with recursive reached as (
            select seed.user_id, seed.name_key, seed.event_id, seed.played_at
            from ({seeds}) as seed
            where
                exists (
                    select 1 from plays as p
                    where {near("p", "seed")} and p.event_id <> seed.event_id
                )
                or exists (select 1 from merged_plays as m where {near("m", "seed")})
            union
            select near.user_id, near.name_key, near.event_id, near.played_at
            from reached, lateral (
                select p.user_id, p.name_key, p.event_id, p.played_at from plays as p
                where {near("p", "reached")}
                union all
                select m.user_id, m.name_key, m.event_id, m.played_at from merged_plays as m
                where {near("m", "reached")}
            ) as near
        )
        select distinct user_id, event_id::text from reached
    """  # noqa: S608  our own words
