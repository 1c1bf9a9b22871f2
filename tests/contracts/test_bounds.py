"""Exact bounds of plays and experiments: each test fails if a comparison is off by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from contracts.errors import InvalidEvent
from contracts.experiments import (
    Arm,
    Definition,
    Overrides,
    arm_of,
    check,
    check_end,
    fraction,
    state_of,
)
from contracts.plays import LONGEST_MS, SHORTEST_MS, counts, heard_ms, lengths
from contracts.same_play import MINUTE_MS, REACH_MS, lasted, one_play, reach_ms, why
from tests.contracts.test_same_play import ACCOUNT, EXTENDED, Report

END = datetime(2030, 1, 1, tzinfo=UTC)


def experiment(share: float = 1.0, weight: float = 0.5) -> Definition:
    """Return an experiment of two arms."""
    arms = (Arm("control", weight), Arm("varied", 1 - weight, Overrides(diversity=0.5)))
    return Definition(
        key="bounds",
        hypothesis="Nothing changes.",
        metric="plays_per_day",
        arms=arms,
        planned_end=END,
        share=share,
    )


def test_a_share_is_a_half_open_part_of_the_listeners() -> None:
    at = fraction("bounds\x00share", "ada")
    assert arm_of(experiment(share=at), "ada") is None
    assert arm_of(experiment(share=at + 1e-12), "ada") is not None


def test_an_arm_is_a_half_open_part_of_the_members() -> None:
    at = fraction("bounds", "ada")
    for weight, name in ((at, "varied"), (at + 1e-12, "control")):
        arm = arm_of(experiment(weight=weight), "ada")
        assert arm is not None
        assert arm.name == name


def test_the_last_arm_has_the_listeners_that_the_weights_leave() -> None:
    """Weights may add up to a little less than 1."""
    arms = tuple(Arm(name, 1e-12) for name in ("control", "b", "c"))
    arm = arm_of(msgspec.structs.replace(experiment(), arms=arms), "ada")
    assert arm is arms[2]


def test_an_experiment_ends_after_its_start() -> None:
    check_end(experiment(), END - timedelta(seconds=1))
    with pytest.raises(InvalidEvent, match="clone the experiment with a later end"):
        check_end(experiment(), END)


def test_lengths_at_their_bounds() -> None:
    assert lengths(None, SHORTEST_MS) == (None, SHORTEST_MS)
    assert lengths(None, LONGEST_MS) == (None, LONGEST_MS)
    assert lengths(168, 168) == (168_000, 168_000)
    assert lengths(169, 168) == (169, 168_000)
    assert lengths(LONGEST_MS, None) == (LONGEST_MS, None)
    assert lengths(LONGEST_MS + 1, None) == (None, None)
    assert lengths(None, 43_200_001) == (None, 43_200)
    assert isinstance(lengths(None, 43_200_001)[1], int)


def test_what_counts_at_its_bounds() -> None:
    assert counts(30_000, None, None)
    assert not counts(29_999, None, None)
    assert counts(10_000, 20_001, None)
    assert not counts(9_999, 20_001, None)
    assert heard_ms(LONGEST_MS, None, None) == LONGEST_MS
    assert heard_ms(LONGEST_MS + 1, None, None) is None


def test_how_long_a_play_lasted_at_least() -> None:
    assert lasted(Report(0, ms_played=0)) == 0
    assert lasted(Report(0, skipped=True, duration_ms=200_000)) == 0
    assert lasted(Report(0)) == 0
    assert lasted(Report(0, duration_ms=200_001)) == 100_000


def test_reports_of_two_clients_reach_half_the_shorter_length() -> None:
    assert reach_ms(Report(0), Report(0, "b")) == REACH_MS
    short = Report(0, duration_ms=20_001)
    assert reach_ms(short, Report(0, "b", duration_ms=200_000)) == 10_000
    assert one_play(short, Report(10, "b"))
    assert not one_play(short, Report(10.001, "b"))


def test_rows_of_one_export_are_one_play_within_the_minute() -> None:
    row = Report(0, ACCOUNT, ms_played=70_000)
    assert one_play(row, Report(MINUTE_MS / 1000 - 0.001, EXTENDED, ms_played=70_000))
    assert not one_play(row, Report(MINUTE_MS / 1000, EXTENDED, ms_played=70_000))


def with_arms(*arms: Arm) -> Definition:
    """Return the experiment with these arms after a control of weight 0.5."""
    return msgspec.structs.replace(experiment(), arms=(Arm("control", 0.5), *arms))


def with_overrides(**overrides: float) -> Definition:
    """Return the experiment with these overrides of its second arm."""
    return with_arms(Arm("b", 0.5, Overrides(**overrides)))  # type: ignore[arg-type]


def with_fields(**fields: str) -> Definition:
    """Return the experiment with these fields changed."""
    return msgspec.structs.replace(experiment(), **fields)


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        (
            with_fields(hypothesis="x" * 2000),
            with_fields(hypothesis="x" * 2001),
            "hypothesis is empty or longer than 2,000 characters: say what you expect.",
        ),
        (
            with_fields(salt="x" * 100),
            with_fields(salt="x" * 101),
            "salt is longer than 100 characters.",
        ),
        (
            with_arms(*(Arm(f"a{n}", 0.5 / 7) for n in range(7))),
            with_arms(*(Arm(f"a{n}", 0.5 / 8) for n in range(8))),
            "there are 9 arms: give 2 to 8, the control first.",
        ),
        (
            with_arms(Arm("b", 0.5)),
            with_arms(Arm("b", 0.5), Arm("c", 0.0)),
            "arms[2].weight is 0: give a number above 0.",
        ),
        (
            with_arms(Arm("x" * 40, 0.5)),
            with_arms(Arm("x" * 41, 0.5)),
            f"arms[1].name is {'x' * 41!r}: use 1 to 40 lower-case letters, digits and hyphens.",
        ),
        (
            with_overrides(diversity=0.0),
            with_overrides(diversity=-0.1),
            "arms[1].overrides.diversity is -0.1: give a number from 0 to 1.",
        ),
        (
            with_overrides(explore_share=1.0),
            with_overrides(explore_share=1.1),
            "arms[1].overrides.explore_share is 1.1: give a number from 0 to 1.",
        ),
        (
            with_overrides(artist_cap=1),
            with_overrides(artist_cap=0),
            "arms[1].overrides.artist_cap is 0: give a number from 1 to 100.",
        ),
        (
            with_overrides(artist_cap=100),
            with_overrides(artist_cap=101),
            "arms[1].overrides.artist_cap is 101: give a number from 1 to 100.",
        ),
        (
            with_overrides(batch_generation=1),
            with_overrides(batch_generation=0),
            "arms[1].overrides.batch_generation is 0: segue model list shows them.",
        ),
    ],
)
def test_a_definition_at_its_bounds(good: Definition, bad: Definition, message: str) -> None:
    check(good)
    with pytest.raises(InvalidEvent) as caught:
        check(bad)
    assert str(caught.value).endswith(message)
    assert caught.value.reason == "bad-experiment"


def test_the_state_of_an_experiment() -> None:
    assert state_of(None, None) == "draft"
    assert state_of(END, None) == "running"
    assert state_of(END, END) == "ended"


def test_a_merge_names_the_clients_and_the_gap() -> None:
    assert why(Report(0), Report(4, "b")) == (
        "b reported it 4 s after a; starts within 30 s are one play"
    )
    song = {"ms_played": 200_000, "duration_ms": 200_000}
    again = why(Report(0, **song), Report(1, **song))  # type: ignore[arg-type]
    assert again == "a reported it 1 s after a; two plays of one song do not overlap"


def test_a_merge_is_explained_by_the_rule_that_made_it() -> None:
    short = Report(0, duration_ms=20_000)
    assert why(short, Report(10, "b")).endswith("; starts within 10 s are one play")
    minute = Report(0, ACCOUNT, ms_played=200_000)
    assert why(minute, Report(130, "b")).endswith("; two plays of one song do not overlap")
    assert why(minute, Report(200, "b")).endswith("; that is where the play ended")
    # Its certain overlap ends at 85 s: from there on only the end explains the merge.
    heard, end = Report(0, ms_played=100_000), Report(85, "b", duration_ms=85_000)
    assert one_play(heard, end)
    assert why(heard, end).endswith("; that is where the play ended")


def test_a_merge_names_all_clients() -> None:
    head, member = Report(0), Report(4, "b")
    head.clients.append("web")
    member.clients.append("phone")
    assert why(head, member).startswith("b, phone reported it 4 s after a, web; ")


def test_lengths_read_as_seconds_at_their_bounds() -> None:
    assert lengths(None, 10) == (None, 10_000)
    assert lengths(None, 9) == (None, None)
    assert lengths(None, 999) == (None, 999_000)


def test_two_plays_of_one_client_overlap_by_less_than_their_margin() -> None:
    song = {"ms_played": 200_000}
    assert one_play(Report(0, **song), Report(184.999, **song))  # type: ignore[arg-type]
    assert not one_play(Report(0, **song), Report(185, **song))  # type: ignore[arg-type]
    short = {"ms_played": 9_001}  # the margin is half the time heard
    assert one_play(Report(0, **short), Report(4.5, **short))  # type: ignore[arg-type]
    assert not one_play(Report(0, **short), Report(4.501, **short))  # type: ignore[arg-type]


def test_an_end_is_recognised_within_ten_seconds() -> None:
    heard = Report(0, ms_played=100_000)
    assert one_play(heard, Report(110, "b"))
    assert not one_play(heard, Report(110.001, "b"))
