"""One play told by two clients is one play: in any order, told as often as you like."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import event_id, track_id, track_key
from streams.duplicates import REACH, Told, client_of, enrich, fill, group, reach, why

START = datetime(2024, 1, 1, tzinfo=UTC)


def told(second: float, client: str = "a", title: str = "One", **changes: Any) -> Told:
    """Return a report of a play that began so many seconds after :data:`START`."""
    at = START + timedelta(seconds=second)
    return Told(
        **{
            "user_id": "ada",
            "played_at": at,
            "event_id": event_id("ada", int(at.timestamp() * 1000), "Air", title),
            "track_id": track_id("Air", title),
            "artist": "Air",
            "title": title,
            "album": None,
            "ms_played": None,
            "duration_ms": None,
            "skipped": None,
            "source": f"{client}/1",
            "received_at": at,
            "extra": None,
            "name_key": track_key("Air", title) - 2**63,
            "clients": [client],
            **changes,
        }
    )


def known(reports: Iterable[Told]) -> list[Told]:
    """Return reports as the store has them: one a event, filled."""
    events: dict[str, Told] = {}
    for report in reports:
        before = events.get(report.event_id)
        events[report.event_id] = report if before is None else fill(before, report)
    return list(events.values())


def seconds(groups: list[list[Told]]) -> list[list[float]]:
    return [[(t.played_at - START).total_seconds() for t in members] for members in groups]


reports = st.builds(
    told,
    st.integers(0, 120),
    st.sampled_from("abc"),
    duration_ms=st.none() | st.integers(0, 90_000),
    album=st.none() | st.sampled_from(["Moon Safari", "Premiers Symptômes"]),
    ms_played=st.none() | st.integers(0, 90_000),
)


def test_two_clients_and_one_play() -> None:
    first = told(0, "a", album="Moon Safari")
    later = told(4, "b", album="moon safari", ms_played=200_000, skipped=False)
    (members,) = group([later, first])
    one = enrich(members)
    assert (one.event_id, one.played_at, one.source) == (first.event_id, START, "a/1")
    assert (one.album, one.ms_played, one.skipped) == ("Moon Safari", 200_000, False)
    assert one.clients == ["a", "b"]
    assert why(first, later) == "b told 4 s after a; starts within 30 s are one play"


def test_what_one_client_tells_twice_was_played_twice() -> None:
    assert seconds(group([told(0), told(20), told(40)])) == [[0], [20], [40]]


def test_a_song_started_over_is_told_twice_by_both() -> None:
    plays = [told(0, "a"), told(20, "a"), told(3, "b"), told(23, "b")]
    assert seconds(group(plays)) == [[0, 3], [20, 23]]


def test_the_reach_is_half_a_minute_or_half_the_track() -> None:
    assert seconds(group([told(0, "a"), told(30, "b")])) == [[0, 30]]
    assert seconds(group([told(0, "a"), told(31, "b")])) == [[0], [31]]
    short = told(0, "a", duration_ms=20_000)
    assert seconds(group([short, told(10, "b")])) == [[0, 10]]
    assert seconds(group([short, told(11, "b")])) == [[0], [11]]


def test_chains_do_not_creep() -> None:
    """Three clients, each 20 s after the other: the third is not in reach of the head."""
    plays = [told(20 * n, client) for n, client in enumerate("abc")]
    assert seconds(group(plays)) == [[0, 20], [40]]


def test_what_is_kept_apart_is_alone() -> None:
    plays = [told(0, "a"), told(5, "b"), told(9, "c")]
    assert seconds(group(plays, {plays[1].event_id})) == [[0, 9], [5]]
    assert seconds(group(plays, {plays[0].event_id})) == [[0], [5, 9]]


def test_a_client_is_a_name_without_version() -> None:
    assert client_of("spotify-export/extended") == "spotify-export"
    assert client_of("") == ""


@given(st.lists(reports, max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(told_: list[Told], draw: random.Random) -> None:
    again = told_ + draw.choices(told_, k=5) if told_ else []
    draw.shuffle(again)

    def shape(reports_: list[Told]) -> list[list[tuple[str, list[str]]]]:
        return [[(t.event_id, t.clients) for t in members] for members in group(known(reports_))]

    assert shape(again) == shape(told_)


@given(st.lists(reports, max_size=12))
def test_every_play_is_in_one_group_within_reach_of_its_head(told_: list[Told]) -> None:
    plays = known(told_)
    groups = group(plays)
    assert sorted(t.event_id for g in groups for t in g) == sorted(t.event_id for t in plays)
    for head, *others in groups:
        clients = [c for t in (head, *others) for c in t.clients]
        assert len(clients) == len(set(clients))
        for member in others:
            gap = member.played_at - head.played_at
            assert timedelta() <= gap <= reach(head, member) <= REACH


@given(st.lists(reports, max_size=12))
def test_merging_again_changes_nothing(told_: list[Told]) -> None:
    """Two heads that were not merged do not become mergeable by having been enriched."""
    heads = [enrich(members) for members in group(known(told_))]
    assert all(len(members) == 1 for members in group(heads))
    assert all(enrich([head]) == head for head in heads)


@given(reports, reports)
def test_filling_keeps_what_was_there_and_is_idempotent(one: Told, other: Told) -> None:
    other.event_id = one.event_id
    both = fill(one, other)
    assert fill(both, other) == fill(both, one) == both
    assert both.album == (one.album or other.album)
    assert both.played_at == min(one.played_at, other.played_at)
