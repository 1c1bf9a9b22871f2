"""Who has not applied the log: of shared processes the furthest counts, of learners the slowest."""

from __future__ import annotations

import time

import pytest

from contracts.heartbeat import STOPPED, Heartbeat
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from contracts.workers import CORE_FOLDS
from infra.stack import progress
from infra.stack.progress import Lag, unapplied

TOPICS = Topics("segue")


def beat(name: str, *, at: int = 0, state: str = "running", **offsets: int) -> Heartbeat:
    """A heartbeat, by default of now, with offsets in partition 0 by the name of the kind."""
    places = {TOPICS.of(Kind[kind.upper()]).place(0): n for kind, n in offsets.items()}
    at = at or int(time.time() * 1000)
    return Heartbeat(name=name, pid=1, at=at, state=state, offsets=places)


def lags(
    monkeypatch: pytest.MonkeyPatch, *beats: Heartbeat, kinds: tuple[Kind, ...] = (Kind.PLAYS,)
) -> list[Lag]:
    """Return who is behind where each topic has one partition that ends at 10."""
    monkeypatch.setattr(progress, "ends", lambda _, kind: {TOPICS.of(kind).place(0): 10})
    core = [beat(name, plays=10) for name in CORE_FOLDS]
    named = {each.name.partition("@")[0] for each in beats}
    rest = [each for each in core if each.name not in named]
    monkeypatch.setattr(
        progress, "heartbeats_by_host", lambda _: {b.name: b for b in (*beats, *rest)}
    )
    return unapplied(Settings(), kinds)


def test_a_stopped_worker_keeps_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lags(monkeypatch) == []
    stopped = beat("lake-sink", at=1, state=STOPPED, plays=10)
    assert lags(monkeypatch, stopped) == []
    behind = beat("lake-sink", at=1, state=STOPPED, plays=7)
    assert lags(monkeypatch, behind) == [Lag("lake-sink", 3)]


def test_processes_that_share_the_log_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lags(monkeypatch, beat("lake-sink@a", at=1, plays=10), beat("lake-sink@b")) == []


def test_of_learners_the_slowest_counts_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, quick = beat("learner@a", plays=4), beat("learner@b", plays=10)
    assert lags(monkeypatch, slow, quick) == [Lag("learner", 6)]
    assert lags(monkeypatch, beat("learner@a", at=1, plays=4), quick) == []


def test_a_worker_that_never_reported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "heartbeats_by_host", lambda _: {})
    monkeypatch.setattr(progress, "ends", lambda _, kind: {TOPICS.of(kind).place(0): 0})
    assert {each.worker for each in unapplied(Settings())} == set(CORE_FOLDS)
    assert unapplied(Settings(), (Kind.IMPRESSIONS,)) == [Lag("lake-sink", None)]


def test_only_the_topics_that_matter_count(monkeypatch: pytest.MonkeyPatch) -> None:
    found = beat("lake-sink", plays=1, impressions=8)
    assert lags(monkeypatch, found, kinds=(Kind.IMPRESSIONS,)) == [Lag("lake-sink", 2)]
    relay = beat("relay", plays=2)
    assert lags(monkeypatch, found, relay) == [Lag("lake-sink", 9), Lag("relay", 8)]
