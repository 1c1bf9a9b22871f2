"""The reports of a worker's processes become one report."""

from __future__ import annotations

import pytest

from contracts.heartbeat import STALE_AFTER, Heartbeat, encode, of_workers, read

NOW = 1_000_000


def beat(name: str, age: float = 0.0, state: str = "running", **offsets: int) -> Heartbeat:
    at = NOW - int(age * 1000)
    return Heartbeat(name=name, pid=1, at=at, state=state, offsets=offsets, detail=f"is {state}")


def test_processes_that_share_partitions_are_as_far_as_the_furthest() -> None:
    found = of_workers([beat("listeners@a", p0=5, p1=2), beat("listeners@b", p0=3, p1=9)], NOW)
    assert set(found) == {"listeners"}
    assert found["listeners"].offsets == {"p0": 5, "p1": 9}


def test_of_learners_the_one_furthest_behind_counts() -> None:
    found = of_workers([beat("learner@a", p0=5, p1=2), beat("learner@b", p0=3, p1=9)], NOW)
    assert found["learner"].offsets == {"p0": 3, "p1": 2}


def test_a_silent_process_counts_only_where_nobody_else_reports() -> None:
    gone = STALE_AFTER + 1
    found = of_workers([beat("learner@old", gone, p0=1), beat("learner@new", p0=8)], NOW)
    assert found["learner"].offsets == {"p0": 8}
    (silent,) = of_workers([beat("learner@old", gone, p0=1)], NOW).values()
    assert not silent.is_fresh(NOW)


def test_one_that_waits_is_seen_whoever_reports_last() -> None:
    for order in ((0.0, 1.0), (1.0, 0.0)):
        waits, runs = order
        found = of_workers([beat("listeners@a", waits, "waiting"), beat("listeners@b", runs)], NOW)
        assert (found["listeners"].state, found["listeners"].detail) == ("waiting", "is waiting")


def test_a_value_that_is_no_heartbeat_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    good = beat("learner")
    stored = {b"learner": encode(good), b"listeners": b'{"name": "lis', b"\xff": b"\xff"}
    assert read(stored) == {"learner": good}
    assert "ignored the heartbeat of listeners, which cannot be decoded" in caplog.text
