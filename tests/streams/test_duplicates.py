"""Reports of one event, and of one play, become one row: in any order, as often as you like."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import event_id, track_id
from contracts.recordings import recording_number
from contracts.same_play import group
from streams.duplicates import ReportedPlay, enrich, fill

START = datetime(2024, 1, 1, tzinfo=UTC)


def told(second: float, client: str = "a", title: str = "One", **changes: Any) -> ReportedPlay:
    """Return a report of a play that began so many seconds after :data:`START`."""
    at = START + timedelta(seconds=second)
    return ReportedPlay(
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
            "name_key": recording_number("Air", title),
            "clients": [client],
            **changes,
        }
    )


def known(reports: Iterable[ReportedPlay]) -> list[ReportedPlay]:
    """Return reports as the store has them: one a event, filled."""
    events: dict[str, ReportedPlay] = {}
    for report in reports:
        before = events.get(report.event_id)
        events[report.event_id] = report if before is None else fill(before, report)
    return list(events.values())


def seconds(groups: list[list[ReportedPlay]]) -> list[list[float]]:
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


@given(st.lists(reports, max_size=12), st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_matters(
    told_: list[ReportedPlay], draw: random.Random
) -> None:
    again = told_ + draw.choices(told_, k=5) if told_ else []
    draw.shuffle(again)

    def shape(reports_: list[ReportedPlay]) -> list[list[tuple[str, list[str]]]]:
        return [[(t.event_id, t.clients) for t in members] for members in group(known(reports_))]

    assert shape(again) == shape(told_)


@given(reports, reports)
def test_filling_keeps_what_was_there_and_is_idempotent(
    one: ReportedPlay, other: ReportedPlay
) -> None:
    other.event_id = one.event_id
    both = fill(one, other)
    assert fill(both, other) == fill(both, one) == both
    assert both.album == (one.album or other.album)
    assert both.played_at == min(one.played_at, other.played_at)


def test_a_group_is_filled_from_the_first_member_that_knows() -> None:
    members = [
        told(0, "b", ms_played=None, duration_ms=0, extra=None),
        told(1, "a", album="One", ms_played=7, duration_ms=9, skipped=False),
        told(2, "c", album="Two", ms_played=8, skipped=True, extra={"k": 1}),
    ]
    one = enrich(members)
    head = members[0]
    assert (one.album, one.ms_played, one.duration_ms, one.skipped, one.extra) == (
        "One", 7, 0, False, {"k": 1},
    )  # fmt: skip
    assert one.clients == ["a", "b", "c"]
    for name in ("user_id", "played_at", "event_id", "source", "received_at", "name_key", "place"):
        assert getattr(one, name) == getattr(head, name)
    assert enrich([head]) == head


def test_two_reports_of_one_event_are_merged_by_column() -> None:
    first = told(0, "b", album=None, ms_played=5, duration_ms=9, skipped=True, place=3)
    later = told(0, "a", album="A", ms_played=7, duration_ms=8, skipped=False, extra={}, place=9)
    one = fill(first, later)
    assert (one.album, one.ms_played, one.duration_ms, one.skipped, one.extra) == (
        "A", 7, 8, False, {},
    )  # fmt: skip
    assert (one.clients, one.source, one.place) == (["a", "b"], "b/1", 3)
    assert fill(later, first).album == "A"
    assert fill(first, told(0, "b")).ms_played == 5
