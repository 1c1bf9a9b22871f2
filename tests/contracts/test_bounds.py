"""Exact bounds of plays and experiments: each test fails if a comparison is off by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from contracts.errors import InvalidEvent
from contracts.experiments import Arm, Definition, Overrides, arm_of, check_end, fraction
from contracts.plays import LONGEST_MS, SHORTEST_MS, counts, heard_ms, lengths
from contracts.same_play import MINUTE_MS, REACH_MS, lasted, one_play, reach_ms
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
