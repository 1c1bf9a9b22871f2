"""The commit of the history, with each of its statements failing once.

The order, in one transaction: the fence is read under a lock, the reports are staged, known events
filled, new ones inserted and counted, the plays around them grouped again, the fence moved.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import psycopg
import pytest

from contracts.errors import StoreUnavailable
from contracts.events import Submission
from contracts.same_play import group
from streams import history_sink
from streams.decode import Batch
from streams.duplicates import ReportedPlay, enrich, fill
from streams.errors import PositionLost
from streams.history_sink import HistorySink, to_reported
from streams.postgres_sink import place
from tests.streams.fake_history import FakeHistory, Tables
from tests.streams.fakes import Killed, Steps
from tests.streams.plays import play, submission

T = TypeVar("T")
LOG = [
    submission("ada", (0, 1), (400, 2)),
    submission("ada", (4, 1), (900, 3), source="other/1"),  # the first song from another client
    submission("ada", (0, 1), album="Moon"),  # an event that is merged is reported again
    submission("eve", (0, 1), (7, 1)),
    submission("ada", (-3, 1), source="third/2"),  # an earlier report, that becomes the head
    submission("ada", (400, 2), ms_played=180_000),  # an event of its own is reported again
    submission("eve", (0, 1)),  # nothing new
]
STEPS = (
    "connect", "meet the fence", "read the fence", "lock", "stage", "copy incoming", "fill merged",
    "insert", "nearby", "shown", "merged", "apart", "hide", "split", "show", "merge", "note",
    "count", "advance the fence", "before the commit", "after the commit",
)  # fmt: skip


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> FakeHistory:
    found = FakeHistory(Steps())
    monkeypatch.setattr(psycopg, "connect", found.connect)
    monkeypatch.setattr(history_sink, "rekey", lambda _: 0)
    return found


def batch(start: int, stop: int) -> Batch[Submission]:
    messages = list(enumerate(LOG[start:stop], start))
    return Batch(0, start, start, stop - 1, messages, [])


def run(at_once: int = 1) -> None:
    """Start a process and let it write what the log holds beyond the fence."""
    sink = HistorySink("", "log", 1)
    (at,) = _patiently(sink.positions).values()
    while at < len(LOG):
        found = batch(at, min(at + at_once, len(LOG)))
        _patiently(partial(sink.write, [found]))
        at = found.last + 1


def _patiently(call: Callable[[], T]) -> T:
    """Try once more, as a worker does while its store is away."""
    try:
        return call()
    except StoreUnavailable:
        return call()


def wanted() -> tuple[dict[tuple[str, str], ReportedPlay], int]:
    """Return the plays of the log by the rule alone, and how many reports were merged away."""
    events: dict[tuple[str, str], ReportedPlay] = {}
    for offset, each in enumerate(LOG):
        for one in each.plays:
            told = to_reported(each.user_id, one, place(0, offset))
            key = told.user_id, told.event_id
            events[key] = fill(events[key], told) if key in events else told
    songs: dict[tuple[str, int | None], list[ReportedPlay]] = {}
    for told in events.values():
        songs.setdefault((told.user_id, told.name_key), []).append(told)
    groups = [members for reports in songs.values() for members in group(reports)]
    shown = [enrich(members) for members in groups]
    return {(t.user_id, t.event_id): t for t in shown}, len(events) - len(groups)


def is_whole(tables: Tables) -> None:
    plays, merged_away = wanted()
    assert tables.plays == plays
    assert sum(tables.counts.values()) == len(plays)
    heads = {(told.user_id, head) for told, head in tables.merged.values()}
    assert heads <= set(plays)
    assert len(tables.merged) - len(heads) == merged_away > 0
    assert tables.fence == {0: len(LOG) - 1}


@pytest.mark.parametrize("at_once", [1, 2, len(LOG)])
def test_the_tables_are_those_of_the_rule(history: FakeHistory, at_once: int) -> None:
    run(at_once)
    is_whole(history.committed)


def test_one_transaction_reads_the_fence_first_and_moves_it_last(history: FakeHistory) -> None:
    sink = HistorySink("", "log", 1)
    sink.positions()
    history.steps.done.clear()
    sink.write([batch(0, len(LOG))])
    assert history.steps.done == list(STEPS[1:])


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_started_again(history: FakeHistory, step: str) -> None:
    history.steps.fails = step
    with pytest.raises(Killed):
        run()
    assert not history.steps.fails, "the step was not reached"
    run()
    is_whole(history.committed)


@pytest.mark.parametrize("step", STEPS)
def test_a_database_that_goes_away_at_any_step(history: FakeHistory, step: str) -> None:
    history.steps.fails = step
    history.steps.error = psycopg.OperationalError("server closed the connection")
    run()
    assert not history.steps.fails, "the step was not reached"
    is_whole(history.committed)


@pytest.mark.parametrize("at", range(len(LOG)))
def test_what_is_delivered_again_changes_nothing(history: FakeHistory, at: int) -> None:
    run()
    before = copy.deepcopy(history.committed)
    assert HistorySink("", "log", 1).write([batch(at, len(LOG))]) == 0
    assert history.committed == before


def test_a_hole_in_the_log_is_refused(history: FakeHistory) -> None:
    with pytest.raises(PositionLost):
        HistorySink("", "log", 1).write([batch(2, 3)])
    assert history.committed == Tables()


def test_only_new_events_are_counted(history: FakeHistory) -> None:
    sink = HistorySink("", "log", 1)
    assert [sink.write([batch(at, at + 1)]) for at in range(len(LOG))] == [2, 2, 0, 2, 1, 0, 0]


def test_a_merge_is_noted_with_its_reason(history: FakeHistory) -> None:
    run()
    merges = [note[3] for note in history.committed.notes]
    assert any("other reported it 4 s after test" in reason for reason in merges)
    head = play("ada", -3, 1).event_id
    assert {told.event_id for told, _ in history.committed.merged.values()} >= {head}
