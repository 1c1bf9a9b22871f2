"""The query for what must be grouped again finds every play the rule might join."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from contracts.same_play import MINUTE_MS, REACH_MS, far, group
from streams.duplicates import ReportedPlay
from streams.nearby import SEED_COLUMNS, nearby
from tests.streams.test_duplicates import START, known, reports, told

_TABLE = """(user_id text, name_key bigint, event_id uuid, played_at timestamptz,
    ms_played bigint, duration_ms bigint)"""
#: How far apart reports of unknown length may start.
REACH = timedelta(milliseconds=REACH_MS + MINUTE_MS)
_ENGINE = duckdb.connect()
_ENGINE.execute("create macro hashtextextended(listener, recording) as hash(listener, recording)")
_SEEDS = f"select {SEED_COLUMNS} from seeds where user_id = %(user)s"


def found(
    plays: Iterable[ReportedPlay], merged: Iterable[ReportedPlay], seeds: Iterable[ReportedPlay]
) -> set[str]:
    """Run the query in an engine without a server, whose parameters are written differently."""
    for table, rows in (("plays", plays), ("merged_plays", merged), ("seeds", seeds)):
        values = [
            (p.user_id, p.name_key, p.event_id, p.played_at, p.ms_played, p.duration_ms)
            for p in rows
        ]
        _ENGINE.execute(f"create or replace table {table} {_TABLE}")
        if values:
            row = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(values))
            _ENGINE.execute(f"insert into {table} values {row}", [v for r in values for v in r])
    query = nearby(_SEEDS).replace("%(user)s", "$user")
    rows_ = _ENGINE.execute(query, {"user": "ada"}).fetchall()
    return {event for _, event in rows_}


@given(st.lists(reports, max_size=8), st.data())
def test_it_finds_every_member_of_every_group_of_a_changed_play(
    told_: list[ReportedPlay], data: st.DataObject
) -> None:
    plays = known(told_)
    seeds = data.draw(st.lists(st.sampled_from(plays), unique_by=id) if plays else st.just([]))
    shown = found(plays, [], seeds)
    changed = {play.event_id for play in seeds}
    for members in group(plays):
        events = {play.event_id for play in members}
        if len(events) > 1 and events & changed:
            assert events <= shown
    # A play that was left out is farther than the reach from all that were found.
    for left_out in (play for play in plays if play.event_id not in shown):
        for play in (p for p in plays if p.event_id in shown):
            distance = abs(left_out.played_at - play.played_at)
            assert distance > timedelta(milliseconds=max(far(left_out), far(play)))


def test_a_play_that_is_near_to_nothing_needs_no_second_look() -> None:
    play = told(0)
    assert found([play], [], [play]) == set()
    assert found([play], [told(REACH.total_seconds(), "b")], [play]) != set()


def test_only_plays_of_the_same_listener_and_track_are_near() -> None:
    seed = told(0)
    others = [told(1, "b", "Two"), told(1, "b", user_id="bob"), told(1, "b", name_key=None)]
    assert found([seed, *others], [], [seed]) == set()


def test_the_distance_is_that_of_the_rule() -> None:
    seed = told(0)
    edge = told(REACH.total_seconds(), "b")
    beyond = told(0, "b", played_at=START + REACH + timedelta(milliseconds=1), event_id=_id(7))
    assert found([seed, edge], [], [seed]) == {seed.event_id, edge.event_id}
    assert found([seed, beyond], [], [seed]) == set()


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"
