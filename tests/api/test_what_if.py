"""Windows that are imagined, and where a play is by now."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from api.errors import ApiError
from api.listeners.life import _fold, _warehouse
from api.operation.runs import RunSummary
from api.serving.what_if import Change, _imagine, _placed, _second
from contracts.features import Listener
from contracts.heartbeat import Heartbeat
from contracts.topics import Kind, Topics
from contracts.workers import LEARNER

NOW = 1_700_000_000


def _listener() -> Listener:
    return Listener(
        seconds=np.array([NOW - 300, NOW - 200, NOW - 10], np.int64),
        tracks=np.array([1, 2, 2**63 + 5], np.uint64),
        ratios=np.array([100, 50, 255], np.uint8),
        hidden=np.array([9], np.uint64),
    )


def test_a_play_that_had_not_happened() -> None:
    found, then = _imagine(_listener(), Change(without=(2**63 + 5, NOW - 10)), NOW)
    assert (found.tracks.tolist(), then) == ([1, 2], NOW)
    with pytest.raises(ApiError, match="not one of them"):
        _imagine(_listener(), Change(without=(2, NOW - 10)), NOW)


def test_a_play_a_hidden_track_and_another_moment() -> None:
    found, then = _imagine(_listener(), Change(play=2**63 + 7, hide=4, at=NOW - 60), NOW)
    assert then == NOW - 60
    assert found.tracks.tolist() == [1, 2, 2**63 + 7]
    assert found.seconds.tolist()[-1] == NOW - 60
    assert found.hidden.tolist() == [9, 4]
    assert [a.dtype for a in (found.tracks, found.seconds, found.ratios)] == [
        np.uint64, np.int64, np.uint8,
    ]  # fmt: skip
    later, then = _imagine(_listener(), Change(at=NOW + 3600), NOW)
    assert (len(later.tracks), then) == (3, NOW + 3600)


def test_a_moment_far_away_is_refused() -> None:
    with pytest.raises(ApiError, match="within a year"):
        _second(datetime(1999, 1, 1, tzinfo=UTC))


def test_places_in_both_lists() -> None:
    one, other = [("a", "A", "x"), ("b", "B", "y")], [("b", "B", "y")]
    assert [(p.place, p.other) for p in _placed(one, other)] == [(1, None), (2, 1)]


def _services(beat: Heartbeat | None) -> Any:
    beats = {} if beat is None else {LEARNER.name: beat}
    return SimpleNamespace(workers=SimpleNamespace(beats=beats), topics=Topics("s"))


def _beat(log_id: str = "x", position: int | None = 10, age_ms: int = 0) -> Heartbeat:
    place = Topics("s").of(Kind.PLAYS).place(2)
    at = int(datetime.now(UTC).timestamp() * 1000) - age_ms
    offsets = {} if position is None else {place: position}
    return Heartbeat(name="learner", pid=1, state="running", at=at, log_id=log_id, offsets=offsets)


@pytest.mark.parametrize(
    ("said", "offset", "done"),
    [
        ({}, 9, True), ({}, 10, False), ({"log_id": "y"}, 99, True), ({"position": None}, 9, None),
        ({"age_ms": 3_600_000}, 9, None), (None, 9, None),
    ],
)  # fmt: skip
def test_where_a_fold_is(said: dict[str, Any] | None, offset: int, done: bool | None) -> None:
    beat = None if said is None else _beat(**said)
    stage = _fold(_services(beat), "model", LEARNER, "learned", "x", 2, offset)
    assert stage.done is done
    assert stage.detail


def test_the_first_whole_run_after_a_play_has_it() -> None:
    def run(day: int, status: str = "ok") -> RunSummary:
        at = f"2026-01-{day:02d}T03:00:00+00:00"
        return RunSummary(f"r{day}", "", "duckdb", status, at, at, 1.0, None, day, 1, None, 0, 0)

    received = datetime(2026, 1, 2, 12, tzinfo=UTC)
    runs = [run(5), run(4), run(3, "failed"), run(2)]
    assert "run r4" in _warehouse(runs, received).detail
    assert _warehouse([run(2)], received).done is False
