"""How fast each worker applies what it reads, from two of its heartbeats."""

from __future__ import annotations

import pytest

from api.operation import state
from contracts.heartbeat import Heartbeat


@pytest.mark.parametrize(
    ("worker", "counter"),
    [("listeners", "plays"), ("learner", "messages"), ("lake-sink", "rows")],
)
def test_the_rate_is_what_a_worker_applied_between_two_heartbeats(
    monkeypatch: pytest.MonkeyPatch, worker: str, counter: str
) -> None:
    monkeypatch.setattr(state, "_seen", {})

    def at(ms: int, applied: float) -> float | None:
        counters = {"flushes": 9.0, counter: applied}
        beat = Heartbeat(name=worker, pid=1, at=ms, state="running", counters=counters)
        return state._rate(worker, beat)

    assert at(1_000, 10.0) is None  # a rate needs two heartbeats
    assert at(3_000, 30.0) == 10.0
    assert at(3_000, 30.0) == 10.0  # the API reads the same heartbeat again
    assert at(5_000, 2.0) is None  # the worker restarted: its counter is lower
